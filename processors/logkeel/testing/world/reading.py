"""Reads records for judges and outsiders: each value is decoded once, however many of them look at it."""

from functools import lru_cache
from typing import Any, TypeVar

from logkeel.wire import decode, decode_as

_R = TypeVar("_R")


@lru_cache(maxsize=2_048)
def read(value: bytes) -> Any:
    """As `logkeel.wire.decode`. Records are immutable."""
    return decode(value)


def read_as(value: bytes, *expected: type[_R]) -> _R:
    """As `logkeel.wire.decode_as`."""
    record = read(value)
    return record if isinstance(record, expected) else decode_as(value, *expected)
