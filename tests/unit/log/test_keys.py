"""Laws of order-preserving keys: byte order is tuple order, and parts come back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeel.log import keys

PART = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=6)
NUMBER = st.integers(0, 2**64 - 1)


def encode(parts: tuple[str, int, str]) -> bytes:
    return keys.text(parts[0]) + keys.number(parts[1]) + keys.text(parts[2])


@given(st.tuples(PART, NUMBER, PART), st.tuples(PART, NUMBER, PART))
def test_byte_order_is_tuple_order(one: tuple[str, int, str], other: tuple[str, int, str]) -> None:
    as_bytes = [(a.encode(), n, b.encode()) for a, n, b in (one, other)]
    assert (encode(one) < encode(other)) == (as_bytes[0] < as_bytes[1])


@given(st.tuples(PART, NUMBER, PART))
def test_parts_come_back(parts: tuple[str, int, str]) -> None:
    key = encode(parts)
    first, position = keys.read_text(key, 0)
    number, position = keys.read_number(key, position)
    second, position = keys.read_text(key, position)
    assert (first, number, second) == parts
    assert position == len(key)


@given(PART, PART, PART)
def test_rows_below_a_prefix_are_one_range(prefix: str, inside: str, other: str) -> None:
    start = keys.text(prefix)
    end = keys.prefix_end(start)
    assert start <= start + keys.text(inside) < end
    if other != prefix:
        assert not start <= keys.text(other) + keys.text(inside) < end


def test_nothing_lies_behind_all_ff() -> None:
    with pytest.raises(ValueError, match="no key lies behind"):
        keys.prefix_end(b"\xff\xff")
