"""Effects of a process: calls that change something outside of it. Each passes its client, before and after.

A probe at these two places is what crash points, frozen processes and traces are made of. A process that died raises
`ProcessDied` from every further call, so that a dying program cannot tidy up: it leaves what a killed one leaves.
"""

from collections.abc import Callable
from typing import Concatenate, Literal, ParamSpec, Protocol, TypeVar

EffectName = Literal[
    "init_transactions",
    "begin",
    "produce",
    "flush",
    "send_offsets",
    "commit",
    "abort",
    "send",
    "commit_offsets",
    "committed",
    "write",
    "open_store",
    "destroy_store",
    "outside",
]


class ProcessDied(BaseException):
    """The process was killed here. No `except Exception` may hold it."""


class Probe(Protocol):
    """Stands beside a process. May raise `ProcessDied`, let time pass, or let others act."""

    def before(self, effect: EffectName) -> None:
        """The effect is about to happen."""
        ...

    def after(self, effect: EffectName) -> None:
        """It has happened, and the process has not heard of it."""
        ...


class Client(Protocol):
    """What an effect passes."""

    def before(self, effect: EffectName) -> None: ...

    def after(self, effect: EffectName) -> None: ...


class Acting(Protocol):
    """Something of a process that has effects."""

    @property
    def client(self) -> Client: ...


S = TypeVar("S", bound=Acting)
P = ParamSpec("P")
R = TypeVar("R")


def effect(name: EffectName) -> Callable[[Callable[Concatenate[S, P], R]], Callable[Concatenate[S, P], R]]:
    """Mark a method as an effect. What it raises passes on without `after`: nothing has happened."""

    def decorate(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
        def call(self: S, /, *arguments: P.args, **named: P.kwargs) -> R:
            client = self.client
            client.before(name)
            result = method(self, *arguments, **named)
            client.after(name)
            return result

        return call

    return decorate
