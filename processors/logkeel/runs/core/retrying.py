"""Retrying a run that failed or took too long: it goes on in its incarnation, where it ended. Pure.

The step it failed at, and the steps that its end has cut off, get another try with new attempts and under their old
idempotency keys (P30); what is done stays done. Waits and questions begin anew, a sleep keeps its time, and a time
limit does not count the time in which the run had ended. No effect that may have happened is repeated blindly (P35).
Elements that have failed are retried with it, and so is a run that succeeded but for elements of its last block.

What cannot be taken back is refused by name: an end that somebody has acted on, or that left nothing to go on with.
"""

from types import MappingProxyType

from logkeel.records import Parent, RetryRun
from logkeel.runs.core.actions import Reject, ReopenRun, SetTimer
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.apply_retry import by_its_parent
from logkeel.runs.core.closed_elements import (
    NOT_BY_A_STEP,
    Again,
    again_of,
    failed_child,
    failed_wait,
    last_each,
    open_eaches,
    still_too_many,
    was_abandoned,
)
from logkeel.runs.core.code_again import has_abandoned
from logkeel.runs.core.flow import set_timers
from logkeel.runs.core.limit_asking import may_go
from logkeel.runs.core.limit_uses import RUN
from logkeel.runs.core.limiting import enter
from logkeel.runs.core.moving import go_to
from logkeel.runs.core.paths import static
from logkeel.runs.core.pausing import release
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.state import RETRYABLE, EndCause, RunState
from logkeel.runs.core.taking_up import ask_what_became, waits_again
from logkeel.runs.core.targets import ToElements, ToEnd

NOTHING = "nothing_to_retry"

_AT_ONCE = 3
"""The revision of the end of a run whose cancel came first: behind its start and the cancel."""

_FORK = "begin a new run from an earlier revision: logkeel run fork"

_ENDED_BY_BLOCK: MappingProxyType[EndCause, tuple[str, str]] = MappingProxyType(
    {
        "within": (NOTHING, "its block {path} had taken too long, and what was open in it is gone"),
        "element": ("elements_have_failed", "elements have failed at what cannot be retried; the last: {path}"),
        "undo": ("run_was_undone", "what it had done was undone before it ended"),
    }
)


def retry(turn: Activation, request: RetryRun, request_id: str, parent: Parent | None = None) -> None:
    """Go on where the run ended. Asked for once more under another id, it is refused: the run goes on already.

    `parent`: who asks, of a child; it waits for the end that follows.
    """
    again = again_of(turn.state, turn.plan)
    refusal = _refusal(turn, request, again, parent)
    if refusal is not None:
        turn.do(refusal)
        return
    state, never_entered = turn.state, _was_cancelled_at_once(turn.state)
    ended_ms, wait = state.head.finished_at_ms or 0, failed_wait(state.head.block_end, again.left)
    info = state.info
    deadline_ms = None if info.deadline_ms is None else turn.now_ms + info.deadline_ms - info.started_at_ms
    turn.record(
        "run_retried",
        reason=request.reason,
        actor=request.requested_by,
        request_id=request_id,
        due_ms=deadline_ms,
        parent=parent,
    )
    turn.do(ReopenRun(ended_ms))
    if deadline_ms is not None:
        turn.do(SetTimer("run_deadline", deadline_ms))
    for path, each in sorted(turn.state.waits.items()):
        set_timers(turn, path, each)
    may_go(turn, RUN)
    ask_what_became(turn, again.left.steps)
    for place in waits_again(turn, again.cut, wait):
        go_to(turn, place.target, place.inside)
    if never_entered and turn.state.running:
        enter(turn)
    release(turn)
    for path in open_eaches(turn.state):
        go_to(turn, ToElements(static(path)), path)


def _was_cancelled_at_once(state: RunState) -> bool:
    """Whether the cancel came before the start, so that the flow was never entered."""
    return state.head.status == "cancelled" and state.head.ended_revision == _AT_ONCE


def _refusal(turn: Activation, request: RetryRun, again: Again, asking: Parent | None) -> Reject | None:
    state, info, run = turn.state, turn.state.info, f"run {request.run_id}"
    if state.running:
        return Reject("run_not_ended", f"{run} has not ended; there is nothing to retry")
    revived = asking is not None and by_its_parent(state)
    if state.head.status not in RETRYABLE and not again.elements and not revived:
        return _succeeded(state, turn.plan, run)
    if info.parent is not None and not info.parent.detached and asking is None:
        reason = f"{run} is a child, and its parent was told of its end; retry that, and this goes on with it"
        return Reject("retry_of_a_child", f"{reason}: logkeel run retry {info.parent.run_id}")
    if state.head.unjoined:
        reason = f"{run} is a turn whose open branches wrote to fields that are kept, which its end has dropped"
        return Reject("retry_of_a_turn", f"{reason}; send another message")
    is_whole = state.head.status == "succeeded" or _was_cancelled_at_once(state)
    return None if is_whole else _nothing_left(turn, run, again)


def _succeeded(state: RunState, plan: Plan, run: str) -> Reject:
    """It has not failed, or only elements that nobody can go on with."""
    status = state.head.status
    each = last_each(state, plan) if status == "succeeded" else None
    if each is None:
        return Reject("run_not_retryable", f"{run} has ended as {status}; only what failed or timed out is retried")
    if plan.eaches[each].after == ToEnd():
        why = _ENDED_BY_BLOCK["element"][1].format(path=each)
        return Reject("elements_have_failed", f"{run} cannot go on: {why}; {_FORK}")
    failed = state.ended_eaches[each].failed
    reason = f"{run} has done what follows {each} without its {failed} failed elements, and nothing is done twice"
    remedy = "start a run with these elements, or fork this one from before they failed: logkeel run fork --at"
    return Reject("flow_has_gone_on", f"{reason}; {remedy}")


def _nothing_left(turn: Activation, run: str, again: Again) -> Reject | None:
    """Why it cannot go on from where it ended."""
    state, plan, left, end = turn.state, turn.plan, again.left, turn.state.head.block_end
    code = "" if state.head.error is None else state.head.error.code
    by_block = None if end is None or end.revision != left.cause else _ENDED_BY_BLOCK.get(end.cause)
    by_elements = end is not None and end.cause == "element"
    if by_elements and not (code == "too_many_failures" and still_too_many(state, plan, again)):
        by_block = None  # it failed just before, and the run of something else; or it goes on
    if by_block is not None and end is not None:
        name, why = by_block
        return Reject(name, f"{run} cannot go on: {why.format(path=end.path)}; {_FORK}")
    if any(was_abandoned(plan, path, each) for path, each in again.cut.items()) or any(
        has_abandoned(state, plan, path) for path in left.steps
    ):
        reason = f"{run} had child runs that go on by themselves"
        return Reject("child_has_ended", f"{reason}; {_FORK}")
    by_step = left.failed is not None or failed_wait(end, left) is not None or failed_child(end, left) is not None
    by_step = by_step or by_elements
    if not by_step and (code in NOT_BY_A_STEP or not (left.cut or again.cut)):
        return Reject(NOTHING, f"{run} has not failed at a step or a wait that could be tried again; {_FORK}")
    return None
