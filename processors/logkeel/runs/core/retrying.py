"""Retrying a run that failed or took too long: it goes on in its incarnation, where it ended. Pure.

The step it failed at, and the steps that its end has cut off, get another try with new attempts and under their old
idempotency keys (P30); what is done stays done. Waits and questions begin anew, a sleep keeps its time, and a time
limit does not count the time in which the run had ended. No effect that may have happened is repeated blindly (P35).

What cannot be taken back is refused by name: an end that somebody has acted on, or that left nothing to go on with.
"""

from types import MappingProxyType

from logkeel.definitions import SleepBlock
from logkeel.records import RetryRun
from logkeel.runs.core.actions import Reject, ReopenRun, SetTimer
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.doubt import in_doubt
from logkeel.runs.core.flow import set_timers
from logkeel.runs.core.journal_timers import set_wait_timers
from logkeel.runs.core.limit_asking import may_go
from logkeel.runs.core.limit_uses import RUN
from logkeel.runs.core.moving import go_to
from logkeel.runs.core.paths import static
from logkeel.runs.core.pausing import release
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.retryable import Remains, children_of, remains
from logkeel.runs.core.state import RETRYABLE, CutOff, EndCause, RunState
from logkeel.runs.core.targets import ToWait

NOTHING = "nothing_to_retry"

_ENDED_BY_BLOCK: MappingProxyType[EndCause, tuple[str, str]] = MappingProxyType(
    {
        "within": (NOTHING, "its block {path} had taken too long, and what was open in it is gone"),
        "child": ("child_has_failed", "the child run at {path} has failed, and ended for good"),
        "element": ("elements_have_failed", "too many elements have failed, and they are closed; the last was {path}"),
        "undo": ("run_was_undone", "what it had done was undone before it ended"),
    }
)

_NOT_BY_A_STEP = frozenset(
    {
        *("loop_exhausted", "command_too_large", "result_too_large", "child_too_deep", "too_many_descendants"),
        "child_input_too_large",
    }
)
"""Codes of failures of blocks that would fail in the same way again."""

_FORK = "begin a new run from an earlier revision: logkeel run fork"


def retry(turn: Activation, request: RetryRun, request_id: str) -> None:
    """Go on where the run ended. Asked for once more under another id, it is refused: the run goes on already."""
    refusal = _refusal(turn, request)
    if refusal is not None:
        turn.do(refusal)
        return
    state, left = turn.state, remains(turn.state)
    cut, ended_ms, waits = dict(state.cut), state.head.finished_at_ms or 0, _failed_wait(state, left)
    info = state.info
    deadline_ms = None if info.deadline_ms is None else turn.now_ms + info.deadline_ms - info.started_at_ms
    turn.record(
        "run_retried",
        reason=request.reason,
        actor=request.requested_by,
        request_id=request_id,
        due_ms=deadline_ms,
    )
    turn.do(ReopenRun(ended_ms))
    if deadline_ms is not None:
        turn.do(SetTimer("run_deadline", deadline_ms))
    for path, wait in sorted(state.waits.items()):
        set_timers(turn, path, wait)
    may_go(turn, RUN)
    _ask_what_became(turn, left)
    _wait_again(turn, cut, waits)
    release(turn)


def _ask_what_became(turn: Activation, left: Remains) -> None:
    """A check, or a human, tells of effects that may have happened."""
    for path in left.steps:
        step, effect = turn.state.steps[path], turn.plan.steps[path].definition.effect
        if step.effect_since_ms is not None and effect in ("CHECKED", "ONCE"):
            in_doubt(turn, path, "the run had ended before it was known whether it had its effect")
            set_wait_timers(turn, turn.plan.steps[path])


def _wait_again(turn: Activation, cut: dict[str, CutOff], failed: str | None) -> None:
    """Questions and waits for signals begin anew, sleeps go on; the wait that the run failed at is one of them."""
    waits = ((path, each.wait) for path, each in cut.items() if each.wait is not None)
    again = {path: wait.due_ms for path, wait in waits if static(path) in turn.plan.waits}
    if failed is not None:
        again[failed] = None
    for path, due_ms in sorted(again.items()):
        if not turn.state.running:
            return
        if isinstance(turn.plan.waits[path].block, SleepBlock):
            turn.record("wait_started", path=path, name="sleep", due_ms=due_ms)
            set_timers(turn, path, turn.state.waits[path])
        else:
            go_to(turn, ToWait(static(path)), path)


def _failed_wait(state: RunState, left: Remains) -> str | None:
    end = state.head.block_end
    return end.path if end is not None and (end.cause, end.revision) == ("wait", left.cause) else None


def _refusal(turn: Activation, request: RetryRun) -> Reject | None:
    state, info, run = turn.state, turn.state.info, f"run {request.run_id}"
    if state.running:
        return Reject("run_not_ended", f"{run} has not ended; there is nothing to retry")
    if state.head.status not in RETRYABLE:
        reason = f"{run} has ended as {state.head.status}; only what failed or timed out is retried"
        return Reject("run_not_retryable", reason)
    if info.parent is not None and not info.parent.detached:
        parent = info.parent.run_id
        return Reject("retry_of_a_child", f"{run} is a child, and its parent {parent} was told of its end: see to that")
    if info.former_revisions is not None:
        reason = f"{run} is a turn of a conversation, which others may have followed; send it another message"
        return Reject("retry_of_a_turn", reason)
    return _nothing_left(state, turn.plan, run)


def _nothing_left(state: RunState, plan: Plan, run: str) -> Reject | None:
    """Why it cannot go on from where it ended."""
    left, end = remains(state), state.head.block_end
    code = "" if state.head.error is None else state.head.error.code
    by_block = None if end is None or end.revision != left.cause else _ENDED_BY_BLOCK.get(end.cause)
    if end is not None and end.cause == "element" and code != "too_many_failures":
        by_block = None  # it failed just before, and the run of something else
    if by_block is not None and end is not None:
        name, why = by_block
        return Reject(name, f"{run} cannot go on: {why.format(path=end.path)}; {_FORK}")
    awaited = any(each.wait is not None and each.wait.kind == "child" for each in state.cut.values())
    if awaited or any(children_of(state, plan, path) for path in left.steps):
        return Reject("child_has_ended", f"{run} had child runs under way, which were cancelled or failed; {_FORK}")
    by_step = left.failed is not None or _failed_wait(state, left) is not None
    if not by_step and (code in _NOT_BY_A_STEP or not (left.cut or state.cut)):
        return Reject(NOTHING, f"{run} has not failed at a step or a wait that could be tried again; {_FORK}")
    return None
