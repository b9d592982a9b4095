"""How a wait inside a step ends: its outcome, and what follows. Pure."""

from typing import Unpack

from logkeel.records import ErrorInfo, EventKind, FieldWrite, JournalEntry
from logkeel.runs.core.activation import Activation, Details
from logkeel.runs.core.flow import dispatch
from logkeel.runs.core.journal_timers import clear_wait_timer


def outcome_of(
    turn: Activation, intent: JournalEntry, writes: tuple[FieldWrite, ...] = (), error: ErrorInfo | None = None
) -> JournalEntry:
    """What the entry of a wait becomes: done with these writes, or failed."""
    return JournalEntry(
        name=intent.name,
        ordinal=intent.ordinal,
        state="done" if error is None else "failed",
        writes=writes,
        error=error,
        position=intent.position,
        at_ms=turn.now_ms,
        waits_for=intent.waits_for,
    )


def end_wait(
    turn: Activation, step_path: str, outcome: JournalEntry, kind: EventKind, **details: Unpack[Details]
) -> None:
    """Record an event of this kind with the outcome. A step that is suspended goes on."""
    step, wait = turn.state.steps[step_path], turn.state.journal_waits[step_path, outcome.position]
    clear_wait_timer(turn, step_path, outcome.position, wait)
    details["step"], details["journal"] = step.step, outcome
    turn.record(kind, **details)
    if step.phase == "suspended":
        dispatch(turn, step_path)
