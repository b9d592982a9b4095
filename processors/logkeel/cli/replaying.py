"""Recordings held against the code that is installed: each alone, turns of a conversation behind their former ones.

Pure.
"""

from collections.abc import Mapping
from typing import Any

from logkeel.cli.recordings import Recording
from logkeel.cli.run_views import event_json
from logkeel.records import RunEvent
from logkeel.runs.core.redeciding import Divergence, Redecided, redecide
from logkeel.runs.core.replay import replay
from logkeel.runs.core.state import RunState

Place = tuple[str, str | None, int]
"""(workflow, conversation, how many revisions its turns have had): where a turn ended, and the next one began."""


def redecided(recordings: Mapping[str, Recording]) -> dict[str, Redecided]:
    """How each fared, by the names given. A turn begins as the former one ended, if that is among them.

    Raises `InvariantViolation` for a history that does not begin at its beginning.
    """
    ends: dict[Place, RunState] = {}
    found: dict[str, Redecided] = {}
    for name, recording in sorted(recordings.items(), key=lambda item: item[1].events[0].former_revisions or 0):
        first, plan = recording.events[0], recording.plan()
        before = ends.get(_place(first, first.former_revisions or 0)) if first.former_revisions else None
        found[name] = redecide(recording.events, plan, before=before)
        if first.former_revisions is None or (first.former_revisions and before is None):
            continue
        state = found[name].state or replay(recording.events, plan, before=before)
        ends[_place(first, first.former_revisions + recording.events[-1].revision)] = state
    return {name: found[name] for name in recordings}


def _place(event: RunEvent, revisions: int) -> Place:
    return event.workflow, event.conversation_id, revisions


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
