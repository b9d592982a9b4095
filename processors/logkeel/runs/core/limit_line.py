"""One limit: who holds its slots, and the line of those who wait (decision 0030). Pure; values and rules.

First come, first served: nobody is served before the head of the line is. The head is served when fewer hold than it
says that the limit allows; of a rate, when the start that many before it is a whole `per_ms` ago. Time never goes back.
"""

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from logkeel.records import AcquireLimit, ErrorInfo, LimitAnswered, ReleaseLimit

FORGOTTEN_AT_ONCE = 2
"""Old starts of a rate that go with a new one: more than come, so that they get fewer, and no turn is long."""

FORGOTTEN_WHEN_IDLE = 1_000
"""Those that go when nobody waits."""


class AskerName(NamedTuple):
    """Whose claim it is: a step's, or with an empty path a run's."""

    run_id: str
    incarnation: str
    path: str

    @classmethod
    def of(cls, said: AcquireLimit | ReleaseLimit | LimitAnswered) -> "AskerName":
        """The one that the record is about."""
        return cls(said.run_id, said.incarnation, said.path)


class Asker(msgspec.Struct, frozen=True, array_like=True):
    """A claim. `place`: where in the line it waits; None: it holds. `since_ms`: since when it does.

    `amount`: how much of a budget; `or_fail`: it is refused, instead of waiting, if too little is left.
    """

    number: int
    limit: int
    home_partition: int
    since_ms: int
    per_ms: int | None = None
    place: int | None = None
    amount: int = 0
    or_fail: bool = False


class LineHead(msgspec.Struct, frozen=True, array_like=True):
    """How a limit stands. `in_use`: slots that are held. Places from `first` to before `next` are the line.

    Of a rate: `starts` there were so far, those from `oldest` on are remembered, for `window_ms`. `due_ms`: when the
    timer fires that is set. `last_ms`: the latest time that was seen. `spent`: of a budget, what counts as used.
    """

    in_use: int = 0
    first: int = 0
    next: int = 0
    starts: int = 0
    oldest: int = 0
    window_ms: int = 0
    due_ms: int | None = None
    last_ms: int = 0
    spent: int = 0


class Served(NamedTuple):
    """Who has got a slot, or never gets one because of `error`."""

    name: AskerName
    asker: Asker
    error: ErrorInfo | None = None


@dataclass(slots=True)
class Line:
    """A limit in hand; the maps are rows in the engine."""

    head: LineHead = field(default_factory=LineHead)
    askers: MutableMapping[AskerName, Asker] = field(default_factory=dict)
    waiting: MutableMapping[int, AskerName] = field(default_factory=dict)
    times: MutableMapping[int, int] = field(default_factory=dict)

    @property
    def is_forgotten(self) -> bool:
        """Whether nothing is left of it that anybody needs."""
        head = self.head
        return not head.in_use and head.first == head.next and head.oldest == head.starts

    def acquire(self, asked: AcquireLimit, now_ms: int) -> list[Served]:
        """A claim comes: it waits behind the others, or is served. Told once more, it is answered once more."""
        now_ms = self._at(now_ms)
        name = AskerName.of(asked)
        known = self.askers.get(name)
        if known is not None and known.number >= asked.number:
            return [Served(name, known)] if known.number == asked.number and known.place is None else []
        if known is not None:
            self._remove(name, known, None)
        place = self.head.next
        self.waiting[place] = name
        self.askers[name] = Asker(
            asked.number,
            asked.limit,
            asked.home_partition,
            now_ms,
            per_ms=asked.per_ms,
            place=place,
            amount=asked.amount or 0,
            or_fail=asked.or_fail,
        )
        self._change(next=place + 1)
        return self.serve(now_ms)

    def release(self, asked: ReleaseLimit, now_ms: int) -> list[Served]:
        """A claim has ended; who is served by that."""
        now_ms = self._at(now_ms)
        name = AskerName.of(asked)
        known = self.askers.get(name)
        if known is None or known.number != asked.number:
            return []
        self._remove(name, known, asked.used)
        return self.serve(now_ms)

    def on_timer(self, now_ms: int) -> list[Served]:
        """The timer that was set has fired."""
        self._change(due_ms=None)
        return self.serve(now_ms)

    def serve(self, now_ms: int) -> list[Served]:
        """Serve the line as far as it goes, and say in `due_ms` when it goes on by itself."""
        now_ms = self._at(now_ms)
        served: list[Served] = []
        due_ms: int | None = None
        while self.head.first != self.head.next:
            name = self.waiting.get(self.head.first)
            asker = None if name is None else self.askers[name]
            if name is not None and asker is not None:
                due_ms = self._due_ms(asker)
                if due_ms is None or due_ms > now_ms:
                    break
                served.append(self._serve(name, asker, now_ms))
            self._change(first=self.head.first + 1)
        idle = self.head.first == self.head.next
        if idle:
            self._forget(now_ms, FORGOTTEN_WHEN_IDLE)
            due_ms = self._forgets_ms()
        self._change(due_ms=due_ms)
        return served

    def _forgets_ms(self) -> int | None:
        """When the oldest thing that is remembered is to be forgotten."""
        oldest = self.times.get(self.head.oldest)
        return None if oldest is None else oldest + self.head.window_ms

    def _due_ms(self, asker: Asker) -> int | None:
        """When the head of the line may be served; None: when a slot is given back."""
        if asker.per_ms is None:
            return 0 if self.head.in_use < asker.limit else None
        number = self.head.starts - asker.limit
        before = self.times.get(number) if number >= self.head.oldest else None
        return 0 if before is None else before + asker.per_ms

    def _serve(self, name: AskerName, asker: Asker, now_ms: int) -> Served:
        del self.waiting[self.head.first]
        asker = Asker(asker.number, asker.limit, asker.home_partition, now_ms, per_ms=asker.per_ms)
        if asker.per_ms is None:
            self.askers[name] = asker
            self._change(in_use=self.head.in_use + 1)
        else:
            del self.askers[name]
            self.times[self.head.starts] = now_ms
            self._change(starts=self.head.starts + 1, window_ms=max(self.head.window_ms, asker.per_ms))
            self._forget(now_ms, FORGOTTEN_AT_ONCE)
        return Served(name, asker)

    def _forget(self, now_ms: int, at_most: int) -> None:
        """Starts that lie a whole window back are asked for no more."""
        oldest = self.head.oldest
        last = min(oldest + at_most, self.head.starts)
        while oldest < last and self.times[oldest] + self.head.window_ms <= now_ms:
            del self.times[oldest]
            oldest += 1
        self._change(oldest=oldest)

    def _remove(self, name: AskerName, asker: Asker, used: int | None) -> None:
        del self.askers[name]
        if asker.place is None:
            self._change(in_use=self.head.in_use - 1)
        else:
            del self.waiting[asker.place]

    def _at(self, now_ms: int) -> int:
        now_ms = max(now_ms, self.head.last_ms)
        self._change(last_ms=now_ms)
        return now_ms

    def _change(self, **changes: int | None) -> None:
        self.head = msgspec.structs.replace(self.head, **changes)
