"""What events do to the claims of a run. Part of `apply`. Pure.

Here, and in `changing.free`, is the only way out of a claim: whoever records the event need not think of it.
"""

from msgspec.structs import replace

from logkeel.errors import InvariantViolation
from logkeel.records import RunEvent
from logkeel.runs.core.changing import free, path_of, unhold
from logkeel.runs.core.limit_claims import LimitClaim
from logkeel.runs.core.limit_uses import uses_at
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.state import RunState

_GOES_ON = frozenset({"limit_asked", "limit_granted"})
"""Behind them the claim is as they say."""


def asked(state: RunState, event: RunEvent, plan: Plan) -> None:
    """A claim begins, or goes on with its next limit. Whoever held the step is gone; it waits without a timer."""
    path = path_of(event)
    unhold(state, path)
    if path not in state.claims:
        state.head.claims += 1
        state.claims[path] = LimitClaim(event.revision, event.at_ms, uses_at(state, plan, path))
    step = state.steps.get(path) if path else None
    if step is not None and step.phase != "suspended":
        state.steps[path] = replace(step, phase="waiting", due_ms=None, reclaimed=False, holder=None)


def granted(state: RunState, event: RunEvent, plan: Plan) -> None:
    """One more slot is held."""
    path = path_of(event)
    claim = state.claims.get(path)
    if claim is None or claim.is_whole:
        raise InvariantViolation(f"{path or 'the run'} does not wait for a limit", run_id=state.info.run_id)
    state.claims[path] = replace(claim, held=claim.held + 1)


def end_claim(state: RunState, event: RunEvent) -> None:
    """Free what the event's step holds if it is not with a worker any more, or waits for what it needs no more."""
    path = path_of(event)
    claim = state.claims.get(path) if path else None
    if claim is None or event.kind in _GOES_ON:
        return
    if event.amounts and event.kind != "step_dispatched" and claim.has_budgets:
        # What is settled is given back, and whoever is sent anew asks for its own.
        free(state, path, event.amounts)
        return
    step = state.steps.get(path)
    is_out = step is not None and step.phase in ("dispatched", "started")
    waits_on = step is not None and step.is_open and not claim.is_whole
    if event.kind == "step_held" or not (is_out or waits_on):
        free(state, path)
