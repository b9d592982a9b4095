"""Claims of runs and steps to slots of limits (decision 0030). Values only."""

from collections.abc import Mapping

import msgspec

from logkeel.records import LimitKind

_SHARE = "@"


def share_place(number: int) -> str:
    """Where the claim of a child run to its share of budgets stands, by the revision that has started it."""
    return f"{_SHARE}{number}"


def is_share(place: str) -> bool:
    """Whether it is such a place."""
    return place.startswith(_SHARE)


class LimitUse(msgspec.Struct, frozen=True, array_like=True):
    """A limit as one claim meets it: its key is known. `key` is `field=value`, empty for a limit of all.

    Of a budget `amount` of `unit` is claimed; `or_fail`: too little left is a failure, and not waited for.
    """

    kind: LimitKind
    name: str
    key: str
    limit: int
    per_ms: int | None = None
    amount: int | None = None
    unit: str = ""
    or_fail: bool = False

    @property
    def place(self) -> tuple[str, str, str]:
        """Which limit it is; not, how many it allows."""
        return self.kind, self.name, self.key


class LimitClaim(msgspec.Struct, frozen=True, array_like=True):
    """What a step, or a run, asks for and holds.

    `number`: the revision at which it began. `limits` are asked in their order; it holds the first `held` of them and
    waits in line for the next one, unless it holds them all. `used`: of budgets, by unit, when it has ended.
    Of a call of a step's code: `uses` is what it uses at most of budgets, by unit, and `counts` whether that is
    reserved of the run's. The same of a child run, which asks for nothing else.
    """

    number: int
    since_ms: int
    limits: tuple[LimitUse, ...]
    held: int = 0
    used: Mapping[str, int] = {}
    uses: Mapping[str, int] = {}
    counts: bool = False

    def used_of(self, use: LimitUse) -> int | None:
        """How much of what was reserved counts as used; None of what is no budget."""
        return None if use.amount is None else self.used.get(use.unit, 0)

    @property
    def has_budgets(self) -> bool:
        """Whether it claims amounts, which are settled with each execution."""
        return any(use.amount is not None for use in self.limits)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is waited for any more."""
        return self.held == len(self.limits)

    @property
    def to_release(self) -> tuple[LimitUse, ...]:
        """What others know of it: slots, and the line it waits in. A start that a rate has allowed is used up."""
        held = tuple(use for use in self.limits[: self.held] if use.kind != "rate")
        return (*held, *self.limits[self.held : self.held + 1])
