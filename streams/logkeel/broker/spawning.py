"""How a broker's process is run: what `launch` asks of both ways of keeping one, and waiting for what it does."""

import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

_POLL_S: Final = 0.03


class BrokerProcess(Protocol):
    """A spawned broker: its process id, and whether it has ended."""

    @property
    def pid(self) -> int: ...

    def has_ended(self) -> bool: ...

    def end_now(self) -> None: ...


Spawn = Callable[[Sequence[str], int, int], BrokerProcess]
"""Runs a command line with its output going to one file descriptor and holding another (the lock) open."""


def until(condition: Callable[[], bool], process: BrokerProcess, timeout_s: float) -> bool:
    """Whether it came true in time, and before the process ended."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if process.has_ended() or time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
