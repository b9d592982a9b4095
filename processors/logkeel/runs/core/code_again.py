"""What code of a step comes by anew when its run, or an element, is retried; the rest of its journal stays. Pure.

Calls that are done are behind it. The call that it failed at is made again, and questions, signals and child runs that
it waited for are called for anew. A child that had begun is told to go on: it has the run id that follows from its
place, and keeps its keys.
"""

from collections.abc import Mapping

from logkeel.records import JournalEntry
from logkeel.runs.core.child_again import code_child_run_id
from logkeel.runs.core.paths import place_in_code
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.state import RunState

_CALLED_FOR_ANEW = ("signal", "question", "child")
"""Waits; a sleep stays, since its time is its own."""


def forget_calls(state: RunState, plan: Plan, path: str) -> Mapping[str, str]:
    """What the code of this step comes by anew goes. Gives the child runs among it that had begun, by position, with

    those that it has not come by since the retry before.
    """
    step, begun = state.steps[path], dict(state.steps[path].begun)
    for position in _called_for_anew(state, plan, path):
        call, wait = state.journal[path, position].child, state.journal_waits.get((path, position))
        if call is not None and wait is not None and wait.reserved:
            state.head.descendants -= wait.reserved
            begun[position] = code_child_run_id(state.info, step, place_in_code(path, position), call.workflow)
        elif call is not None and wait is None and call.run_id is not None:
            begun[position] = call.run_id
        del state.journal[path, position]
        if wait is not None:
            del state.journal_waits[path, position]
    return begun


def has_abandoned(state: RunState, plan: Plan, path: str) -> bool:
    """Whether code of this step waited for a child run that nobody has cancelled, and that answers to nobody now."""
    if plan.steps[path].definition.journaled is not True:
        return False
    calls = ((state.journal[path, position].child, wait) for position, wait in state.journal_waits.of(path))
    return any(call is not None and call.abandon and wait.reserved for call, wait in calls)


def _called_for_anew(state: RunState, plan: Plan, path: str) -> list[str]:
    """Positions: waits that are not over, and the calls it failed at.

    A call that has failed stays where the code has called for something behind it: it was caught there, and the code
    would take another way.
    """
    if plan.steps[path].definition.journaled is not True:
        return []
    entries = dict(state.journal.of(path))
    open_waits = {position for position, wait in state.journal_waits.of(path) if wait.kind in _CALLED_FOR_ANEW}
    failed = {position for position, entry in entries.items() if _is_last_failure(entry, entries)}
    return sorted(open_waits | failed)


def _is_last_failure(entry: JournalEntry, entries: dict[str, JournalEntry]) -> bool:
    return entry.state == "failed" and not any(_is_behind(other, entry.position) for other in entries)


def _is_behind(position: str, other: str) -> bool:
    """Whether the code has come to `position` after `other`, in the same lane or one around it."""
    ours, theirs = position.split("."), other.split(".")
    for number, (mine, its) in enumerate(zip(ours, theirs, strict=False)):
        if mine == its:
            continue
        # Lanes of a gather stand at every second place, and run side by side.
        return number % 2 == 0 and mine.isdecimal() and its.isdecimal() and int(mine) > int(its)
    return False
