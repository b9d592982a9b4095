"""Cells and lines of the Markdown tables. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

Row = Mapping[str, Any]


def table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    marks = ["---"] * len(heads)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, marks, *lines))


def systems(rows: Iterable[Row]) -> list[str]:
    """In the order of their first rows."""
    return list(dict.fromkeys(row["system"] for row in rows))


def values(rows: Iterable[Row], system: str, name: str, **picked: Any) -> list[Any]:
    """Of a system's rows that have it, and what is picked."""
    of_system = (row for row in rows if row["system"] == system and name in row)
    return [row[name] for row in of_system if all(row.get(key) == value for key, value in picked.items())]


def spread(values: Sequence[float], form: str) -> str:
    """min / median / max; one figure alone, `-` for none."""
    if not values:
        return "-"
    if len(values) == 1:
        return form.format(values[0])
    low, middle, high = (form.format(value) for value in (min(values), median(values), max(values)))
    return f"{low} / **{middle}** / {high}"
