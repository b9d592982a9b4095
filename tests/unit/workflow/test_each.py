"""`each` and element-wise fields as authors write them: what they become, what mistakes are told, how they run."""

import threading
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeel.definitions import EachBlock, SequenceBlock, StepBlock
from logkeel.errors import DefinitionError, InvalidInput, RunFailed, StepSignatureError
from logkeel.records import ElementValue, FieldValue, FieldWrite, Payload
from logkeel.workflow import (
    Add,
    Append,
    Control,
    Elements,
    Fail,
    Max,
    Put,
    Reducer,
    State,
    StepErrorView,
    Workflow,
    each,
    inline,
    parallel,
    removed,
    replaced,
)
from logkeel.workflow.blocks import FlowBlock
from logkeel.workflow.steps import Step


class Box(State):
    """What the tests are about."""

    pages: Annotated[list[str], Append] = []  # noqa: RUF012  # pydantic copies defaults
    notes: Annotated[dict[str, int], Put] = {}  # noqa: RUF012  # pydantic copies defaults
    whole: Annotated[list[int], Elements] = []  # noqa: RUF012  # pydantic copies defaults
    failed: Annotated[dict[str, StepErrorView], Put] = {}  # noqa: RUF012  # pydantic copies defaults
    found: Annotated[list[str], Append] = []  # noqa: RUF012  # pydantic copies defaults
    length: int | None = None
    draft: str | None = None
    cost: Annotated[float, Control, Add] = 0.0
    longest: Annotated[int, Control, Max] = 0
    verdict: Literal["good", "poor"] | None = None
    plain: list[str] = []  # noqa: RUF012  # pydantic copies defaults


class Boxes:
    """A workflow with steps to work on pages."""

    def __init__(self) -> None:
        self.workflow = wf = Workflow("boxes", state=Box, returns=("pages", "notes", "failed"))

        @wf.step(writes=lambda s: (s.length, s.cost, s.longest))
        def measure(page: str) -> tuple[int, float, int]:
            if page == "bad":
                raise Fail("unreadable", "it is bad")
            return len(page), 0.5, len(page)

        @wf.step(writes=lambda s: s.draft)
        def copy(page: str, length: int | None) -> str:
            return f"{page} {length}"

        @wf.step(writes=lambda s: s.pages)
        def add() -> list[str]:
            return ["added"]

        @wf.step(writes=lambda s: s.found)
        def note(notes: dict[str, int]) -> list[str]:
            return list(notes)

        self.measure, self.copy, self.add, self.note = measure, copy, add, note

    def flow(self, *blocks: FlowBlock, **unused: Any) -> Workflow[Box]:
        """The flow; steps that are not in it are none of the workflow's."""
        kept = {step.name: step for step in _steps(blocks)}
        self.workflow._steps = {name: step for name, step in self.workflow._steps.items() if name in kept}
        self.workflow.flow(*blocks)
        return self.workflow

    def each(self, body: FlowBlock | None = None, items: str = "pages", **how: Any) -> FlowBlock:
        return each(items, body or self.measure, **{"item": "page", **how})


def _steps(blocks: Any) -> list[Step[..., Any]]:
    if isinstance(blocks, Step):
        return [blocks]
    inner = blocks if isinstance(blocks, tuple) else [getattr(blocks, name, ()) for name in ("body", "branches")]
    return [step for block in inner for step in _steps(block)]


def test_it_becomes_a_block_and_the_step_reads_the_element() -> None:
    boxes = Boxes()
    workflow = boxes.flow(boxes.each(collect="notes", value="length", failed="failed", max_failures="2.5%"))
    flow = workflow.document().flow
    assert isinstance(flow, SequenceBlock)
    (block,) = flow.blocks
    assert block == EachBlock(
        id="pages",
        items="pages",
        body=StepBlock(id="measure", step="measure"),
        item="page",
        value="length",
        collect="notes",
        failed="failed",
        max_failures_percent=2.5,
    )
    (step,) = workflow.document().steps
    assert step.reads == ("page",)
    assert [(write.field, write.operation) for write in step.writes] == [
        ("length", "replace"),
        ("cost", "add"),
        ("longest", "max"),
    ]
    page = FieldValue(field="page", revision=1, payload=Payload(encoding="json", data=b'"x"'))
    assert workflow.bind("measure").decode_inputs([page]) == {"page": "x"}
    assert "for each page of pages, 100 at a time" in workflow.draw()
    assert "all elements" in workflow.draw("mermaid")


def test_without_a_field_for_errors_no_element_may_fail_unless_said() -> None:
    for how, limit in (({}, 0), ({"failed": "failed"}, None), ({"max_failures": 3}, 3)):
        boxes = Boxes()
        flow = boxes.flow(boxes.each(**how)).document().flow
        assert isinstance(flow, SequenceBlock)
        assert isinstance(flow.blocks[0], EachBlock)
        assert flow.blocks[0].max_failures == limit


Mistake = Callable[[Boxes], Any]
MISTAKES: list[tuple[str, Mistake]] = [
    ("'nowhere' is no field of the state", lambda b: b.flow(b.each(items="nowhere"))),
    ("goes through 'plain', which is not kept element by element", lambda b: b.flow(b.each(items="plain"))),
    ("called 'draft', as a field is", lambda b: b.flow(each("pages", b.add, item="draft"))),
    ("called 'a page', which no parameter can be", lambda b: b.flow(each("pages", b.add, item="a page"))),
    ("has the parameter 'page', which matches nothing", lambda b: b.flow(b.measure)),
    ("has the parameter 'page', which matches nothing", lambda b: b.flow(each("pages", b.measure, item="doc"))),
    ("reads 'page' as str, but the field is int", lambda b: b.flow(b.each(items="whole"))),
    ("collects into 'plain', which is not kept", lambda b: b.flow(b.each(collect="plain"))),
    ("collects one field, and its body writes none", lambda b: b.flow(b.each(b.add, collect="found"))),
    ("body writes draft, length", lambda b: b.flow(b.each((b.measure, b.copy), collect="notes"))),
    ("does not write 'draft'", lambda b: b.flow(b.each(collect="found", value="draft"))),
    ("elements of 'found' are str, and 'length' is int", lambda b: b.flow(b.each(collect="found", value="length"))),
    ("goes through 'pages' and collects into it", lambda b: b.flow(b.each(b.copy, collect="pages"))),
    ("collects 'draft' nowhere", lambda b: b.flow(b.each(b.copy, value="draft"))),
    (
        "reads 'notes', which the elements are collected into",
        lambda b: b.flow(b.each((b.measure, b.note), collect="notes")),
    ),
    ("writes 'pages', and what it writes stays", lambda b: b.flow(b.each(b.add))),
    ("keeps errors in 'found', which is a list", lambda b: b.flow(b.each(failed="found"))),
    ("elements of 'notes' do not take an error", lambda b: b.flow(b.each(failed="notes"))),
    ("works on 0 elements at a time", lambda b: b.flow(b.each(concurrency=0))),
    ("works on 1001 elements at a time", lambda b: b.flow(b.each(concurrency=1_001))),
    ("'5 percent' of each", lambda b: b.flow(b.each(max_failures="5 percent"))),
    ("knows no speed", lambda b: b.flow(b.each(speed=3))),
    ("does not say how the element is called", lambda b: b.flow(each("pages", b.add))),  # type: ignore[call-arg]  # the mistake
]


@pytest.mark.parametrize(("what", "mistake"), MISTAKES)
def test_mistakes_are_told_with_a_remedy(what: str, mistake: Mistake) -> None:
    with pytest.raises(DefinitionError) as caught:
        mistake(Boxes())
    assert what in caught.value.message
    assert all(problem["remedy"] for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("annotation", "default", "what"),
    [
        (Annotated[str, Append], "", "it must be a list"),
        (Annotated[list[str] | None, Append], None, "it must be a list"),
        (Annotated[dict[int, str], Put], {}, "a dict with text keys"),
        (Annotated[list[str], Append, Put], [], "there are two"),
        (Annotated[list[str], Reducer("union")], [], "'union' is none of this version"),
        (Annotated[list[str], sorted], [], "'sorted' is a function"),
        (Annotated[int, Add], 0, "no control field of numbers"),
        (Annotated[str, Control, Max], "", "no control field of numbers"),
        (Annotated[list[str], Append], ["x"], "its default is not empty"),
    ],
)
def test_a_reducer_that_does_not_fit_its_field_is_told(annotation: Any, default: Any, what: str) -> None:
    with pytest.raises(DefinitionError, match=what):
        Workflow("odd", state=type("Odd", (State,), {"__annotations__": {"it": annotation}, "it": default}))


def test_branches_may_share_a_field_with_a_reducer_unless_one_replaces_it() -> None:
    def flow(*, replaces: bool) -> Workflow[Box]:
        workflow = Workflow("shared", state=Box, returns="found")

        @workflow.step(writes=lambda s: s.found)
        def one() -> list[str]:
            return ["1"]

        @workflow.step(writes=lambda s: replaced(s.found) if replaces else s.found)
        def two() -> list[str]:
            return ["2"]

        workflow.flow(parallel(one, two))
        return workflow

    assert flow(replaces=False).document().name == "shared"
    with pytest.raises(DefinitionError, match="both write 'found'"):
        flow(replaces=True)


TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=5)


@given(pages=st.lists(TEXTS, max_size=5), notes=st.dictionaries(TEXTS, st.integers(), max_size=5))
def test_elements_come_back_as_they_were(pages: list[str], notes: dict[str, int]) -> None:
    boxes = Boxes()
    workflow = boxes.flow(boxes.add, boxes.note)
    writes = workflow.encode_input({"pages": pages, "notes": notes})
    for name, known in (("pages", pages), ("notes", notes)):
        begin, *rest = [write for write in writes if write.field == name]
        assert begin == FieldWrite(field=name), "instead of whatever was there"
        assert len(rest) == len(known)
        elements = tuple(ElementValue(key=each.element_key, payload=each.payload) for each in rest if each.payload)
        values = workflow.decode_state([FieldValue(field=name, revision=1, elements=elements)])
        assert getattr(values, name) == known
    values = workflow.result([FieldValue(field="pages", revision=1)])
    assert values == {"pages": [], "notes": {}, "failed": {}}


def test_a_result_that_is_no_delta_is_told() -> None:
    workflow = Workflow("deltas", state=Box)

    @workflow.step(writes=lambda s: removed(s.notes))
    def forget(notes: dict[str, int]) -> list[str]:
        return list(notes)

    workflow.flow(forget)
    bound = workflow.bind("forget")
    assert bound.encode_result(["a"]) == (FieldWrite(field="notes", operation="remove", element_key="a"),)
    assert bound.decode_inputs([]) == {"notes": {}}
    for wrong in ("a", [1], ["a" * 257]):
        with pytest.raises(StepSignatureError):
            bound.encode_result(wrong)
    with pytest.raises(DefinitionError, match="not kept by key"):
        workflow.step(writes=lambda s: removed(s.plain))(forget.function)  # type: ignore[arg-type]  # the mistake


async def test_bad_elements_are_told_and_good_ones_are_collected_in_their_order() -> None:
    boxes = Boxes()
    workflow = boxes.flow(boxes.each(collect="notes", value="length", failed="failed", concurrency=2))
    result = await workflow.try_out(pages=["a", "bad", "ccc", "dd"])
    assert list(result["notes"].items()) == [("0", 1), ("2", 3), ("3", 2)]
    ((key, error),) = result["failed"].items()
    assert (key, error.path, error.code, error.message) == ("1", "pages[1]", "unreadable", "it is bad")
    assert result["pages"] == ["a", "bad", "ccc", "dd"]


async def test_no_element_is_no_work() -> None:
    boxes = Boxes()
    workflow = boxes.flow(boxes.each(collect="notes", value="length"))
    assert await workflow.try_out(pages=[]) == {"pages": [], "notes": {}, "failed": {}}


def test_a_client_as_parameter_is_told_at_once_and_taken_for_no_element() -> None:
    with pytest.raises(DefinitionError, match="has the parameter 'lock', which matches nothing"):

        @Workflow("locks", state=Box).step(writes=lambda s: s.length)
        def wait(lock: threading.Lock) -> int:
            return 1


async def test_too_many_bad_elements_fail_the_run() -> None:
    boxes = Boxes()
    workflow = boxes.flow(boxes.each())
    with pytest.raises(RunFailed, match="1 of 2 elements of pages have failed; the last one: it is bad"):
        await workflow.try_out(pages=["bad", "a"])


async def test_an_input_of_another_shape_is_refused() -> None:
    boxes = Boxes()
    with pytest.raises(InvalidInput, match="pages"):
        await boxes.flow(boxes.each()).try_out(pages="a")


async def test_reducers_and_keys_through_a_whole_run() -> None:
    workflow = Workflow("whole", state=Box, returns=("notes", "found", "cost", "longest", "whole"))

    @workflow.step(writes=lambda s: (s.notes, s.found, s.cost, s.whole))
    def first() -> tuple[dict[str, int], list[str], float, list[int]]:
        return {"a/b[1]": 1, "b": 2}, ["x"], 1.5, [1, 2]

    @workflow.step(writes=lambda s: (removed(s.notes), s.found, s.cost, s.whole))
    def second(found: list[str], whole: list[int]) -> tuple[list[str], list[str], float, list[int]]:
        return ["b"], [f"after {found}"], 1.0, [*whole, 3]

    @workflow.step(writes=lambda s: s.longest)
    def look(note: int) -> int:
        return note

    workflow.flow(first, second, each("notes", look, item="note", max_failures=0))
    result = await workflow.try_out()
    assert result == {
        "notes": {"a/b[1]": 1},
        "found": ["x", "after ['x']"],
        "cost": 2.5,
        "longest": 1,
        "whole": [1, 2, 3],
    }


class Page(State):
    """One page, for a workflow of its own."""

    page: str
    words: Annotated[list[str], Append] = []  # noqa: RUF012  # pydantic copies defaults
    draft: str | None = None


async def test_the_body_may_be_a_workflow_of_its_own() -> None:
    inner = Workflow("page", state=Page, returns="draft")

    @inner.step(writes=lambda s: s.words)
    def split(page: str) -> list[str]:
        return page.split()

    @inner.step(writes=lambda s: s.draft)
    def join(words: list[str]) -> str:
        return "-".join(words)

    inner.flow(split, join)
    workflow = Workflow("pages", state=Box, returns="found")
    workflow.flow(each("pages", inline(inner), item="page", collect="found", max_failures=0))
    assert await workflow.try_out(pages=["a b", "c"]) == ["a-b", "c"]
