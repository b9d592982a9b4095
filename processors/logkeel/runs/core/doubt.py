"""An execution nobody will report on: the effect says what happens next (ARCHITECTURE section 7, P32, P35). Pure."""

from logkeel.records import ErrorInfo
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.failing import end_unsure, fail_run
from logkeel.runs.core.flow import ask_a_human, dispatch, leave_waiting, settle, wait_until
from logkeel.runs.core.timing import check_at_ms

RECLAIMS_TO_GIVE_UP = 5

LAST_WORD = "; the last word: "
"""Behind it stands, in the failure of a step that loses worker after worker, why the last one is taken for lost."""


def lost(turn: Activation, path: str, why: str) -> None:
    """The holder of a step is gone. Not an attempt that counts, but five of them without progress are a step that kills

    its process. Progress: other heartbeat details than before the loss, an attempt that failed by itself, a decision.
    """
    step = turn.state.steps[path]
    turn.record("step_reclaimed", path=path, step=step.step, dispatch=step.dispatch, holder=step.holder, reason="lost")
    step = turn.state.steps[path]
    if step.reclaims < RECLAIMS_TO_GIVE_UP:
        in_doubt(turn, path, why)
        return
    error = ErrorInfo(
        code="worker_lost",
        kind="worker_lost",
        message=f"{step.reclaims} workers died or fell silent while they ran {path}{LAST_WORD}{why}",
    )
    settle(turn, path, step)
    turn.record("step_failed", path=path, step=step.step, attempt=step.attempt, dispatch=step.dispatch, error=error)
    fail_run(turn, path, error)


def in_doubt(turn: Activation, path: str, why: str) -> None:
    """Nobody knows whether the execution had its effect."""
    if end_unsure(turn, path, why):
        return
    step, definition = turn.state.steps[path], turn.plan.steps[path].definition
    effect = definition.effect
    match effect:
        case "NONE" | "IDEMPOTENT" | "KEYED":
            # A key that has expired is noticed there, at every dispatch.
            dispatch(turn, path)
        case "CHECKED":
            leave_waiting(turn, path, step)
            due_ms = check_at_ms(definition, step, turn.now_ms)
            turn.record("step_in_doubt", path=path, step=step.step, dispatch=step.dispatch, due_ms=due_ms, reason=why)
            wait_until(turn, path, due_ms)
        case "ONCE":
            ask_a_human(turn, path, why, None)
