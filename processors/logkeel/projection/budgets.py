"""Budgets as histories tell of them: what a run has used up by unit, and what its open steps may use yet. Pure."""

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from logkeel.projection.code_limits import is_over
from logkeel.records import RunEvent

if TYPE_CHECKING:
    from logkeel.projection.views import RunView


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """Of one unit: what has been used up, and what is reserved beyond that, by step path.

    `granted`: what humans have given on top of the budget.
    """

    spent: int = 0
    reserved: dict[str, int] = {}
    granted: int = 0

    @property
    def reserved_sum(self) -> int:
        """Of all steps together."""
        return sum(self.reserved.values())


def account_for(view: "RunView", event: RunEvent) -> None:
    """Reserve or settle what the event says."""
    path = event.path or ""
    place = path if event.journal is None else f"{path}?{event.journal.position}"
    if event.kind == "child_started":
        place = f"{path}@{event.revision}"
    detached = "detached" in event.attributes
    for unit, amount in event.amounts.items():
        account = view.accounts.get(unit, AccountView())
        if event.kind == "question_answered":
            view.accounts[unit] = replace(account, granted=account.granted + amount)
            continue
        if event.kind in ("step_dispatched", "limit_asked", "step_resumed", "child_started") and not detached:
            view.accounts[unit] = replace(account, reserved={**account.reserved, place: amount})
        else:
            reserved = {each: value for each, value in account.reserved.items() if not _is_settled(each, event)}
            view.accounts[unit] = replace(account, spent=account.spent + amount, reserved=reserved)


def _is_settled(path: str, event: RunEvent) -> bool:
    """Whether what was reserved there ends with the event: the step's, or that of a call of its code."""
    if event.kind == "run_completed" or "@" in path:
        return event.kind == "run_completed" or path == f"{event.path}@{event.attributes.get('number')}"
    return is_over(path, event) or (path == event.path and event.kind != "step_journaled")


def forget_reserved(view: "RunView") -> None:
    """A fork has used what was used up to there; what was under way is the other run's."""
    view.accounts = {unit: replace(each, reserved={}) for unit, each in view.accounts.items()}
