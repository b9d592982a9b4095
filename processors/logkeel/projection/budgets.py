"""Budgets as histories tell of them: what a run has used up by unit, and what its open steps may use yet. Pure."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from logkeel.records import RunEvent

if TYPE_CHECKING:
    from logkeel.projection.views import RunView


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """Of one unit: what has been used up, and what is reserved beyond that, by step path."""

    spent: int
    reserved: dict[str, int]

    @property
    def reserved_sum(self) -> int:
        """Of all steps together."""
        return sum(self.reserved.values())


def account_for(view: "RunView", event: RunEvent) -> None:
    """Reserve or settle what the event says."""
    path = event.path or ""
    for unit, amount in event.amounts.items():
        account = view.accounts.get(unit, AccountView(spent=0, reserved={}))
        reserved = {each: value for each, value in account.reserved.items() if each != path}
        if event.kind == "step_dispatched":
            view.accounts[unit] = AccountView(spent=account.spent, reserved={**reserved, path: amount})
        else:
            view.accounts[unit] = AccountView(spent=account.spent + amount, reserved=reserved)


def forget_reserved(view: "RunView") -> None:
    """A fork has used what was used up to there; what was under way is the other run's."""
    view.accounts = {unit: AccountView(spent=each.spent, reserved={}) for unit, each in view.accounts.items()}
