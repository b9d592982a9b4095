"""How a slot of a limit is asked for (decision 0030). Pure."""

from typing import Literal

from logkeel.runs.core.actions import AcquireSlot
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.limit_claims import LimitClaim, LimitUse
from logkeel.runs.core.limit_uses import label, limits_at, shared_at, uses_at
from logkeel.runs.core.paths import is_in_code, split_place


def may_go(turn: Activation, path: str) -> bool:
    """Whether what is at `path` holds all slots it needs. If not, it asks for them, unless it waits already."""
    if not limits_at(turn.plan, path) and not shared_at(turn.plan, path):
        return True
    claim = turn.state.claims.get(path) if turn.state.head.claims else None
    if claim is None:
        ask(turn, path, None)
        return False
    return claim.is_whole


def ask(turn: Activation, path: str, claim: LimitClaim | None) -> None:
    """Ask for the next slot of a claim, or (None) for the first one of a new claim."""
    use = uses_at(turn.state, turn.plan, path)[0] if claim is None else claim.limits[claim.held]
    tell(turn, "limit_asked", path, use)
    turn.do(AcquireSlot(path, turn.state.claims[path].number, use))


def tell(turn: Activation, kind: Literal["limit_asked", "limit_granted"], path: str, use: LimitUse) -> None:
    """Record that a slot is asked for, or granted."""
    facts = {"kind": use.kind, "limit": use.name, "key": use.key, "allows": str(use.limit)}
    if use.per_ms is not None:
        facts["per_ms"] = str(use.per_ms)
    if use.amount is not None:
        facts["amount"] = str(use.amount)
    if path:
        step = turn.plan.steps[split_place(path)[0] if is_in_code(path) else path].definition.name
        turn.record(kind, path=path, step=step, name=label(use), attributes=facts)
    else:
        turn.record(kind, name=label(use), attributes=facts)
