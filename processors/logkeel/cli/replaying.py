"""Recordings held against the code that is installed, and how the outcome is told. Pure."""

from collections.abc import Mapping
from typing import Any

from logkeel.cli.recordings import Recording
from logkeel.projection.documents import event_json
from logkeel.records import RunEvent
from logkeel.runs.core.redeciding import Divergence, Redecided
from logkeel.runs.core.redeciding_all import redecide_all


def redecided(recordings: Mapping[str, Recording]) -> dict[str, Redecided]:
    """How each fared, by the names given. Raises as `redecide_all`."""
    return redecide_all({name: (recording.events, recording.plan()) for name, recording in recordings.items()})


def is_well(found: Redecided) -> bool:
    """Whether something was compared, and nothing differs."""
    return found.divergence is None and found.compared > 0


def lines(name: str, found: Redecided) -> list[str]:
    """The outcome for people."""
    if found.divergence is not None:
        return [
            f"{name}: diverges at revision {found.divergence.revision}: {found.divergence.why}",
            f"  recorded: {_event_text(found.divergence.recorded)}",
            f"  now:      {_event_text(found.divergence.decided)}",
        ]
    said = (
        f"{name}: decided alike, {_turns(found.compared)} compared" if found.compared else f"{name}: nothing compared"
    )
    passed_over = ", ".join(f"{count} {why}" for why, count in sorted(found.not_compared.items()))
    return [f"{said}; not compared: {passed_over}" if passed_over else said]


def as_json(name: str, found: Redecided) -> dict[str, Any]:
    """The outcome for programs. Events come without their payloads."""
    return {
        "history": name,
        "turns_compared": found.compared,
        "turns_not_compared": dict(found.not_compared),
        "divergence": None if found.divergence is None else _divergence_json(found.divergence),
    }


def _divergence_json(divergence: Divergence) -> dict[str, Any]:
    return {
        "revision": divergence.revision,
        "why": divergence.why,
        "recorded": None if divergence.recorded is None else event_json(divergence.recorded),
        "decided": None if divergence.decided is None else event_json(divergence.decided),
    }


def _event_text(event: RunEvent | None) -> str:
    return "nothing" if event is None else f"{event.kind} {event.path or ''}".rstrip()


def _turns(count: int) -> str:
    return f"{count} turn" if count == 1 else f"{count} turns"
