"""What a failed attempt leads to: another one, a check, a human, a rescue, or the end of the run. Pure."""

from logkeel.definitions import StepDefinition
from logkeel.records import ErrorInfo
from logkeel.runs.core.actions import RevokeStep
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.children import give_up_code
from logkeel.runs.core.flow import settle, wait_until
from logkeel.runs.core.moving import fail, go_to
from logkeel.runs.core.paths import static
from logkeel.runs.core.sagas import is_ending
from logkeel.runs.core.state import StepState
from logkeel.runs.core.targets import Target, ToUndone
from logkeel.runs.core.timing import key_expired, retry_delay_ms
from logkeel.runs.core.undo_paths import undo_path

FINAL_KINDS = frozenset({"fatal", "invalid_input", "worker_lost", "cancelled"})


def after_failure(turn: Activation, path: str, error: ErrorInfo) -> None:
    """Behind a recorded `step_failed`: retry, or fail for good.

    A CHECKED step whose attempt may have had its effect waits for its settle time, then is asked about first. A KEYED
    step whose key has expired counts as ONCE: a human decides.
    """
    step, definition = turn.state.steps[path], turn.plan.steps[path].definition
    if is_ending(turn.state, turn.plan, path):
        fail_run(turn, path, error)
        return
    may_have_happened = error.kind not in ("not_done", "invalid_input")
    if error.kind in FINAL_KINDS or not _may_retry(step, definition, error):
        fail_run(turn, path, error)
        return
    if may_have_happened and definition.effect == "KEYED" and key_expired(definition, step, turn.now_ms):
        why = "the key has expired"
        turn.record("step_in_doubt", path=path, step=step.step, dispatch=step.dispatch, error=error, reason=why)
        return
    delay_ms = retry_delay_ms(turn.state.info, path, step, definition.retry, error)
    if may_have_happened and definition.effect == "CHECKED":
        delay_ms = max(delay_ms, definition.settle_ms)
    if _gives_up(turn, step, path, delay_ms):
        fail_run(turn, path, error)
        return
    due_ms = turn.now_ms + delay_ms
    turn.record("step_retry_scheduled", path=path, step=step.step, attempt=step.next_attempt, due_ms=due_ms)
    wait_until(turn, path, due_ms)


def behind(turn: Activation, path: str) -> Target:
    """What follows a step that has succeeded: that it is undone, if its saga has failed meanwhile."""
    if is_ending(turn.state, turn.plan, path):
        return ToUndone(static(undo_path(path)))
    return turn.plan.steps[path].after


def end_unsure(turn: Activation, path: str, why: str) -> bool:
    """Whether the step's saga has failed: then it is not sent again and nobody is asked. It may have had its effect."""
    if not is_ending(turn.state, turn.plan, path):
        return False
    step = turn.state.steps[path]
    settle(turn, path, step)
    give_up_code(turn, path, why)
    turn.record("step_revoked", path=path, step=step.step, dispatch=step.dispatch, reason=why)
    turn.do(RevokeStep(path, step.dispatch, why))
    go_to(turn, behind(turn, path), path)
    return True


def fail_run(turn: Activation, path: str, error: ErrorInfo) -> None:
    """The step has failed for good: a rescue block around it goes on, or the run ends."""
    give_up_code(turn, path, f"step {path} failed")
    fail(turn, path, error, f"step {path} failed")


def _may_retry(step: StepState, definition: StepDefinition, error: ErrorInfo) -> bool:
    """Attempts are left, and the policy takes this error. A ONCE failure that gets here surely had no effect (P35)."""
    policy = definition.retry
    surely_not_done = error.kind == "not_done" or definition.effect == "ONCE"
    return step.failures - step.forgiven < policy.max_attempts and (policy.on != "not_done" or surely_not_done)


def _gives_up(turn: Activation, step: StepState, path: str, delay_ms: int) -> bool:
    limit_ms = turn.plan.steps[path].definition.retry.give_up_after_ms
    taken_ms = turn.now_ms + delay_ms - step.first_dispatched_ms - step.suspended_ms
    return limit_ms is not None and taken_ms > limit_ms
