"""Code inside steps: entries of their journals, suspension, and what ends a wait (P34). Pure.

An entry counts while its execution is the newest dispatch of the step; a later one becomes an orphan event. A wait is
an entry: an intent with `waits_for`, whose outcome only the engine writes. A step whose whole code waits is suspended
by its worker; the first of its waits to end dispatches it again, as the same attempt, with the outcome in its journal.
"""

from msgspec.structs import replace

from logkeel.records import (
    ErrorInfo,
    FieldReference,
    FieldWrite,
    JournalEntry,
    Payload,
    ResolveStep,
    StepAnswer,
    StepFailed,
    StepJournaled,
    StepSuspended,
)
from logkeel.runs.core import journal_children, journal_limits, journal_questions
from logkeel.runs.core.actions import SetTimer
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.children import give_up_code, give_up_wait
from logkeel.runs.core.flow import dispatch, hold_lease, leave_waiting, settle
from logkeel.runs.core.journal_timers import timer_path
from logkeel.runs.core.journal_waits import end_wait, outcome_of
from logkeel.runs.core.state import JournalWait, RunState, StepState

RESULT_FIELD = "result"
"""The one field that an entry writes."""


def journaled(turn: Activation, message: StepJournaled, step: StepState) -> None:
    """Keep an entry. One that is known, or whose call has its outcome already, is a duplicate."""
    path, entry = message.identity.path, message.entry
    if turn.plan.steps[path].definition.journaled is not True:
        turn.ignore("the step has no journal by its definition")
        return
    if entry.updates and not _may_update(turn, path, entry):
        turn.ignore("the step does not say that its code writes that")
        return
    if not _is_news(turn.state, path, entry):
        turn.ignore("the journal has an entry there")
        return
    turn.record(
        "step_journaled",
        path=path,
        step=step.step,
        attempt=step.attempt,
        dispatch=step.dispatch,
        holder=message.holder,
        name=entry.name,
        writes=entry.writes if entry.updates else (),
        journal=kept_of(entry),
    )
    if step.phase == "started" or step.reclaimed:
        # An entry is a sign of life: by it a worker knows how long the step is surely its own (P39).
        hold_lease(turn, path)
    if entry.waits_for is None:
        return
    if entry.due_ms is not None:
        turn.do(SetTimer("journal", entry.due_ms, timer_path(path, entry.position)))
    if entry.waits_for == "question":
        journal_questions.ask(turn, path, entry)
    if entry.waits_for == "child":
        journal_children.begin(turn, path, entry)
    if entry.waits_for == "limit":
        journal_limits.begin(turn, path, entry.position)
    if entry.waits_for == "signal":
        offer_signals(turn, entry.name)


def _is_news(state: RunState, path: str, entry: JournalEntry) -> bool:
    known = state.journal.get((path, entry.position))
    if entry.waits_for == "limit":
        return journal_limits.is_news(state, path, entry, known)
    return _goes_behind(kept_of(entry), known)


def _goes_behind(entry: JournalEntry, known: JournalEntry | None) -> bool:
    """Whether the entry is news: a first one, or more about the same call. Of a wait a worker tells the beginning."""
    if entry.updates:
        return known is None
    if entry.waits_for is not None:
        return known is None and entry.state == "intent"
    if known is None:
        return True
    same_call = (known.state, known.waits_for, known.name) == ("intent", None, entry.name)
    return same_call and known != entry


def kept_of(entry: JournalEntry) -> JournalEntry:
    """As the journal has it: what was written to the state stands there, and is not carried along."""
    return replace(entry, writes=()) if entry.updates else entry


def _may_update(turn: Activation, path: str, entry: JournalEntry) -> bool:
    changes = {write.field for write in turn.plan.steps[path].definition.changes}
    return entry.state == "done" and changes.issuperset(write.field for write in entry.writes)


def is_known(state: RunState, message: StepAnswer) -> bool:
    """Whether it is an entry that the journal has: a late duplicate, not an orphan."""
    if not isinstance(message, StepJournaled):
        return False
    return state.journal.get((message.identity.path, message.entry.position)) == kept_of(message.entry)


def suspended(turn: Activation, message: StepSuspended, step: StepState) -> None:
    """All code of the step waits, or begins anew. It goes on at once if one of its waits has ended meanwhile."""
    path = message.identity.path
    if message.restarts:
        _restarted(turn, message, step)
        return
    leave_waiting(turn, path, step)
    turn.record(
        "step_suspended",
        path=path,
        step=step.step,
        attempt=step.attempt,
        dispatch=step.dispatch,
        holder=message.holder,
        reason=", ".join(_what_is_awaited(turn, path, message.waits)) or None,
    )
    if any(turn.state.journal_waits.get((path, position)) is None for position in message.waits) or not message.waits:
        dispatch(turn, path)


def _restarted(turn: Activation, message: StepSuspended, step: StepState) -> None:
    """Its code goes on as new, with nothing behind it but what it writes now."""
    path = message.identity.path
    settle(turn, path, step)
    give_up_code(turn, path, "its code has begun anew")
    turn.record(
        "step_restarted",
        path=path,
        step=step.step,
        attempt=step.attempt,
        dispatch=step.dispatch,
        holder=message.holder,
        writes=message.writes,
        amounts=message.used,
    )
    dispatch(turn, path)


def _what_is_awaited(turn: Activation, path: str, positions: tuple[str, ...]) -> list[str]:
    waits = [turn.state.journal_waits.get((path, position)) for position in positions]
    return [awaited_as(wait) for wait in waits if wait is not None]


def awaited_as(wait: JournalWait) -> str:
    """What people are told that the code waits for."""
    return wait.name if wait.kind == "sleep" else f"{wait.kind} {wait.name}"


def offer_signals(turn: Activation, name: str) -> None:
    """Stored signals of this name end waits for it, the oldest the oldest."""
    if not turn.plan.has_journals:
        return
    state = turn.state
    waits = sorted(
        (wait.revision, path, position)
        for (path, position), wait in state.journal_waits.items()
        if wait.kind == "signal" and wait.name == name and state.steps[path].is_open
    )
    if not waits:
        return
    signals = sorted((revision, signal.payload) for revision, signal in state.signals.items() if signal.name == name)
    for (_, path, position), (revision, payload) in zip(waits, signals, strict=False):
        read = FieldReference(field=name, revision=revision)
        _end_wait(turn, path, position, result=payload, read=read)


def wait_timed_out(turn: Activation, path: str, position: str) -> None:
    """The time of a wait has come: the end of a sleep, the time-out of anything else."""
    wait = turn.state.journal_waits[path, position]
    if wait.kind == "sleep":
        _end_wait(turn, path, position)
        return
    if wait.kind == "question":
        journal_questions.no_answer(turn, path, position)
        return
    if wait.kind == "child":
        give_up_wait(turn, path, position, "it has taken too long")
    message = f"{wait.kind} {wait.name!r} did not come in time"
    _end_wait(turn, path, position, error=ErrorInfo(code="wait_timed_out", kind="timeout", message=message))


def _end_wait(
    turn: Activation,
    path: str,
    position: str,
    *,
    result: Payload | None = None,
    error: ErrorInfo | None = None,
    read: FieldReference | None = None,
) -> None:
    step, wait = turn.state.steps[path], turn.state.journal_waits[path, position]
    writes = () if result is None else (FieldWrite(field=RESULT_FIELD, payload=result),)
    outcome = outcome_of(turn, turn.state.journal[path, position], writes, error)
    if wait.kind == "sleep" and wait.due_ms is not None:
        # It may have ended at its worker meanwhile, by its due time: its code sees that time in each execution.
        outcome = replace(outcome, at_ms=wait.due_ms)
    end_wait(
        turn,
        path,
        outcome,
        "step_resumed",
        path=path,
        attempt=step.attempt,
        dispatch=step.dispatch,
        name=outcome.name,
        reads=() if read is None else (read,),
    )


def call_in_doubt(turn: Activation, message: StepFailed, step: StepState) -> bool:
    """Ask a human about a journaled call; False if the journal has no such intent, and the step itself is in doubt."""
    path = message.identity.path
    intent = None if message.position is None else turn.state.journal.get((path, message.position))
    if intent is None or intent.state != "intent":
        return False
    leave_waiting(turn, path, step)
    turn.record(
        "step_in_doubt",
        path=path,
        step=step.step,
        dispatch=step.dispatch,
        reason=f"call {intent.name!r}: {message.error.message}",
        error=message.error,
        name=intent.name,
        journal=intent,
    )
    return True


def resolve_call(turn: Activation, request: ResolveStep, request_id: str, writes: tuple[FieldWrite, ...]) -> None:
    """A human has told of the call in doubt: it did happen, with this result, or the code may try it (again)."""
    path = request.path
    step = turn.state.steps[path]
    intent = turn.state.journal[path, step.doubt or ""]
    did = request.decision == "did"
    entry = replace(intent, state="done", writes=writes, at_ms=turn.now_ms, due_ms=None) if did else intent
    turn.record(
        "step_resolved",
        path=path,
        step=step.step,
        dispatch=step.dispatch,
        actor=request.decided_by,
        reason=request.decision,
        request_id=request_id,
        name=intent.name,
        journal=entry,
    )
    dispatch(turn, path)
