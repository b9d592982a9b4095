"""Laws of the row keys: what is packed comes back, and a run's rows lie in one range that holds nobody else's."""

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeel.log.keys import prefix_end
from logkeel.runs.rows import keys

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBER = st.integers(0, 2**64 - 1)


def rows_of(run: str, text: str, other: str, number: int) -> list[bytes]:
    """One key of each kind of row of a run."""
    of_run = keys.RunKeys(run)
    return [
        of_run.head,
        of_run.info,
        of_run.steps + keys.pack_path(text),
        of_run.forks + keys.pack_path(text),
        of_run.fields + keys.pack_field((text, other)),
        of_run.values + keys.pack_value((text, number)),
        of_run.signals + keys.pack_revision(number),
        of_run.milestones + keys.pack_value((text, number)),
        of_run.elements + keys.pack_element((text, number, number)),
        of_run.positions + keys.pack_position((text, number, other)),
        of_run.stale + keys.pack_value((text, number)),
        of_run.eaches + keys.pack_path(text),
        of_run.items + keys.pack_path(text),
        of_run.details(text),
    ]


def between(start: bytes, all_keys: Iterable[bytes]) -> list[bytes]:
    return [key for key in all_keys if start <= key < prefix_end(start)]


@given(TEXT, TEXT, TEXT, TEXT, NUMBER)
def test_a_runs_range_holds_all_its_rows_and_no_others(run: str, other: str, text: str, name: str, number: int) -> None:
    own = rows_of(run, text, name, number)
    assert len(set(own)) == len(own)
    assert between(keys.RunKeys(run).prefix, own) == own
    if run != other:
        assert not between(keys.RunKeys(other).prefix, own)


@given(TEXT, TEXT, TEXT, NUMBER)
def test_each_kind_of_row_has_its_own_range(run: str, text: str, name: str, number: int) -> None:
    of_run = keys.RunKeys(run)
    own = rows_of(run, text, name, number)
    ranges = [of_run.steps, of_run.forks, of_run.fields, of_run.values, of_run.signals, of_run.milestones]
    ranges += [of_run.elements, of_run.positions, of_run.stale, of_run.eaches, of_run.items]
    assert [between(start, own) for start in ranges] == [[key] for key in own[2:13]]
    assert min(own) == of_run.head


@pytest.mark.parametrize(
    ("pack", "unpack", "parts"),
    [
        (keys.pack_path, keys.unpack_path, TEXT),
        (keys.pack_field, keys.unpack_field, st.tuples(TEXT, TEXT)),
        (keys.pack_value, keys.unpack_value, st.tuples(TEXT, NUMBER)),
        (keys.pack_element, keys.unpack_element, st.tuples(TEXT, NUMBER, NUMBER)),
        (keys.pack_position, keys.unpack_position, st.tuples(TEXT, NUMBER, TEXT)),
        (keys.pack_revision, keys.unpack_revision, NUMBER),
    ],
)
@given(data=st.data())
def test_what_is_packed_comes_back(
    pack: Callable[[object], bytes],
    unpack: Callable[[bytes], object],
    parts: st.SearchStrategy[object],
    data: st.DataObject,
) -> None:
    packed = data.draw(parts)
    assert unpack(pack(packed)) == packed
