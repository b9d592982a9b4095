"""The world outside of Kafka, as the fakes of a test see it: a ledger of what happened there, and who did it.

Each happening is a place where a process can be killed: right before it, and right after it, before the step has heard.
"""

import contextvars
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from logkeel.simulation import ProcessDied

if TYPE_CHECKING:
    from logkeel.testing.world import World

F = TypeVar("F")


@dataclass(slots=True)
class Call:
    """One execution of a step. `ended`: it returned or raised, `raised` being the error's type; else it was killed."""

    step: str
    path: str
    key: str
    dispatch: int
    ended: bool = False
    raised: str | None = None


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened outside, once. `path` is None if no step did it."""

    what: str
    key: str | None
    step: str | None
    path: str | None


CALL: contextvars.ContextVar[Call | None] = contextvars.ContextVar("logkeel_call", default=None)
"""The execution that runs now."""


@dataclass(slots=True)
class Outside:
    """One schedule's outside: a new one for each, and the same for all processes of it.

    A fake calls `do` for what its real counterpart would do. `happenings` is the ledger, `calls` the executions.
    """

    happenings: list[Happening] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    _world: "World | None" = None

    def do(self, what: str, *, key: str | None = None) -> bool:
        """Something happens. With a key, as in a system that knows its keys: only if nothing with it has happened yet.

        Whether it happened now. Without a key it happens each time: two mails are two mails.
        """
        with _Crossing(self._world):
            if key is not None and self.happened(what, key=key):
                return False
            call = CALL.get()
            place = (None, None) if call is None else (call.step, call.path)
            self.happenings.append(Happening(what, key, *place))
            return True

    def put(self, name: str, value: Any) -> None:
        """Something is set, which is the same however often it is done."""
        with _Crossing(self._world):
            self.values[name] = value

    def happened(self, what: str, *, key: str | None = None) -> bool:
        """Whether it has happened; with that key, if one is given. What a check asks."""
        return any(each.what == what and key in (None, each.key) for each in self.happenings)

    def count(self, what: str) -> int:
        """How often it has happened."""
        return sum(each.what == what for each in self.happenings)

    def opener(self, make: "Callable[[Outside], F]") -> Callable[[], AbstractAsyncContextManager[F]]:
        """An opener for `resources=` that gives what `make` makes of this outside."""

        @asynccontextmanager
        async def opened() -> AsyncIterator[F]:
            yield make(self)

        return opened

    def play_in(self, world: "World") -> None:
        """From now on what happens is an effect of the world's processes."""
        self._world = world

    def calls_of(self, path: str) -> Iterator[Call]:
        """Executions of one step."""
        return (call for call in self.calls if call.path == path)


class _Crossing:
    """The way from a process to the outside and back: it may be killed on either."""

    def __init__(self, world: "World | None") -> None:
        process = world.acting if world is not None else None
        self._client = process.client if process is not None else None

    def __enter__(self) -> None:
        if self._client is not None:
            self._client.check_running()
            if self._client.probe is not None:
                self._client.probe.before("outside")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None and self._client is not None and self._client.probe is not None:
            self._client.probe.after("outside")


__all__ = ["CALL", "Call", "Happening", "Outside", "ProcessDied"]
