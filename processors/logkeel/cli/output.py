"""What the command line prints: data on standard output, prose on standard error.

rich is loaded by what draws: a process that only speaks starts without it.
"""

import json
import sys
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


class Format(StrEnum):
    """How data is printed."""

    TABLE = "table"
    JSON = "json"


@cache
def data() -> "Console":
    """Where data is drawn: standard output."""
    from rich.console import Console

    return Console(highlight=False)


def say(message: str) -> None:
    """A line for the person, on standard error."""
    sys.stderr.write(message + "\n")
    sys.stderr.flush()


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, default=str, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_value(value: Any, text: str, form: Format) -> None:
    """One value, or the part of it that a person wants to copy."""
    if form is Format.JSON:
        print_json(value)
    else:
        print_text(text)


def print_text(text: str) -> None:
    """A line on standard output as it is: no markup, no wrapping."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def print_rows(columns: tuple[str, ...], rows: list[tuple[Any, ...]], form: Format) -> None:
    """Rows as a table, or as a JSON list of objects. Cells are data: brackets in them are no markup."""
    if form is Format.JSON:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=None, header_style="bold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    data().print(table)
