"""What follows when a run gets a slot of a limit that it has asked for (decision 0030). Pure.

A claim's end is no decision: `limit_events` ends it with the event that ends what it was for.
"""

from logkeel.records import ErrorInfo, LimitAnswered
from logkeel.runs.core import journal_limits
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.flow import complete, dispatch
from logkeel.runs.core.limit_asking import ask, may_go, tell
from logkeel.runs.core.limit_claims import LimitClaim, LimitUse
from logkeel.runs.core.limit_uses import RUN
from logkeel.runs.core.moving import fail, go_to
from logkeel.runs.core.paths import is_in_code, static
from logkeel.runs.core.pausing import release
from logkeel.runs.core.targets import ToStep


def enter(turn: Activation) -> None:
    """Begin with the flow, once the run has the slots it needs."""
    if may_go(turn, RUN):
        go_to(turn, turn.plan.first)


def answered(turn: Activation, message: LimitAnswered) -> bool:
    """The limit has answered; whether the slot is the run's: one that nobody waits for is to be given back."""
    claim = turn.state.claims.get(message.path) if turn.state.head.claims else None
    if message.incarnation != turn.state.info.incarnation or claim is None or claim.number != message.number:
        turn.ignore("nobody waits for this slot any more")
        return False
    place = (message.kind, message.name, message.key)
    if any(use.place == place for use in claim.limits[: claim.held]):
        turn.ignore("the slot is held already")
        return True
    if claim.is_whole or claim.limits[claim.held].place != place:
        turn.ignore("the claim waits for another limit")
        return False
    if message.error is None:
        _granted(turn, message.path, claim, claim.limits[claim.held])
    else:
        _refused(turn, message.path, message.error)
    return True


def _granted(turn: Activation, path: str, claim: LimitClaim, use: LimitUse) -> None:
    tell(turn, "limit_granted", path, use)
    claim = turn.state.claims[path]
    if not claim.is_whole:
        ask(turn, path, claim)
    elif is_in_code(path):
        journal_limits.granted(turn, path)
    elif path == RUN and (turn.state.head.retries or turn.state.head.forked):
        release(turn)
    elif path == RUN:
        go_to(turn, turn.plan.first)
    elif path in turn.state.steps:
        dispatch(turn, path)
    else:
        go_to(turn, ToStep(static(path)), path)


def _refused(turn: Activation, path: str, error: ErrorInfo) -> None:
    if is_in_code(path):
        journal_limits.refused(turn, path, error)
    elif path:
        fail(turn, path, error, f"step {path} does not get its slot")
    else:
        complete(turn, "failed", error, reason="the run does not get its slot")
