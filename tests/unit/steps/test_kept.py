"""Lists that a worker keeps: whole again or missing, never another one's, and within their limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.steps.commands import command

from logkeel.records import ElementValue, FieldValue, Payload, StepCommand
from logkeel.records.limits import element_bytes
from logkeel.steps.kept import Keeping, KeptLists, NeedsState

ELEMENT_BYTES = element_bytes(ElementValue(payload=Payload(encoding="json", data=b"0")))


def elements(start: int, end: int) -> tuple[ElementValue, ...]:
    return tuple(ElementValue(payload=Payload(encoding="json", data=b"%d" % n)) for n in range(start, end))


def reading(base: int, end: int, *, generation: int | None = 3, run: int = 1, field: str = "items") -> StepCommand:
    value = FieldValue(
        field=field, revision=9, elements=elements(base, end), generation=generation, base_count=base, base_bytes=base
    )
    return replace(command(run), inputs=(value,))


def kept_count(lists: KeptLists, it: StepCommand) -> int:
    (reference,) = lists.references(it)
    return reference.kept_count


def test_a_list_goes_on_from_what_is_kept() -> None:
    lists = KeptLists(Keeping(from_bytes=1))
    for base, end in ((0, 4), (4, 5), (5, 5), (5, 9)):
        (value,) = lists.whole(reading(base, end))
        assert value.elements == elements(0, end)
        assert (value.base_count, value.base_bytes) == (0, 0)
        assert kept_count(lists, reading(base, end)) == end


@pytest.mark.parametrize(
    "other", [reading(4, 5, run=2), reading(4, 5, generation=4), reading(4, 5, field="others"), reading(6, 7)]
)
def test_what_is_not_kept_is_asked_for_by_name(other: StepCommand) -> None:
    lists = KeptLists(Keeping(from_bytes=1))
    lists.whole(reading(0, 4))
    with pytest.raises(NeedsState) as caught:
        lists.whole(other)
    assert caught.value.fields == (other.inputs[0].field,)
    (value,) = lists.whole(reading(4, 5))
    assert value.elements == elements(0, 5)


def test_an_older_command_sees_its_own_list_and_takes_nothing_away() -> None:
    lists = KeptLists(Keeping(from_bytes=1))
    lists.whole(reading(0, 4))
    lists.whole(reading(4, 8))
    (value,) = lists.whole(reading(2, 5))
    assert value.elements == elements(0, 5)
    assert kept_count(lists, reading(2, 5)) == 5
    (value,) = lists.whole(reading(8, 9))
    assert value.elements == elements(0, 9)


def test_what_is_small_or_cannot_be_kept_is_not_promised() -> None:
    lists = KeptLists(Keeping(from_bytes=4 * ELEMENT_BYTES))
    for it in (reading(0, 3), reading(0, 9, generation=None)):
        (value,) = lists.whole(it)
        assert value.elements == it.inputs[0].elements
        assert kept_count(lists, it) == 0
    lists.whole(reading(0, 4))
    assert kept_count(lists, reading(0, 4)) == 4


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 9), st.integers(0, 9)), max_size=40))
def test_lists_are_right_or_missing_and_within_the_limit(reads: list[tuple[int, int, int]]) -> None:
    limit_bytes = 12 * ELEMENT_BYTES
    lists = KeptLists(Keeping(limit_bytes=limit_bytes, from_bytes=2 * ELEMENT_BYTES))
    for run, first, second in reads:
        base, end = min(first, second), max(first, second)
        it = reading(base, end, run=run)
        known = kept_count(lists, replace(it, inputs=(replace(it.inputs[0], base_count=9),)))
        if base > known:
            with pytest.raises(NeedsState):
                lists.whole(it)
            continue
        (value,) = lists.whole(it)
        assert value.elements == elements(0, end)
        assert kept_count(lists, it) in (0, end)
    every = [reading(9, 9, run=run) for run in range(1, 5)]
    assert sum(kept_count(lists, it) for it in every) * ELEMENT_BYTES <= limit_bytes
