"""What child runs may use of their parent's budgets (decision 0034). Pure.

A child gets a share when it is started: as much as its author says, else a part of what is left. That is reserved as
what a step may use is, and the child has it for a budget of its own, of which its children get shares in turn. Its end
settles it, once, whoever waits for the child by then; with the end of the parent the shares of children that are under
way count in full. So what a tree of runs has used and reserved is never more than its root has.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import UnsetType
from msgspec.structs import replace

from logkeel.definitions import ChildBlock
from logkeel.records import Allowance, EventKind, RunEvent
from logkeel.runs.core.budgets import WALL_MS, Lack, Told, lack, limit_of, run_budgets
from logkeel.runs.core.child_again import is_again
from logkeel.runs.core.limit_claims import LimitClaim, is_share, share_place
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.state import Account, RunState

KINDS: Final[frozenset[EventKind]] = frozenset({"child_started", "child_ended", "child_settled", "run_completed"})
"""Events that reserve or settle shares."""

NUMBER: Final = "number"
"""Attribute of an event that settles a share: the revision that has started the child."""


def uses_of(block: ChildBlock) -> Mapping[str, int]:
    """What the author of a block says that its child uses."""
    return {} if isinstance(block.uses, UnsetType) else block.uses


def share_of_block(state: RunState, plan: Plan, path: str) -> dict[str, int]:
    """What the child of this block gets. One that is told to go on has what it got when it was started."""
    placed = plan.children[path]
    if is_again(state, plan, path):
        return {}
    return share_of(state, plan, uses_of(placed.block), 0 if placed.block.detach else placed.width)


def lack_of_block(state: RunState, plan: Plan, path: str) -> Lack | None:
    """Why the child of this block may not be started, if so."""
    placed = plan.children[path]
    if is_again(state, plan, path):
        return None
    return lack_of(state, plan, uses_of(placed.block), 0 if placed.block.detach else placed.width)


def lack_of(state: RunState, plan: Plan, uses: Mapping[str, int], parts: int) -> Lack | None:
    """Why a child that uses so much may not be started. `parts`: of what is left it gets one; 0: none.

    Where others have reserved all that is left, it waits: what they do not use is for it.
    """
    found = lack(state, plan, uses)
    for budget in run_budgets(state.info, plan) if found is None and parts else ():
        account = state.head.accounts.get(budget.unit, Account())
        limit = limit_of(budget, account)
        left = max(limit - account.spent, 0)
        if budget.unit in (WALL_MS, *uses) or not left or not account.reserved:
            continue
        if left - account.reserved < parts:
            return Lack(budget, parts, limit, left, waits=True)
    return found


def share_of(state: RunState, plan: Plan, uses: Mapping[str, int], parts: int) -> dict[str, int]:
    """What a child gets that is started now, by unit. Time is each run's own."""
    share: dict[str, int] = {}
    for budget in run_budgets(state.info, plan):
        account = state.head.accounts.get(budget.unit, Account())
        free = max(limit_of(budget, account) - account.spent - account.reserved, 0)
        if budget.unit in uses:
            share[budget.unit] = uses[budget.unit]
        elif parts and budget.unit != WALL_MS:
            share[budget.unit] = min(free // parts, share.get(budget.unit, free))
    return dict(sorted(share.items()))


def allowances(state: RunState, plan: Plan, share: Mapping[str, int]) -> tuple[Allowance, ...]:
    """The share as the child is told; as its parent would, it asks a human or fails when that is used up."""
    asking = {budget.unit for budget in run_budgets(state.info, plan) if budget.on_exhausted == "ask"}
    return tuple(Allowance(unit=unit, limit=limit, asks=unit in asking) for unit, limit in share.items())


def amounts_of_children(state: RunState, told: Told) -> dict[str, int]:
    """What the event that is about to be told reserves for a child, or settles of children, by unit."""
    if told.kind == "child_started":
        return dict(told.used)
    amounts: dict[str, int] = {}
    for _, claim in _ended(state, told.kind, told.number):
        for unit, most in claim.uses.items():
            amounts[unit] = amounts.get(unit, 0) + told.used.get(unit, most)
    return amounts


def account_for(state: RunState, event: RunEvent) -> None:
    """Reserve a share, or settle it. Before the event is applied."""
    if event.kind == "child_started":
        _reserve(state, event)
        return
    number = event.attributes.get(NUMBER)
    ended = list(_ended(state, event.kind, None if number is None else int(number)))
    if not ended:
        return
    for place, claim in ended:
        del state.claims[place]
        state.head.claims -= 1
        for unit, most in claim.uses.items():
            account = state.head.accounts[unit]
            state.head.accounts[unit] = replace(account, reserved=account.reserved - most)
    for unit, amount in event.amounts.items():
        account = state.head.accounts.get(unit, Account())
        state.head.accounts[unit] = replace(account, spent=account.spent + amount)


def _reserve(state: RunState, event: RunEvent) -> None:
    detached = "detached" in event.attributes
    for unit, amount in event.amounts.items():
        account = state.head.accounts.get(unit, Account())
        # Nobody tells what a detached child has used: it counts in full.
        spent, reserved = (amount, 0) if detached else (0, amount)
        state.head.accounts[unit] = replace(account, spent=account.spent + spent, reserved=account.reserved + reserved)
    if event.amounts and not detached:
        state.head.claims += 1
        state.claims[share_place(event.revision)] = LimitClaim(
            event.revision, event.at_ms, (), uses=event.amounts, counts=True
        )


def _ended(state: RunState, kind: EventKind, number: int | None) -> list[tuple[str, LimitClaim]]:
    if not state.head.claims:
        return []
    if kind == "run_completed":
        return sorted((place, claim) for place, claim in state.claims.items() if is_share(place))
    claim = None if number is None else state.claims.get(share_place(number))
    return [] if claim is None or number is None else [(share_place(number), claim)]
