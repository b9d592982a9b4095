"""What the end of a run keeps for a retry, and what a retry does to the state. Part of `apply`. Pure."""

from msgspec.structs import replace

from logkeel.errors import InvariantViolation
from logkeel.records import RunEvent
from logkeel.runs.core.changing import begin_wait, hold
from logkeel.runs.core.limit_claims import is_share
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.retryable import remains, to_forget
from logkeel.runs.core.state import RETRYABLE, CutOff, RunState, StepState

_RESTORED = ("within", "saga")
"""Waits that go on as they are; the others begin anew with the events behind the retry."""


def keep_cut(state: RunState) -> None:
    """The run has failed: what waits, and what was about to be sent for the first time, is kept."""
    for path, wait in state.waits.items() if state.head.open_waits else ():
        if wait.kind != "undo":
            state.cut[path] = CutOff(wait=wait)
    for path in state.held if state.head.held_steps else ():
        if path not in state.steps:
            state.cut[path] = CutOff()
    for path in state.claims if state.head.claims else ():
        if path and path not in state.steps and not is_share(path):
            state.cut[path] = CutOff()


def retried(state: RunState, event: RunEvent, plan: Plan) -> None:
    """The run goes on where it ended. What gets another try is held, to be sent with the events that follow."""
    head = state.head
    if head.status not in RETRYABLE:
        raise InvariantViolation(f"a run that is {head.status} is not retried", run_id=state.info.run_id)
    gone_ms = event.at_ms - (head.finished_at_ms or event.at_ms)
    for path in remains(state).steps:
        for position in to_forget(state, plan, path):
            del state.journal[path, position]
            if (path, position) in state.journal_waits:
                del state.journal_waits[path, position]
        state.steps[path] = _again(state.steps[path], event.at_ms)
        head.open_steps += 1
        hold(state, path, event.revision)
    for path, cut in list(state.cut.items()):
        del state.cut[path]
        if cut.wait is None:
            hold(state, path, event.revision)
        elif cut.wait.kind in _RESTORED:
            due_ms = cut.wait.due_ms
            begin_wait(state, path, replace(cut.wait, due_ms=None if due_ms is None else due_ms + gone_ms))
    head.status, head.error, head.finished_at_ms, head.paused_at_ms = "running", None, None, None
    head.retries += 1
    head.deadline_ms = event.due_ms
    head.block_end = None


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
