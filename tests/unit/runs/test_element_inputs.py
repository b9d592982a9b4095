"""Inputs and human results for fields of elements: whole JSON is taken apart, and means the same as its elements."""

from typing import Annotated, Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.runs.engine import Engine
from tests.unit.runs.scripts import failed, plan_of, started, step_block

from logkeel.client.building import input_digest, plain_writes
from logkeel.definitions import FieldDefinition, WriteDefinition
from logkeel.records import FieldWrite, Payload, ResolveStep, StartRun
from logkeel.runs.core.actions import Reject
from logkeel.runs.core.answers import answer
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.requests import resolve
from logkeel.runs.core.starting import input_problems
from logkeel.runs.processor.identity import digest_of_input
from logkeel.runs.processor.starting import as_fields, as_result
from logkeel.wire import removals
from logkeel.workflow import State, Workflow
from logkeel.workflow.reducers import Append, Put

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=5)


class Lists(State):
    """A list and a map."""

    items: Annotated[list[str], Append]
    notes: Annotated[dict[str, int], Put] = {}  # noqa: RUF012  # pydantic copies defaults


def plan() -> Plan:
    known = plan_of(step_block("a"))
    fields = (
        FieldDefinition(name="items", required=True, reducer="append", elements="list"),
        FieldDefinition(name="notes", reducer="put", elements="map"),
        FieldDefinition(name="sum", control_type="int", default=0, reducer="add"),
    )
    writes = tuple(WriteDefinition(field=field.name, operation=field.reducer) for field in fields)
    step = replace(known.definitions["a"], reads=("items",), writes=writes)
    return Plan(replace(known.document, fields=fields, steps=(step,), returns=("items", "notes")), "digest")


PLAN = plan()


def json_write(name: str, value: Any) -> FieldWrite:
    return FieldWrite(field=name, payload=Payload(encoding="json", data=msgspec.json.encode(value)))


@given(items=st.lists(TEXTS, max_size=4), notes=st.dictionaries(TEXTS, st.integers(-9, 9), max_size=4))
def test_by_name_or_by_object_it_is_the_same_input(items: list[str], notes: dict[str, int]) -> None:
    values = {"items": items, "notes": notes}
    workflow = Workflow("lists", state=Lists)
    by_object, by_name = workflow.encode_input(values), plain_writes(values)
    assert as_fields(PLAN, by_name) == by_object
    assert as_fields(PLAN, by_object) == by_object
    assert input_digest(by_object) == input_digest(by_name)
    assert digest_of_input(by_object) == digest_of_input(by_name)
    assert input_problems(PLAN, by_object) == []


def test_what_cannot_be_taken_apart_is_told() -> None:
    sealed = FieldWrite(field="items", payload=Payload(encoding="json+aesgcm:key-1", data=b"?"))
    for write in (sealed, json_write("items", {"a": 1}), json_write("items", 3)):
        (problem,) = input_problems(PLAN, as_fields(PLAN, (write,)))
        assert problem.startswith("items: is kept as a list, element by element")
    (problem,) = input_problems(PLAN, (FieldWrite(field="items", operation="put", element_key="a"),))
    assert "not 'put'" in problem


def test_a_human_says_what_a_step_has_returned_and_it_is_a_delta() -> None:
    writes = (json_write("items", ["x"]), json_write("notes", {"k": 1}), json_write("sum", 3))
    append, put, add = as_result(PLAN, PLAN.steps["a"], writes)
    assert (append.operation, put.operation, put.element_key) == ("append", "put", "k")
    assert (add.operation, add.control) == ("add", 3)


def test_a_result_of_another_shape_is_refused_and_the_step_stays_in_doubt() -> None:
    turn = started(
        PLAN, request=StartRun(workflow="work", run_id="r", inputs=as_fields(PLAN, (json_write("items", []),)))
    )
    answer(turn, failed(turn.state, "a", in_doubt=True))
    writes = (json_write("items", 3),)
    request = ResolveStep(run_id="r", path="a", decision="did", writes=writes)
    resolve(turn, request, "q", as_result(PLAN, PLAN.steps["a"], writes))
    assert isinstance(turn.actions[-1], Reject)
    assert turn.state.head.open_steps == 1
    resolve(turn, request, "q", as_result(PLAN, PLAN.steps["a"], (json_write("items", ["x"]),)))
    assert turn.state.steps["a"].phase == "done"


def test_keys_that_go_are_a_json_list() -> None:
    assert removals(json_write("notes", ["a"])) == (FieldWrite(field="notes", operation="remove", element_key="a"),)
    assert removals(json_write("notes", {"a": 1})) == (json_write("notes", {"a": 1}),)


def test_an_engine_takes_plain_json_apart_and_commands_carry_the_elements() -> None:
    engine = Engine()
    engine.publish(PLAN)
    engine.ask(StartRun(workflow="work", run_id="r", request_id="q", inputs=(json_write("items", ["x", "y"]),)))
    (command,) = engine.commands()
    (value,) = command.inputs
    assert [(each.payload.data or b"").decode() for each in value.elements] == ['"x"', '"y"']
    assert value.payload is None
