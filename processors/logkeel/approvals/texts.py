"""What runs and models say, as people may read it on a page, in a mail or in a message.

It is foreign text: one line where a line is expected, cut where it is long, control characters written out, so that
nobody is shown something else than what they approve. Escaping is the business of the template or the format that it
goes into.
"""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

LINE_CHARACTERS: Final = 200
VALUE_CHARACTERS: Final = 4_000

_UNITS: Final = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000))


def readable(text: str) -> str:
    """The text with its control characters written out, but for line ends and tabs."""
    return "".join(each if each in "\n\t" or each.isprintable() else ascii(each)[1:-1] for each in text)


def one_line(text: str, limit: int = LINE_CHARACTERS) -> str:
    """Without line breaks and control characters, cut at `limit` characters."""
    line = " ".join(readable(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def value_text(value: Any, limit: int = VALUE_CHARACTERS) -> str:
    """A shown value: a text as it is, anything else as JSON, cut at `limit` characters."""
    text = value if isinstance(value, str) else msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    text = readable(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def time_text(at_ms: int) -> str:
    """2026-11-28 00:15 UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def duration_text(milliseconds: int) -> str:
    """The two largest units: `2d 3h`, `3m 12s`, `0s`."""
    left, parts = max(0, milliseconds), list[str]()
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
        elif parts:
            break
    return " ".join(parts[:2])
