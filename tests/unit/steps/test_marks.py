"""The metadata of the committed offset."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeel.steps.machine import Holder, Mark, parse_mark

WORDS = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=12)


@given(st.integers(-1, 2**62), st.integers(-1, 2**62), st.builds(Holder, WORDS, WORDS), st.booleans())
def test_a_mark_is_read_as_written(started: int, since: int, holder: Holder, left: bool) -> None:
    mark = Mark(started, holder, since, left)
    assert mark.unannounced != left
    assert not Mark(started).unannounced
    assert parse_mark(mark.encode()) == mark
    assert parse_mark(Mark(started).encode()) == Mark(started)


@pytest.mark.parametrize("metadata", ["", "started=", "started=x", "begun=4", "started=4 holder=a"])
def test_anything_else_is_no_mark(metadata: str) -> None:
    assert parse_mark(metadata) is None
