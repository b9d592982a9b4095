"""What becomes of steps and runs: dispatch, settle, ask, cancel, end. Pure. `moving` says what follows what."""

from collections.abc import Collection, Mapping
from types import ModuleType

from logkeel.records import ErrorInfo, FieldValue, RunStatus
from logkeel.runs.core.actions import (
    ClearTimer,
    CompleteRun,
    DispatchStep,
    EndLease,
    HoldLease,
    KeepDetails,
    RevokeStep,
    SetTimer,
)
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.children import give_up, give_up_code
from logkeel.runs.core.journal_timers import clear_wait_timers, journal_of, journal_problem, set_wait_timers
from logkeel.runs.core.limit_asking import may_go
from logkeel.runs.core.paths import below
from logkeel.runs.core.reading import command_problem, inputs_of
from logkeel.runs.core.state import StepState, WaitState
from logkeel.runs.core.summary import summary_of
from logkeel.runs.core.timing import key_expired, start_deadline_ms, start_limit_ms

DEAD_LETTER = "a dead letter"
"""Why a run ended whose record or timer could not be processed (P21)."""


def dispatch(turn: Activation, path: str, inputs: tuple[FieldValue, ...] | None = None) -> None:
    """Send the step's next command: the first one, or one more. `inputs`: what the step reads, if it is known already.

    While the run is paused it is held back instead; until it has the slots of its limits, and others have settled what
    it needs of a budget, it waits. The run fails if no
    command can carry its inputs, or if it is too late to start. A KEYED step whose key may be forgotten outside counts
    as ONCE: a human decides (P35).
    """
    former = turn.state.steps.get(path)
    placed = turn.plan.steps[path]
    if turn.state.sends_nothing:
        _hold(turn, path, former, placed.definition.name)
        return
    number = 1 if former is None else former.dispatch + 1
    attempt = 1 if former is None else max(former.next_attempt, former.attempt)
    inputs = inputs_of(turn.state, turn.plan, placed) if inputs is None else inputs
    journal = journal_of(turn.state, placed)
    problem = command_problem(path, inputs)
    problem = problem or journal_problem(path, inputs, journal) or _too_late(turn, path, former, attempt)
    if problem is not None and placed.undoes:
        _undoing().cannot_undo(turn, path, problem)
        return
    if problem is not None:
        complete(turn, "failed", problem, reason=f"step {path} cannot be dispatched")
        return
    if former is not None and key_expired(placed.definition, former, turn.now_ms):
        ask_a_human(turn, path, "its key may be forgotten outside", None)
        return
    if (turn.plan.run_budgets or turn.state.info.allowances) and not _budgeting().may_spend(turn, path):
        return
    if not may_go(turn, path):
        if former is not None:
            leave_waiting(turn, path, former)
        return
    if former is not None:
        leave_waiting(turn, path, former)
        if former.phase == "waiting":
            set_wait_timers(turn, placed)
    turn.record("step_dispatched", path=path, step=placed.definition.name, attempt=attempt, dispatch=number)
    summary = summary_of(turn.state) if placed.definition.run_summary is True else None
    turn.do(DispatchStep(path, inputs, summary, journal))
    deadline_ms = start_deadline_ms(placed.definition, turn.state.steps[path])
    if deadline_ms is not None:
        turn.do(SetTimer("start_deadline", deadline_ms, path, number))


def _hold(turn: Activation, path: str, former: StepState | None, name: str) -> None:
    if path in turn.state.held:
        return
    if former is not None:
        leave_waiting(turn, path, former)
    turn.record("step_held", path=path, step=name)


def _too_late(turn: Activation, path: str, former: StepState | None, attempt: int) -> ErrorInfo | None:
    """Whether this attempt was offered before, and may not start any more."""
    if former is None or attempt > former.attempt or former.phase == "suspended":
        return None
    limit_ms = start_limit_ms(turn.plan.steps[path].definition, former)
    return not_started_in_time(path) if limit_ms is not None and turn.now_ms > limit_ms else None


def not_started_in_time(path: str) -> ErrorInfo:
    """No worker has started the step within its schedule-to-start limit."""
    message = f"no worker has started {path} in time: start more workers of its queue, or give it a longer limit"
    return ErrorInfo(code="not_started_in_time", kind="timeout", message=message)


def ask_a_human(
    turn: Activation, path: str, why: str, error: ErrorInfo | None, *, used: Mapping[str, int] | None = None
) -> None:
    """The step waits, visibly, for `ResolveStep`. `used`: what its execution says it has used of budgets."""
    step = turn.state.steps[path]
    leave_waiting(turn, path, step)
    turn.record(
        "step_in_doubt",
        path=path,
        step=step.step,
        dispatch=step.dispatch,
        reason=why,
        error=error,
        amounts=dict(used or {}),
    )


def leave_waiting(turn: Activation, path: str, step: StepState) -> None:
    """Clear what was set for the step as it stands: timers and lease."""
    if step.phase == "waiting" and step.due_ms is not None:
        turn.do(ClearTimer("step", step.due_ms, path, step.dispatch))
    if step.phase == "started" or step.reclaimed:
        turn.do(EndLease(path))
    deadline_ms = start_deadline_ms(turn.plan.steps[path].definition, step)
    if deadline_ms is not None:
        turn.do(ClearTimer("start_deadline", deadline_ms, path, step.dispatch))


def settle(turn: Activation, path: str, step: StepState) -> None:
    """The attempt has ended: nothing of it stays behind. Timers of its code's waits are set again if it goes on."""
    leave_waiting(turn, path, step)
    clear_wait_timers(turn, turn.plan.steps[path])
    if step.phase != "dispatched" or step.dispatch > 1:
        # Otherwise nobody has sent a heartbeat, so nothing was kept.
        turn.do(KeepDetails(path, None))


def hold_lease(turn: Activation, path: str) -> None:
    """Its holder has given a sign of life: the lease runs from now."""
    turn.do(HoldLease(path, turn.now_ms + turn.plan.steps[path].definition.heartbeat_timeout_ms))


def wait_until(turn: Activation, path: str, due_ms: int) -> None:
    """Set the timer of a step that waits now."""
    step = turn.state.steps[path]
    turn.do(SetTimer("step", due_ms, path, step.dispatch))


def complete(
    turn: Activation,
    status: RunStatus,
    error: ErrorInfo | None = None,
    *,
    reason: str | None = None,
    result: tuple[FieldValue, ...] = (),
) -> None:
    """End the run: what is open is cancelled first (P36), then it is announced.

    Only a run that succeeded has a result: every other end must fit into a record whatever the state holds. Where sagas
    are open, what they did is undone before, and the run ends later.
    """
    if turn.state.head.open_sagas and _undoing().end_later(turn, status, error, reason):
        return
    cancel_under(turn, "", reason or status)
    deadline_ms = turn.state.deadline_ms
    if deadline_ms is not None:
        turn.do(ClearTimer("run_deadline", deadline_ms))
    turn.record("run_completed", status=status, error=error, reason=reason)
    turn.do(CompleteRun(result))


def _undoing() -> ModuleType:
    """Undoing dispatches and cancels, and every end of a run may have to wait for it: the two need each other."""
    from logkeel.runs.core import undoing

    return undoing


def _budgeting() -> ModuleType:
    """A step that finds too little left fails, which may lead anywhere in the flow."""
    from logkeel.runs.core import budgeting

    return budgeting


def cancel_under(turn: Activation, path: str, reason: str, keep: Collection[str] = ()) -> None:
    """Revoke the open steps inside of a block ("": of the run) but `keep`; clear timers of what waits, cancel children.

    The waits themselves go with the event that the caller records next.
    """
    if turn.state.head.open_steps:
        for each, step in below(turn.state.steps, path):
            if step.is_open and each not in keep:
                _revoke(turn, each, step, reason)
    if turn.state.head.open_waits:
        for each, wait in below(turn.state.waits, path):
            clear_timers(turn, each, wait)
            if wait.kind == "child":
                give_up(turn, each, wait, reason)


def _revoke(turn: Activation, path: str, step: StepState, reason: str) -> None:
    settle(turn, path, step)
    give_up_code(turn, path, reason)
    turn.record("step_revoked", path=path, step=step.step, dispatch=step.dispatch, reason=reason)
    if step.phase not in ("waiting", "suspended"):
        turn.do(RevokeStep(path, step.dispatch, reason))


def set_timers(turn: Activation, path: str, wait: WaitState) -> None:
    """Set what a wait is to be woken by."""
    if wait.due_ms is not None:
        turn.do(SetTimer("block", wait.due_ms, path, wait.number))
    set_reminder(turn, path, wait)


def set_reminder(turn: Activation, path: str, wait: WaitState) -> None:
    """Set the timer of a question's next reminder, if it has one."""
    if wait.remind_ms is not None:
        turn.do(SetTimer("reminder", wait.remind_ms, path, wait.number))


def clear_timers(turn: Activation, path: str, wait: WaitState) -> None:
    """Clear what was set for a wait."""
    if wait.due_ms is not None:
        turn.do(ClearTimer("block", wait.due_ms, path, wait.number))
    if wait.remind_ms is not None:
        turn.do(ClearTimer("reminder", wait.remind_ms, path, wait.number))
