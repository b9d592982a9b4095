"""One budget that runs share: what is used, what is reserved, and the line of those who wait (decision 0031). Pure.

A line like that of a limit, in which every claim takes as much as it says. A claim that ends gives back what it has not
used; nobody says what a claim has used that was lost with its run, so that counts with all of it. What is used counts
for one window from when that was told, or for ever if there is none.

Who comes first is served first. Where the budget is to fail, the head of the line is refused once what is used alone
leaves it too little; as long as only what others have reserved is in its way, it waits.
"""

from collections.abc import MutableMapping
from dataclasses import dataclass, field

import msgspec

from logkeel.records import ErrorInfo
from logkeel.runs.core.limit_line import FORGOTTEN_WHEN_IDLE, Asker, AskerName, Line, Served


class Charge(msgspec.Struct, frozen=True, array_like=True):
    """What a claim has used, and when that was told."""

    at_ms: int
    amount: int


@dataclass(slots=True)
class BudgetLine(Line):
    """A shared budget in hand. `in_use` of its head is what is reserved, `spent` what counts as used.

    `charges`: what is used within a window, by number; the map is rows in the engine.
    """

    charges: MutableMapping[int, Charge] = field(default_factory=dict)

    @property
    def is_forgotten(self) -> bool:
        """Whether nothing is left of it that anybody needs."""
        head = self.head
        return not head.in_use and not head.spent and head.first == head.next

    def serve(self, now_ms: int) -> list[Served]:
        """Serve the line as far as it goes, and say in `due_ms` when it goes on by itself."""
        self._forget(self._at(now_ms), FORGOTTEN_WHEN_IDLE)
        return Line.serve(self, now_ms)

    def _due_ms(self, asker: Asker) -> int | None:
        if self._has_room(asker) or self._is_in_vain(asker):
            return 0
        oldest_ms = self._forgets_ms()
        # One that is over by now, and not forgotten yet since there are so many, is forgotten by the next timer.
        return None if oldest_ms is None else max(oldest_ms, self.head.last_ms + 1)

    def _serve(self, name: AskerName, asker: Asker, now_ms: int) -> Served:
        del self.waiting[self.head.first]
        if not self._has_room(asker):
            del self.askers[name]
            return Served(name, asker, self._exhausted(name, asker))
        asker = msgspec.structs.replace(asker, since_ms=now_ms, place=None)
        self.askers[name] = asker
        self._change(in_use=self.head.in_use + asker.amount, window_ms=max(self.head.window_ms, asker.per_ms or 0))
        return Served(name, asker)

    def _remove(self, name: AskerName, asker: Asker, used: int | None) -> None:
        del self.askers[name]
        if asker.place is not None:
            del self.waiting[asker.place]
            return
        used = asker.amount if used is None else used
        self._change(in_use=self.head.in_use - asker.amount, spent=self.head.spent + used)
        if used and asker.per_ms is not None:
            self.charges[self.head.starts] = Charge(self.head.last_ms, used)
            self._change(starts=self.head.starts + 1)

    def _forget(self, now_ms: int, at_most: int) -> None:
        """What was used a whole window ago counts no more."""
        oldest, spent = self.head.oldest, self.head.spent
        last = min(oldest + at_most, self.head.starts)
        while oldest < last and self.charges[oldest].at_ms + self.head.window_ms <= now_ms:
            spent -= self.charges.pop(oldest).amount
            oldest += 1
        if oldest != self.head.oldest:
            self._change(oldest=oldest, spent=spent)

    def _forgets_ms(self) -> int | None:
        oldest = self.charges.get(self.head.oldest)
        return None if oldest is None else oldest.at_ms + self.head.window_ms

    def _has_room(self, asker: Asker) -> bool:
        return self.head.spent + self.head.in_use + asker.amount <= asker.limit

    def _is_in_vain(self, asker: Asker) -> bool:
        return asker.or_fail and self.head.spent + asker.amount > asker.limit

    def _exhausted(self, name: AskerName, asker: Asker) -> ErrorInfo:
        left = max(asker.limit - self.head.spent, 0)
        within = "" if asker.per_ms is None else f" within {asker.per_ms} ms"
        message = (
            f"{name.path} may use {asker.amount}, and of the {asker.limit} that runs share{within} {left} are left:"
            " raise the budget, let the step say that it uses less, or catch budget_exhausted with rescue"
        )
        return ErrorInfo(code="budget_exhausted", kind="fatal", message=message)
