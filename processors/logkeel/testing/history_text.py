"""A history as people read it: when, what, where, and what came of it. Pure."""

from collections.abc import Iterable

import msgspec

from logkeel.records import FieldWrite, RunEvent

LONGEST_VALUE = 60
SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000


def history_text(events: Iterable[RunEvent]) -> str:
    """One line per event: time since the first one, what happened, at which path, and its details."""
    lines, began_ms = [], None
    for event in events:
        began_ms = event.at_ms if began_ms is None else began_ms
        lines.append(f"{elapsed(event.at_ms - began_ms):>9}  {_line(event)}".rstrip())
    return "\n".join(lines)


def elapsed(milliseconds: float) -> str:
    """`850ms`, `12.3s`, `4m 05s`, `3h 12m`, `2d 4h`."""
    amount = round(milliseconds)
    if amount < SECOND_MS:
        return f"{amount}ms"
    if amount < MINUTE_MS:
        return f"{amount / SECOND_MS:.1f}s"
    if amount < HOUR_MS:
        return f"{amount // MINUTE_MS}m {amount % MINUTE_MS // SECOND_MS:02}s"
    if amount < DAY_MS:
        return f"{amount // HOUR_MS}h {amount % HOUR_MS // MINUTE_MS:02}m"
    return f"{amount // DAY_MS}d {amount % DAY_MS // HOUR_MS}h"


def _line(event: RunEvent) -> str:
    words = [event.kind.replace("_", " ")]
    if event.path:
        words.append(event.path)
    if event.attempt is not None and event.attempt > 1:
        words.append(f"(attempt {event.attempt})")
    if event.status is not None:
        words.append(event.status)
    if event.name and event.kind != "step_started":
        words.append(event.name)
    details = [written for write in event.writes if (written := _written(write))]
    if event.actor:
        details.append(f"by {event.actor}")
    if event.reason and event.kind != "block_entered":
        details.append(event.reason)
    if event.error is not None:
        details.append(f"{event.error.message} ({event.error.code})")
    if event.due_ms is not None:
        details.append(f"until {elapsed(max(0, event.due_ms - event.at_ms))} later")
    return " ".join(words) + (f": {'; '.join(details)}" if details else "")


def _written(write: FieldWrite) -> str:
    if write.is_control:
        return f"{write.field}={write.control!r}"
    payload = write.payload
    if payload is None or payload.data is None:
        return f"{write.field}=nothing"
    if payload.encoding != "json":
        return f"{write.field}={len(payload.data)} bytes"
    text = msgspec.json.format(payload.data, indent=0).decode(errors="replace")
    return f"{write.field}={text if len(text) <= LONGEST_VALUE else f'{text[: LONGEST_VALUE - 1]}…'}"
