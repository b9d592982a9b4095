"""An asyncio event loop on a simulated clock: `asyncio.sleep` is a due time, never a wait.

`run_ready` runs what can run now and returns. It may be called while another loop runs: several processes of a
simulation live on one thread. `run_until_complete` moves the clock when everything waits.
"""

import asyncio
from asyncio import events
from typing import Any

from logkeel.log import Clock


class _Selector:
    """Stands for the selector of a loop without files: waiting moves the clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def select(self, timeout_s: float | None) -> list[Any]:
        if timeout_s is None:
            raise RuntimeError("everything waits for something that cannot come")
        if timeout_s > 0:
            self._clock.sleep(timeout_s)
        return []


class SimulatedEventLoop(asyncio.BaseEventLoop):
    """Deterministic, without threads and files."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._selector = _Selector(clock)
        self._clock_resolution = 1e-6
        self.set_exception_handler(_ignore)

    def time(self) -> float:
        return self._clock.monotonic_s()

    def run_ready(self) -> None:
        """Run until nothing can go on before time passes."""
        outer = events._get_running_loop()
        events._set_running_loop(self)
        try:
            while self.is_ready():
                self._run_once()  # type: ignore[attr-defined]  # of BaseEventLoop, not in its stubs
        finally:
            events._set_running_loop(outer)

    def next_due_s(self) -> float | None:
        """When the next timer is due, by the clock's monotonic seconds."""
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]  # as above
        if timers and not timers[0].cancelled():
            return timers[0].when()  # they are a heap
        return min((timer.when() for timer in timers if not timer.cancelled()), default=None)

    @property
    def has_callbacks(self) -> bool:
        """Whether something can run whatever the time is; another process of the thread may have seen to it."""
        return bool(self._ready)  # type: ignore[attr-defined]  # as above

    def is_ready(self) -> bool:
        """Whether anything can run before time passes."""
        if self._ready:  # type: ignore[attr-defined]  # as above
            return True
        due_s = self.next_due_s()
        return due_s is not None and due_s <= self.time()

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody waits."""


def _ignore(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A process that was killed leaves tasks behind; nobody hears of them."""
