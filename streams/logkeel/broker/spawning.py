"""How a broker's process is run: what `launch` asks of both ways of keeping one."""

from collections.abc import Callable, Sequence
from typing import Protocol


class BrokerProcess(Protocol):
    """A spawned broker: its process id, and whether it has ended."""

    @property
    def pid(self) -> int: ...

    def has_ended(self) -> bool: ...

    def end_now(self) -> None: ...


Spawn = Callable[[Sequence[str], int, int], BrokerProcess]
"""Runs a command line with its output going to one file descriptor and holding another (the lock) open."""
