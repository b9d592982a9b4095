"""What the end of a run keeps for a retry, and what a retry does to the state. Part of `apply`. Pure."""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from logkeel.errors import InvariantViolation
from logkeel.records import RunEvent
from logkeel.runs.core.changing import begin_wait, hold
from logkeel.runs.core.closed_elements import again_of, failed_child
from logkeel.runs.core.code_again import forget_calls
from logkeel.runs.core.limit_claims import is_share
from logkeel.runs.core.paths import below, without_element
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.retryable import Remains
from logkeel.runs.core.state import RETRYABLE, BlockEnd, CutOff, RunState, StepState, WaitState

_RESTORED = ("within", "saga")
"""Waits that go on as they are; the others begin anew with the events behind the retry."""


def keep_cut(state: RunState, path: str = "", at_ms: int | None = None) -> None:
    """The run, or an element, has failed: what waits in it, and what was about to be sent at first, is kept."""
    for each, wait in below(state.waits, path) if state.head.open_waits else ():
        if wait.kind != "undo":
            state.cut[each] = CutOff(wait=wait, at_ms=at_ms)
    for each, _ in below(state.held, path) if state.head.held_steps else ():
        if each not in state.steps and each not in state.cut:
            state.cut[each] = CutOff(at_ms=at_ms)
    for each, _ in below(state.claims, path) if state.head.claims else ():
        if each and each not in state.steps and not is_share(each):
            state.cut[each] = CutOff(at_ms=at_ms)


def retried(state: RunState, event: RunEvent, plan: Plan) -> None:
    """The run goes on where it ended. What gets another try is held, to be sent with the events that follow."""
    head, again = state.head, again_of(state, plan)
    if head.status not in RETRYABLE and not again.elements and not by_its_parent(state):
        raise InvariantViolation(f"a run that is {head.status} is not retried", run_id=state.info.run_id)
    line_up(state, again.elements)
    try_again(state, again.left.steps, event, plan)
    restore(state, again.cut, event)
    ask_child_again(state, head.block_end, again.left, event)
    head.parent, head.cancelled_by = event.parent or head.parent, None
    head.status, head.error, head.finished_at_ms, head.paused_at_ms = "running", None, None, None
    head.retries += 1
    head.deadline_ms = event.due_ms
    head.block_end = None


def try_again(state: RunState, steps: Iterable[str], event: RunEvent, plan: Plan) -> None:
    """Steps that have ended get another try: they are held, and the calls that their code failed at are forgotten."""
    for path in steps:
        begun = forget_calls(state, plan, path)
        state.steps[path] = replace(_again(state.steps[path], event.at_ms), begun=begun)
        state.head.open_steps += 1
        hold(state, path, event.revision)


def restore(state: RunState, cut: Mapping[str, CutOff], event: RunEvent) -> None:
    """What was cut off is there again; the time in between does not count."""
    for path, each in cut.items():
        if each.wait is not None and each.wait.kind == "child":
            # What it was given is free until it is told to go on; until then it stays known that it had begun.
            state.head.descendants -= each.wait.reserved
            state.cut[path] = CutOff(wait=replace(each.wait, reserved=0))
            hold(state, path, event.revision)
            continue
        del state.cut[path]
        if each.wait is None:
            hold(state, path, event.revision)
        elif each.wait.kind in _RESTORED:
            cut_ms = each.at_ms or state.head.finished_at_ms or event.at_ms
            due_ms = None if each.wait.due_ms is None else each.wait.due_ms + event.at_ms - cut_ms
            begin_wait(state, path, replace(each.wait, due_ms=due_ms))


def ask_child_again(state: RunState, end: BlockEnd | None, left: Remains, event: RunEvent) -> None:
    """The child that a run or an element has failed at is told to go on, or started if it never began."""
    path = failed_child(end, left)
    if path is None or end is None:
        return
    if end.child is not None:
        wait = WaitState(kind="child", number=end.revision, since_ms=event.at_ms, name=end.child)
        state.cut[path] = CutOff(wait=wait)
    hold(state, path, event.revision)


def by_its_parent(state: RunState) -> bool:
    """Whether the run was cancelled by the run that waited for it: that may tell it to go on."""
    parent = state.parent
    is_child = parent is not None and not parent.detached
    return is_child and state.head.status == "cancelled" and state.head.cancelled_by == (parent and parent.run_id)


def line_up(state: RunState, elements: Iterable[str]) -> None:
    """These begin again when their block has room for them; until then their errors stand."""
    for path in elements:
        whole = without_element(path)
        state.again[path] = state.failed_elements.pop(path)
        each = state.ended_eaches.pop(whole, None) or state.eaches[whole]
        state.eaches[whole] = replace(each, failed=each.failed - 1, again=each.again + 1)


def _again(step: StepState, at_ms: int) -> StepState:
    """Another try of the same step: attempts and times are counted anew, what may have had its effect is remembered."""
    since_ms = step.effect_since_ms
    if since_ms is None and step.effect_unknown:
        since_ms = step.started_at_ms or step.dispatched_ms
    return replace(
        step,
        phase="waiting",
        next_attempt=step.attempt + 1,
        first_dispatched_ms=at_ms,
        forgiven=step.failures,
        reclaims=0,
        refusals=0,
        given_back=0,
        due_ms=None,
        check_first=False,
        check_not_before_ms=None,
        reclaimed=False,
        holder=None,
        finished_at_ms=None,
        effect_unknown=False,
        error=None,
        effect_since_ms=since_ms,
        suspended_since_ms=None,
        suspended_ms=0,
        doubt=None,
        ended_revision=0,
    )
