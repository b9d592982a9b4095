"""Reads durations as authors write them. Pure.

A string carries its unit: "250ms", "30s", "5m", "48h", "30d", also joined as "1h30m". A number is seconds.
"""

import re
from datetime import timedelta
from typing import TypeAlias

Duration: TypeAlias = str | int | float | timedelta

LONGEST_MS = 36_500 * 86_400_000
"""100 years: a longer wait is a slip of the unit, and its end would soon not fit into a time of 64 bits."""

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_WHOLE = re.compile(rf"(?:\s*{_PART.pattern})+\s*")


def to_milliseconds(value: Duration) -> int:
    """`value` in whole milliseconds, rounded.

    Raises ValueError for anything else, for negative values, and for more than 100 years.
    """
    if isinstance(value, timedelta):
        return _positive(value.total_seconds() * 1_000, value)
    if isinstance(value, bool):
        raise ValueError(_message(value))
    if isinstance(value, int | float):
        return _positive(value * 1_000, value)
    if not _WHOLE.fullmatch(str(value)):
        raise ValueError(_message(value))
    return _positive(sum(float(number) * _UNITS_MS[unit] for number, unit in _PART.findall(str(value))), value)


def _positive(amount_ms: float, value: object) -> int:
    if not 0 <= amount_ms < float("inf"):
        raise ValueError(_message(value))
    if amount_ms > LONGEST_MS:
        raise ValueError(f"{value!r} is more than 100 years")
    return round(amount_ms)


def _message(value: object) -> str:
    return f'{value!r} is not a duration; write "250ms", "30s", "5m", "48h", "30d", a timedelta, or seconds as a number'
