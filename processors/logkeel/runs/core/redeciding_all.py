"""Holds several histories against the present code, turns of a conversation each behind its former one. Pure."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from logkeel.records import RunEvent
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.redeciding import Redecided, redecide
from logkeel.runs.core.replay import replay
from logkeel.runs.core.state import RunState

K = TypeVar("K")

Place = tuple[str, str | None, int]
"""(workflow, conversation, how many revisions its turns have had): where a turn ended, and the next one began."""


def redecide_all(histories: Mapping[K, tuple[Sequence[RunEvent], Plan]]) -> dict[K, Redecided]:
    """How each fared, in the order given. A turn begins as the former one ended, if that is among them.

    Raises `InvariantViolation` for a history that is empty or does not begin at its beginning.
    """
    ends: dict[Place, RunState] = {}
    found: dict[K, Redecided] = {}
    for name, (events, plan) in sorted(histories.items(), key=lambda item: _former_revisions(item[1][0])):
        former = _former_revisions(events)
        before = ends.get(_place(events[0], former)) if former else None
        found[name] = redecide(events, plan, before=before)
        # Late words may follow the end, and belong to no later turn.
        end = next((event.revision for event in events if event.kind == "run_completed"), None)
        if events[0].former_revisions is not None and end is not None and (before is not None or not former):
            state = found[name].state or replay(events, plan, before=before)
            ends[_place(events[0], former + end)] = state
    return {name: found[name] for name in histories}


def _former_revisions(events: Sequence[RunEvent]) -> int:
    return (events[0].former_revisions or 0) if events else 0


def _place(event: RunEvent, revisions: int) -> Place:
    return event.workflow, event.conversation_id, revisions
