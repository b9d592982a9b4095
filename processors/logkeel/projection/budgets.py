"""Budgets as histories tell of them: what a run has used up by unit, and what its open steps may use yet. Pure."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from logkeel.records import RunEvent

if TYPE_CHECKING:
    from logkeel.projection.views import RunView


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """Of one unit: what has been used up, and what is reserved beyond that, by step path.

    `granted`: what humans have given on top of the budget.
    """

    spent: int = 0
    reserved: dict[str, int] = field(default_factory=dict)
    granted: int = 0

    @property
    def reserved_sum(self) -> int:
        """Of all steps together."""
        return sum(self.reserved.values())


def account_for(view: "RunView", event: RunEvent) -> None:
    """Reserve or settle what the event says."""
    path = event.path or ""
    for unit, amount in event.amounts.items():
        account = view.accounts.get(unit, AccountView())
        if event.kind == "question_answered":
            view.accounts[unit] = replace(account, granted=account.granted + amount)
            continue
        reserved = {each: value for each, value in account.reserved.items() if each != path}
        if event.kind == "step_dispatched":
            view.accounts[unit] = replace(account, reserved={**reserved, path: amount})
        else:
            view.accounts[unit] = replace(account, spent=account.spent + amount, reserved=reserved)


def forget_reserved(view: "RunView") -> None:
    """A fork has used what was used up to there; what was under way is the other run's."""
    view.accounts = {unit: replace(each, reserved={}) for unit, each in view.accounts.items()}
