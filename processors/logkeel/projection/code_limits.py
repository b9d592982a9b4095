"""Limits of calls of a step's code, as histories tell of them: when a slot is not held or waited for any more. Pure."""

from typing import TYPE_CHECKING

from logkeel.projection import waits
from logkeel.records import RunEvent
from logkeel.records.executions import CODE_ENDS, UNBEGUN

if TYPE_CHECKING:
    from logkeel.projection.views import RunView


def is_over(place: str, event: RunEvent) -> bool:
    """Whether the call's claim at this place ends with the event: the call, its try, or what executed it has ended."""
    path, entry = event.path or "", event.journal
    if not place.startswith(f"{path}?") or not place.endswith(".s"):
        return False
    if event.kind in ("step_journaled", "step_resumed"):
        is_end = entry is not None and (entry.state == "failed" if event.kind == "step_resumed" else _is_end(event))
        return entry is not None and is_end and place == f"{path}?{entry.position.removesuffix('.s')}.s"
    lost = event.kind == "step_reclaimed" and event.reason == "lost"
    back = event.kind == "step_released" and (event.reason not in UNBEGUN or event.due_ms is not None)
    return event.kind in CODE_ENDS or lost or back


def _is_end(event: RunEvent) -> bool:
    return event.journal is not None and (event.journal.state != "intent" or event.journal.position.endswith(".s"))


def calls_over(view: "RunView", event: RunEvent) -> None:
    """Forget what ends with the event."""
    for place in [each for each in view.slots if is_over(each, event)]:
        del view.slots[place]
    for place in [each for each in view.waits if is_over(each, event)]:
        waits.limit_over(view.waits, place)
