"""Undoing: what was to follow a failure, a cancel or a time-out waits until the sagas concerned are undone. Pure.

First, what is under way in them and has an undo may end. Then the undo steps run, one after the other, the newest step
first. Each is a step as any other: durable, with its own retries and effect; one that fails for good waits for a human.
Then what was deferred follows, as if it happened only now.
"""

from logkeel.errors import InvariantViolation
from logkeel.records import ErrorInfo, RunStatus
from logkeel.runs.core.actions import RevokeStep
from logkeel.runs.core.activation import Activation, Details
from logkeel.runs.core.flow import ask_a_human, cancel_under, dispatch
from logkeel.runs.core.paths import below
from logkeel.runs.core.sagas import AT_WORK, concerned, is_busy, is_undone, needs_undo, region_key, region_of, steps_of
from logkeel.runs.core.state import Deferred
from logkeel.runs.core.undo_paths import UNDO, undo_path


def begin(turn: Activation, region: str, then: Deferred) -> bool:
    """Whether something has to be undone before `then` follows; it is begun, and the caller does nothing more.

    A region that is in one that is being undone already waits with it.
    """
    state, plan = turn.state, turn.plan
    if not state.head.open_sagas:
        return False
    if region_of(state, region) is not None:
        return True
    sagas = concerned(state, plan, region, then)
    steps = [(p, s) for p, s in steps_of(state, plan, sagas) if needs_undo(s, plan, p) and not is_undone(state, p)]
    if not steps and not any(wait.kind == "undo" for _, wait in below(state.waits, region)):
        return False
    # What has just failed for good may still be with a worker, which it was not to be for so long.
    failed = then.path if then.kind == "fail" else None
    keep = {path for path, step in steps if is_busy(state, path, step) and path != failed}
    keep |= {undo_path(path) for path, _ in steps}
    cancel_under(turn, region, then.reason or then.kind, keep=keep)
    details: Details = {"path": region, "name": then.kind, "reason": then.reason, "error": then.error}
    details["attributes"] = {"at": then.path}
    if then.status is not None:
        details["status"] = then.status
    turn.record("undo_started", **details)
    if advance(turn, region) is not None:
        raise InvariantViolation(f"nothing is to be undone in {region or 'the run'}", run_id=state.info.run_id)
    return True


def advance(turn: Activation, region: str) -> Deferred | None:
    """Undo the next step, if nothing is under way; what follows if all is undone."""
    state, wait = turn.state, turn.state.waits[region_key(region)]
    steps = list(steps_of(state, turn.plan, wait.sagas))
    if any(is_busy(state, path, step) for path, step in steps):
        return None
    left = [(s.ended_revision, p) for p, s in steps if needs_undo(s, turn.plan, p) and not is_undone(state, p)]
    if left:
        dispatch(turn, undo_path(max(left)[1]))
        return None
    turn.record("undo_ended", path=region, name=None if wait.then is None else wait.then.kind)
    return wait.then


def end_later(turn: Activation, status: RunStatus, error: ErrorInfo | None, reason: str | None) -> bool:
    """Whether the end of the run has to wait until its sagas are undone."""
    return begin(turn, "", Deferred(kind="end", path="", status=status, error=error, reason=reason))


def cannot_undo(turn: Activation, path: str, error: ErrorInfo) -> None:
    """An undo step has failed for good, or cannot be sent: never passed over, a human decides."""
    step = turn.state.steps.get(path)
    if step is None:
        name = turn.plan.steps[path].definition.name
        turn.record("step_dispatched", path=path, step=name, attempt=1, dispatch=1)
    elif step.phase in AT_WORK:
        turn.do(RevokeStep(path, step.dispatch, error.code))
    ask_a_human(turn, path, f"what {path.removesuffix(f'/{UNDO}')} did could not be undone: {error.message}", error)
