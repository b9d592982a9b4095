"""What `run_forked` does to the state: the run goes on from here, as if it had done all before it. Part of `apply`."""

from msgspec.structs import replace

from logkeel.records import RunEvent
from logkeel.runs.core import call_claims
from logkeel.runs.core.budget_events import forget_reserved
from logkeel.runs.core.changing import end_wait, hold, write
from logkeel.runs.core.limit_claims import is_share
from logkeel.runs.core.limit_uses import RUN
from logkeel.runs.core.paths import is_in_code, is_slot
from logkeel.runs.core.places import ROOT_SCOPE
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.state import RunState, StepState


def forked(state: RunState, event: RunEvent, plan: Plan) -> None:
    """Open steps are held, to be sent anew, and so are children, which begin anew as its own; the edits are written.

    No execution of this run can have had an effect yet, since its keys are its own (P30): nothing of it is in doubt,
    and calls that code had begun are as if never tried.
    """
    state.head.paused_at_ms = None
    state.head.retries = 0
    for path, step in list(state.steps.items()):
        if step.is_open:
            state.steps[path] = _anew(step, event.at_ms)
            _forget_intents(state, path, plan)
            hold(state, path, event.revision)
    for path, wait in list(state.waits.items()):
        if wait.kind == "child":
            state.head.descendants -= wait.reserved
            end_wait(state, path)
            hold(state, path, event.revision)
    own = state.claims.get(RUN)
    state.head.forked = own is None or own.is_whole
    for path in list(state.claims):
        # Its slots are the other run's; it asks for its own when it is sent.
        if path != RUN and path not in state.steps and not is_in_code(path) and not is_share(path):
            hold(state, path, event.revision)
        del state.claims[path]
    state.head.claims = 0
    forget_reserved(state)
    write(state, ROOT_SCOPE, event.writes, event.revision)


def _anew(step: StepState, at_ms: int) -> StepState:
    again = {"dispatched": 1, "started": 1, "in_doubt": 1}.get(step.phase, 0)
    since_ms = step.suspended_since_ms
    return replace(
        step,
        phase="waiting",
        next_attempt=max(step.next_attempt, step.attempt + again),
        first_dispatched_ms=at_ms,
        reclaims=0,
        refusals=0,
        given_back=0,
        due_ms=None,
        check_first=False,
        check_not_before_ms=None,
        reclaimed=False,
        holder=None,
        started_at_ms=None,
        effect_since_ms=None,
        progress=None,
        heard_ms=None,
        suspended_since_ms=None,
        suspended_ms=step.suspended_ms + (0 if since_ms is None else at_ms - since_ms),
        doubt=None,
        begun={},
    )


def _forget_intents(state: RunState, path: str, plan: Plan) -> None:
    if plan.steps[path].definition.journaled is not True:
        return
    for position, entry in list(state.journal.of(path)):
        if is_slot(position):
            call_claims.forget(state, path, position)
        elif entry.state == "intent" and entry.waits_for is None:
            del state.journal[path, position]
