"""What events of journals do to the state; `apply` has checked that they fit the step. Pure.

One row per entry: an intent and its outcome share one, by their position. A wait has a second, short one as long as it
lasts, so that a signal finds it without reading journals.
"""

from msgspec.structs import replace

from logkeel.errors import InvariantViolation
from logkeel.records import JournalEntry, RunEvent
from logkeel.runs.core.changing import free_descendants, reserve_descendants
from logkeel.runs.core.paths import split_place
from logkeel.runs.core.state import JournalWait, RunState


def journaled(state: RunState, event: RunEvent) -> None:
    """An entry of the step's code."""
    entry = _entry(event)
    key = (event.path or "", entry.position)
    state.journal[key] = entry
    if entry.waits_for is not None:
        wait = JournalWait(kind=entry.waits_for, name=entry.name, revision=event.revision, due_ms=entry.due_ms)
        state.journal_waits[key] = wait


def wait_over(state: RunState, event: RunEvent) -> None:
    """The outcome of a wait. The signal that ended it, if one did, is the event's one read; it is used up."""
    key = (event.path or "", _entry(event).position)
    state.journal[key] = _entry(event)
    del state.journal_waits[key]
    for read in event.reads:
        del state.signals[read.revision]


def question_asked(state: RunState, event: RunEvent) -> None:
    """A wait is a question to a human; its number is that of this event."""
    key = _place_in_code(event)
    state.journal_waits[key] = replace(state.journal_waits[key], revision=event.revision)


def outside_word(state: RunState, event: RunEvent) -> None:
    """A human has answered or nobody has in time, or a child has ended: the outcome."""
    key = _place_in_code(event)
    state.journal[key] = _entry(event)
    del state.journal_waits[key]
    step = state.steps[key[0]]
    if step.phase == "suspended":
        state.steps[key[0]] = replace(step, reclaims=0, given_back=0)


def child_started(state: RunState, event: RunEvent) -> None:
    """A child run is asked for; its number is that of this event, and what it may start counts from now on."""
    key, reserved = _place_in_code(event), reserve_descendants(state, event)
    step = state.steps[key[0]]
    if key[1] in step.begun:
        state.steps[key[0]] = replace(step, begun={at: each for at, each in step.begun.items() if at != key[1]})
    state.journal_waits[key] = replace(state.journal_waits[key], revision=event.revision, reserved=reserved)


def child_ended(state: RunState, event: RunEvent) -> None:
    """Its end is the outcome; what it did not use of its share is free again."""
    free_descendants(state, event, state.journal_waits[_place_in_code(event)].reserved)
    outside_word(state, event)


def noted(state: RunState, event: RunEvent) -> None:
    """The history has it; the state does not change."""


def call_resolved(state: RunState, event: RunEvent) -> None:
    """A human has told of a call in doubt: it happened, with this outcome, or it is as if it had never been tried."""
    entry = _entry(event)
    if event.reason == "did":
        state.journal[event.path or "", entry.position] = entry
    else:
        del state.journal[event.path or "", entry.position]


def forget(state: RunState, path: str) -> None:
    """The step has succeeded: its journal is history."""
    for position, _ in state.journal.of(path):
        del state.journal[path, position]
    for position, _ in state.journal_waits.of(path):
        del state.journal_waits[path, position]


def _place_in_code(event: RunEvent) -> tuple[str, str]:
    return split_place(event.path or "")[0], _entry(event).position


def _entry(event: RunEvent) -> JournalEntry:
    if event.journal is None:
        raise InvariantViolation(f"{event.kind} without its journal entry", run_id=event.run_id, path=event.path)
    return event.journal
