"""Crashes and doubts at every effect: a log client and a store directory that count calls and stop at one of them.

They wrap any implementation of the ports and change nothing but that. After the crash every further call crashes too,
so that a dying loop cannot tidy up: what it left is what a killed process leaves.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from logkeel.errors import CommitInDoubt
from logkeel.log import LogClient, Store, StoreDirectory

EFFECTS = frozenset(
    {"init_transactions", "begin", "produce", "flush", "send_offsets", "commit", "abort", "write", "seek", "resume"}
)
Manner = Literal["before", "after", "doubt_lost", "doubt_done"]


class CrashNow(BaseException):
    """The process died here. No `except Exception` may hold it."""


@dataclass
class CrashPlan:
    """Crash at effect number `at` (from 1), before or after it; or make the commit there doubtful, done or not."""

    at: int = 0
    manner: Manner = "before"
    count: int = 0
    dead: bool = False
    where: str = ""

    def call(self, name: str, function: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Perform one effect, or not."""
        if self.dead:
            raise CrashNow(name)
        self.count += 1
        if self.count != self.at:
            return function(*arguments, **named)
        self.where = name
        if self.manner.startswith("doubt"):
            return self._doubt(name, function, arguments, named)
        if self.manner == "after":
            function(*arguments, **named)
        self.dead = True
        raise CrashNow(name)

    def _doubt(self, name: str, function: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if name != "commit":
            return function(*arguments, **named)
        if self.manner == "doubt_done":
            function(*arguments, **named)
        raise CommitInDoubt("planted: the answer to the commit was lost")


class Crashing:
    """Any object of the ports: effects are counted, all else passes through until the crash."""

    def __init__(self, inner: Any, plan: CrashPlan) -> None:
        self._inner = inner
        self._plan = plan

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not callable(value):
            return value

        def call(*arguments: Any, **named: Any) -> Any:
            if name in EFFECTS:
                return self._plan.call(name, value, arguments, named)
            if self._plan.dead:
                raise CrashNow(name)
            return value(*arguments, **named)

        return call


class CrashingClient(Crashing):
    """A `LogClient` whose products count their effects."""

    def __getattr__(self, name: str) -> Any:
        made = super().__getattr__(name)
        return lambda *arguments, **named: Crashing(made(*arguments, **named), self._plan)


class CrashingStores:
    """A `StoreDirectory` whose stores count their writes. What was written stays, as on disk."""

    def __init__(self, inner: StoreDirectory, plan: CrashPlan) -> None:
        self._inner = inner
        self._plan = plan
        self.opened: dict[int, Store] = {}

    def open(self, table: str, partition: int) -> Any:
        """As the port."""
        store = self._inner.open(table, partition)
        self.opened[partition] = store
        return Crashing(store, self._plan)

    def exists(self, table: str, partition: int) -> bool:
        """As the port."""
        return self._inner.exists(table, partition)

    def destroy(self, table: str, partition: int) -> None:
        """As the port."""
        self._inner.destroy(table, partition)

    def set_aside(self, table: str, partition: int) -> str:
        """As the port."""
        return self._inner.set_aside(table, partition)

    def release(self) -> None:
        """What the operating system does for a dead process: its locks go."""
        for store in self.opened.values():
            store.close()


def crashing(client: LogClient, stores: StoreDirectory, plan: CrashPlan) -> tuple[LogClient, CrashingStores]:
    """Both wrappers, sharing one plan."""
    wrapped: Any = CrashingClient(client, plan)
    return wrapped, CrashingStores(stores, plan)


def plans(effects: int, manners: tuple[Manner, ...] = ("before", "after")) -> Iterator[CrashPlan]:
    """Every effect, in every manner."""
    for at in range(1, effects + 1):
        for manner in manners:
            yield CrashPlan(at, manner)


def counts(plan: CrashPlan) -> Mapping[str, int]:
    """For messages."""
    return {"at": plan.at, "of": plan.count}
