"""What a step learns of its run: asked for in its signature, or read as a declared field; never written."""

import typing
from typing import Annotated, Any

import pytest
from typing_extensions import TypedDict

from logkeel.definitions import StepDefinition, decode_document
from logkeel.errors import DefinitionError, InvalidInput
from logkeel.records import FieldValue, Payload
from logkeel.workflow import NONE, RunView, State, StepContext, StepErrorView, Workflow

VIEW = RunView(("gather/a", "b"), (StepErrorView("b", 1, "TimeoutError", "no answer"),), attempts=4, schema_version=3)


class Failure(TypedDict):
    path: str
    code: str


class Research(State):
    schema_version: int = 3
    topic: str
    text: str | None = None
    completed_steps: list[str]
    error_log: list[Failure]


class Plain(typing.TypedDict):
    topic: str
    text: str | None
    completed_steps: list[str]
    error_log: list[dict[str, Any]]


def definition(wf: Workflow[Any], name: str) -> StepDefinition:
    return next(step for step in wf.document().steps if step.name == name)


def test_steps_that_look_at_the_run_are_marked_in_the_definition_and_no_others() -> None:
    wf = Workflow("research", state=Research)

    @wf.step(effect=NONE)
    def whole(run: RunView) -> None: ...

    @wf.step(effect=NONE)
    def by_context(step: Annotated[StepContext, RunView]) -> None: ...

    @wf.step(effect=NONE)
    def by_field(topic: str, completed_steps: list[str]) -> None: ...

    @wf.step(effect=NONE)
    def by_other_field(error_log: list[Failure]) -> None: ...

    @wf.step(effect=NONE)
    def unaware(topic: str, step: StepContext) -> None: ...

    wf.flow(whole, by_context, by_field, by_other_field, unaware)
    asking = {step.name for step in wf.document().steps if step.run_summary is True}
    assert asking == {"whole", "by_context", "by_field", "by_other_field"}
    assert definition(wf, "by_field").reads == ("topic",)
    assert decode_document(wf.definition().document) == wf.document()


def test_a_definition_that_asks_for_nothing_keeps_its_digest() -> None:
    wf = Workflow("research", state=Research, returns="text")

    @wf.step(writes=lambda s: s.text)
    def write(topic: str) -> str:
        return topic

    wf.flow(write)
    assert b"run_summary" not in wf.definition().document
    assert wf.definition().digest == "6a6f4f65566862f449082301cd5cbf1a089ab35401f8f5fe25e3056f1b79477c"


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (list[dict[str, Any]], [{"path": "b", "attempt": 1, "code": "TimeoutError", "message": "no answer"}]),
        (list[StepErrorView], [StepErrorView("b", 1, "TimeoutError", "no answer")]),
        (list[Failure], [{"path": "b", "code": "TimeoutError"}]),
        (list[str], ["b (attempt 1): no answer (TimeoutError)"]),
    ],
)
def test_a_step_reads_the_error_log_as_it_likes(hint: Any, expected: list[Any]) -> None:
    wf = Workflow("research", state=Research)

    def read(error_log: Any, completed_steps: list[str], schema_version: int) -> None: ...

    read.__annotations__["error_log"] = hint
    wf.step(effect=NONE)(read)
    bound = wf.bind("read")
    assert bound.asks_run_view
    expected_arguments = {"error_log": expected, "completed_steps": ["gather/a", "b"], "schema_version": 3}
    assert bound.view_arguments(VIEW) == expected_arguments


@pytest.mark.parametrize("state", [Research, Plain])
def test_declared_view_fields_are_no_input_and_are_returned(state: Any) -> None:
    wf: Workflow[Any] = Workflow("research", state=state, returns=("completed_steps", "error_log"))
    assert [write.field for write in wf.encode_input({"topic": "kafka"} | _missing(state))][:1] == ["topic"]
    with pytest.raises(InvalidInput, match="completed_steps: is no field"):
        wf.encode_input({"topic": "kafka", "completed_steps": []} | _missing(state))
    errors = b'[{"path":"b","attempt":1,"code":"TimeoutError","message":"no answer"}]'
    carried = [_json("completed_steps", b'["gather/a","b"]'), _json("error_log", errors)]
    result = wf.result(carried)
    assert result["completed_steps"] == ["gather/a", "b"]
    assert (result["error_log"][0]["path"], result["error_log"][0]["code"]) == ("b", "TimeoutError")


def _missing(state: Any) -> dict[str, Any]:
    return {"text": None} if state is Plain else {}


def _json(name: str, data: bytes) -> FieldValue:
    return FieldValue(field=name, revision=0, payload=Payload(encoding="json", data=data))


def test_a_step_that_writes_what_logkeel_fills_is_refused() -> None:
    wf = Workflow("research", state=Research)
    with pytest.raises(DefinitionError, match="'completed_steps', which logkeel fills") as caught:

        @wf.step(writes=lambda s: (s.text, s.completed_steps))
        def write(topic: str) -> tuple[str, list[str]]:
            return topic, []

    assert "a field of your own" in caught.value.problems[0]["remedy"]


def test_a_view_field_of_a_type_that_cannot_be_filled_is_refused() -> None:
    class Wrong(State):
        completed_steps: list[int] = []  # noqa: RUF012  # pydantic copies defaults
        error_log: str = ""

    with pytest.raises(DefinitionError) as caught:
        Workflow("wrong", state=Wrong)
    assert [problem["remedy"].split(",")[0] for problem in caught.value.problems] == [
        "declare it as list[str]",
        "declare it as list[StepErrorView]",
    ]


def test_reading_an_undeclared_view_field_names_the_remedy() -> None:
    class Bare(State):
        topic: str

    wf = Workflow("bare", state=Bare)
    with pytest.raises(DefinitionError, match="take a parameter of type RunView"):

        @wf.step(effect=NONE)
        def look(completed_steps: list[str]) -> None: ...


def test_a_parameter_whose_type_cannot_be_filled_is_refused() -> None:
    wf = Workflow("research", state=Research)
    with pytest.raises(DefinitionError, match=r"annotate the parameter as list\[str\]"):

        @wf.step(effect=NONE)
        def look(completed_steps: int) -> None: ...
