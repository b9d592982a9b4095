"""Steps that yield: elements are written in pieces, each once, whatever the executions."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
import pytest
from tests.unit.journals.stage import Stage

from logkeel.errors import DefinitionError
from logkeel.records import StepFailed, StepSucceeded
from logkeel.steps.journal.yielding import PIECE_BYTES, PIECE_ELEMENTS
from logkeel.workflow import NONE, Append, Put, State, StepContext, Workflow, each


class Folder(State):
    """Documents that are found one after the other."""

    count: int
    documents: Annotated[list[str], Append] = []  # noqa: RUF012  # pydantic copies defaults
    sizes: Annotated[list[int], Append] = []  # noqa: RUF012  # as above
    size: int | None = None


def folder(prefixes: list[str], *, broken_at: int | None = None, width: int = 0) -> "Workflow[Folder]":
    """A step that yields `count` texts. Its n-th execution begins each with the n-th prefix; the last one stays."""
    workflow = Workflow("folder", state=Folder, returns="documents")
    left = list(prefixes)

    @workflow.step(writes=lambda s: s.documents, timeout=None)
    async def find(count: int) -> AsyncIterator[str]:
        prefix = left.pop(0) if len(left) > 1 else left[0]
        for number in range(count):
            if number == broken_at:
                raise OSError("the disk is gone")
            yield f"{prefix}{number}".ljust(width)

    workflow.flow(find)
    return workflow


def written(stage: Stage) -> list[str]:
    """All elements that are on record, in the order of the entries."""
    assert len(stage.sent) == len(stage.entries), "an entry was sent twice"
    payloads = [write.payload for entry in stage.sent for write in entry.writes]
    return [msgspec.json.decode(payload.data or b"") for payload in payloads if payload is not None]


def test_elements_are_written_in_pieces_and_the_step_returns_nothing() -> None:
    stage = Stage(folder([""]), count=2 * PIECE_ELEMENTS + 1)
    outcome = stage.execute()
    assert isinstance(outcome, StepSucceeded)
    assert outcome.writes == ()
    assert written(stage) == [str(number) for number in range(2 * PIECE_ELEMENTS + 1)]
    assert [len(entry.writes) for entry in stage.sent] == [PIECE_ELEMENTS, PIECE_ELEMENTS, 1]
    assert [entry.name.partition(" (")[0] for entry in stage.sent] == [
        "elements 0-99",
        "elements 100-199",
        "elements 200-200",
    ]


@pytest.mark.parametrize("died_after", range(4))
def test_an_execution_after_another_one_writes_the_rest(died_after: int) -> None:
    stage = Stage(folder([""]), count=3 * PIECE_ELEMENTS)
    stage.execute(lose_after=died_after)
    assert isinstance(stage.execute(), StepSucceeded)
    assert written(stage) == [str(number) for number in range(3 * PIECE_ELEMENTS)]


def test_other_elements_than_before_are_named_and_never_mixed_in() -> None:
    stage = Stage(folder(["old", "new"]), count=2 * PIECE_ELEMENTS)
    stage.execute(lose_after=1)
    outcome = stage.execute()
    assert isinstance(outcome, StepFailed)
    assert outcome.error.code == "journal_diverged"
    assert "elements 0-99" in outcome.error.message
    assert written(stage) == [f"old{number}" for number in range(PIECE_ELEMENTS)]


def test_what_came_before_an_error_stays_written() -> None:
    stage = Stage(folder([""], broken_at=PIECE_ELEMENTS + 1), count=3 * PIECE_ELEMENTS)
    outcome = stage.execute()
    assert isinstance(outcome, StepFailed)
    assert outcome.error.kind == "retryable"
    assert written(stage) == [str(number) for number in range(PIECE_ELEMENTS)]


def test_large_elements_make_small_pieces_and_more_than_a_record_holds_is_written() -> None:
    width = PIECE_BYTES // 2
    stage = Stage(folder([""], width=width), count=40)
    assert isinstance(stage.execute(), StepSucceeded)
    assert [len(entry.writes) for entry in stage.sent] == [2] * 20
    assert sum(map(len, written(stage))) == 40 * width > 1_000_000


def test_none_at_all_is_no_entry() -> None:
    stage = Stage(folder([""]), count=0)
    assert isinstance(stage.execute(), StepSucceeded)
    assert stage.sent == []


async def test_elements_are_gone_through_by_each() -> None:
    workflow = Workflow("folder", state=Folder, returns="sizes")

    @workflow.step(writes=lambda s: s.documents)
    async def find(count: int, step: StepContext) -> AsyncIterator[str]:
        for number in range(count):
            yield "x" * number

    @workflow.step(writes=lambda s: s.size, effect=NONE)
    async def measure(document: str) -> int:
        return len(document)

    workflow.flow(find, each("documents", measure, item="document", value="size", collect="sizes"))
    assert await workflow.try_out(count=250) == list(range(250))


class Two(State):
    """Nothing that elements could be appended to."""

    whole: str | None = None
    by_key: Annotated[dict[str, str], Put] = {}  # noqa: RUF012  # pydantic copies defaults


@pytest.mark.parametrize("writes", [lambda s: s.whole, lambda s: s.by_key, lambda s: (s.whole, s.by_key)])
def test_what_is_yielded_goes_into_one_list(writes: Any) -> None:
    workflow = Workflow("two", state=Two)
    with pytest.raises(DefinitionError, match=r"(?s)yields elements.*Annotated\[list\[\.\.\.\], Append\]"):

        @workflow.step(writes=writes)
        async def find() -> AsyncIterator[str]:
            yield "x"
