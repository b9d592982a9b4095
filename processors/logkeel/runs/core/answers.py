"""What workers say about executions (P25, P31-P36). Pure.

An answer counts while its step is open and no newer dispatch was made (P33). Others are ignored; one that tells
something else than the history knows becomes an `answer_ignored` event while the run lasts.
"""

from collections.abc import Callable
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Final

from logkeel.records import (
    StepAnswer,
    StepFailed,
    StepHeartbeat,
    StepJournaled,
    StepNeedsState,
    StepReclaimed,
    StepRefused,
    StepReleased,
    StepSucceeded,
    StepSuspended,
)
from logkeel.records.limits import MAX_HEARTBEAT_DETAILS_BYTES
from logkeel.runs.core.actions import KeepDetails
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.children import give_up_code
from logkeel.runs.core.doubt import in_doubt, lost
from logkeel.runs.core.failing import after_failure, behind, end_unsure
from logkeel.runs.core.flow import ask_a_human, dispatch, hold_lease, leave_waiting, settle, wait_until
from logkeel.runs.core.journals import call_in_doubt, is_known, journaled, suspended
from logkeel.runs.core.moving import go_to
from logkeel.runs.core.state import StepState
from logkeel.runs.core.timing import NOT_STARTED_AGAIN_MS, not_after_ms, refused_delay_ms


def answer(turn: Activation, message: StepAnswer) -> None:
    """Decide one answer."""
    identity = message.identity
    if identity.incarnation != turn.state.info.incarnation:
        turn.ignore("another incarnation")
        return
    step = turn.state.steps.get(identity.path)
    if step is None:
        turn.ignore("unknown step")
    elif identity.dispatch != step.dispatch or not step.is_open or not turn.state.running:
        _orphan(turn, message, step)
    elif step.phase in _OUT or (step.phase == "in_doubt" and _decides(message, step)):
        why = _left_open(message)
        if why is None or not end_unsure(turn, identity.path, why):
            _HANDLERS[type(message)](turn, message, step)
    else:
        turn.ignore(f"the step is {step.phase}")


_OUT = ("dispatched", "started")


def _decides(message: StepAnswer, step: StepState) -> bool:
    """Whether it says what a human is being asked about. The failure that had them asked, said again, does not."""
    failed_anew = isinstance(message, StepFailed) and step.failed_dispatch != step.dispatch
    return isinstance(message, StepSucceeded) or failed_anew


def _left_open(message: StepAnswer) -> str | None:
    """Why the execution does not say what became of it; None if it does, or goes on."""
    match message:
        case StepFailed(in_doubt=True, error=error):
            return error.message
        case StepReclaimed(holder_dead=True, holder=holder):
            return f"{holder} holds the slot of the process that ran it"
        case StepReleased(holder=holder):
            return f"{holder} gave it back"
        case StepRefused(reason=reason):
            return reason
        case StepNeedsState(holder=holder):
            return f"{holder} lacked what it reads"
        case StepSuspended():
            return "its code waits"
        case _:
            return None


def _heartbeat(turn: Activation, message: StepHeartbeat, step: StepState) -> None:
    path = message.identity.path
    progress = _progress(message, step)
    if step.phase == "dispatched" or progress is not None:
        if step.phase == "dispatched":
            leave_waiting(turn, path, step)
        turn.record(
            "step_started",
            path=path,
            step=step.step,
            attempt=step.attempt,
            dispatch=step.dispatch,
            holder=message.holder,
            started_at_ms=message.started_at_ms,
            name=progress,
        )
    hold_lease(turn, path)
    if message.details is not None and len(message.details) <= MAX_HEARTBEAT_DETAILS_BYTES:
        turn.do(KeepDetails(path, message.details))


def _progress(message: StepHeartbeat, step: StepState) -> str | None:
    """What the history notes of a step that has got further than the worker before it, which was lost (P32).

    Only a step that hands over details can show it: a digest of those. None for the same details once more.
    """
    if not step.reclaims or message.details is None:
        return None
    digest = blake2b(message.details, digest_size=8).hexdigest()
    return digest if digest != step.progress else None


def _succeeded(turn: Activation, message: StepSucceeded, step: StepState) -> None:
    path = message.identity.path
    settle(turn, path, step)
    give_up_code(turn, path, "the step has ended")
    turn.record(
        "step_succeeded",
        path=path,
        step=step.step,
        attempt=step.attempt,
        dispatch=step.dispatch,
        holder=message.holder,
        started_at_ms=message.started_at_ms,
        writes=message.writes,
        reads=message.reads,
        reason="check" if message.from_check else None,
        amounts=message.used,
    )
    go_to(turn, behind(turn, path), path)


def _failed(turn: Activation, message: StepFailed, step: StepState) -> None:
    path = message.identity.path
    if message.in_doubt:
        if step.phase == "in_doubt":
            turn.ignore("a human is being asked already")
        elif not call_in_doubt(turn, message, step):
            ask_a_human(turn, path, message.error.message, message.error, used=message.used)
        return
    settle(turn, path, step)
    turn.record(
        "step_failed",
        path=path,
        step=step.step,
        attempt=step.attempt,
        dispatch=step.dispatch,
        holder=message.holder,
        started_at_ms=message.started_at_ms,
        error=message.error,
        amounts=message.used,
    )
    after_failure(turn, path, message.error)


def _reclaimed(turn: Activation, message: StepReclaimed, step: StepState) -> None:
    """A question, not a fact: wait while a holder may live, decide when it cannot (P32)."""
    path = message.identity.path
    if message.holder_dead:
        leave_waiting(turn, path, step)
        lost(turn, path, f"{message.holder} holds the slot of the process that ran it")
        return
    if step.reclaimed:
        turn.ignore("the holder's lease is being awaited")
        return
    # A holder that has been heard of has a lease already, which runs from its last heartbeat.
    unheard = step.phase == "dispatched"
    if unheard:
        leave_waiting(turn, path, step)
    turn.record(
        "step_reclaimed", path=path, step=step.step, dispatch=step.dispatch, holder=message.holder, reason="asked"
    )
    if unheard:
        hold_lease(turn, path)


GIVEN_BACK_TO_COUNT = 20
"""What a lost worker may have started in its last 200 ms is given back uncounted (decision 0010). A step that kills its
process so soon would go round for ever: from this often on, each time counts as a lost worker."""


def _released(turn: Activation, message: StepReleased, step: StepState) -> None:
    """Given back. One that may not start for ever was perhaps too late, by the worker's clock: offered again later."""
    path = message.identity.path
    definition = turn.plan.steps[path].definition
    limited = not_after_ms(definition, step) is not None
    # The others are claimed: surely not started.
    repeatable = definition.effect in ("NONE", "IDEMPOTENT", "KEYED") and definition.journaled is not True
    repeatable = repeatable and definition.key_valid_for_ms is None
    due_ms = turn.now_ms + NOT_STARTED_AGAIN_MS if limited and not message.was_started else None
    leave_waiting(turn, path, step)
    if step.given_back >= GIVEN_BACK_TO_COUNT and due_ms is None and not message.was_started and repeatable:
        lost(turn, path, f"it was given back as not started {step.given_back} times, as after deaths in its start")
        return
    turn.record(
        "step_released",
        path=path,
        step=step.step,
        dispatch=step.dispatch,
        holder=message.holder,
        due_ms=due_ms,
        reason="started" if message.was_started else "not started",
    )
    if message.was_started:
        in_doubt(turn, path, f"{message.holder} stopped before the step ended")
    elif due_ms is not None:
        wait_until(turn, path, due_ms)
    else:
        dispatch(turn, path)


def _refused(turn: Activation, message: StepRefused, step: StepState) -> None:
    """No worker has this version: offered again, without using an attempt (P38)."""
    path = message.identity.path
    leave_waiting(turn, path, step)
    due_ms = turn.now_ms + refused_delay_ms(step.refusals)
    turn.record(
        "step_refused",
        path=path,
        step=step.step,
        dispatch=step.dispatch,
        holder=message.holder,
        due_ms=due_ms,
        reason=message.reason,
    )
    wait_until(turn, path, due_ms)


def _needs_state(turn: Activation, message: StepNeedsState, step: StepState) -> None:
    """Its command built on what this worker does not keep: sent anew, whole. Not started."""
    path = message.identity.path
    leave_waiting(turn, path, step)
    turn.record(
        "step_released",
        path=path,
        step=step.step,
        dispatch=step.dispatch,
        holder=message.holder,
        name=", ".join(message.fields),
        reason="state needed",
    )
    dispatch(turn, path)


def _orphan(turn: Activation, message: StepAnswer, step: StepState) -> None:
    """Late or duplicate. Only an outcome that the history does not know is worth an event (P33)."""
    identity = message.identity
    if not isinstance(message, StepSucceeded | StepFailed | StepReleased | StepJournaled):
        turn.ignore("late")
        return
    known = identity.dispatch == step.dispatch and step.phase in ("done", "failed")
    if known or not (turn.state.running or step.effect_unknown) or is_known(turn.state, message):
        turn.ignore("duplicate")
        return
    turn.record(
        "answer_ignored",
        path=identity.path,
        step=step.step,
        attempt=identity.attempt,
        dispatch=identity.dispatch,
        holder=message.holder,
        error=message.error if isinstance(message, StepFailed) else None,
        journal=message.entry if isinstance(message, StepJournaled) else None,
        reason=_told(message),
    )


LATE_WORDS: Final = MappingProxyType(
    {
        "succeeded": "it had succeeded",
        "failed": "it had failed",
        "in doubt": "it had failed, its effect in doubt",
        "started": "it was given back after its start",
        "not started": "it was never started",
    }
)
"""What the history says of an answer that came too late."""


def _told(message: StepSucceeded | StepFailed | StepReleased | StepJournaled) -> str:
    match message:
        case StepSucceeded():
            return LATE_WORDS["succeeded"]
        case StepFailed(in_doubt=doubt):
            return LATE_WORDS["in doubt" if doubt else "failed"]
        case StepReleased(was_started=started):
            return LATE_WORDS["started" if started else "not started"]
        case StepJournaled(entry=entry):
            return f"a journal entry came too late: {entry.name} was {entry.state}"


_HANDLERS: dict[type[Any], Callable[[Activation, Any, StepState], None]] = {
    StepHeartbeat: _heartbeat,
    StepSucceeded: _succeeded,
    StepFailed: _failed,
    StepReclaimed: _reclaimed,
    StepReleased: _released,
    StepRefused: _refused,
    StepNeedsState: _needs_state,
    StepJournaled: journaled,
    StepSuspended: suspended,
}
