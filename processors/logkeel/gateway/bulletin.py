"""Wakes coroutines that wait for the read model: for a run, for a request, or for an offset.

The projector tells it, from its thread, after each commit. Waiting costs no thread and no query until what is waited
for was touched. Everything but `tell` belongs to the event loop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from logkeel.log import TopicPartition
from logkeel.readmodel import Touched

T = TypeVar("T")


class Bulletin:
    """Of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._moved: set[asyncio.Event] = set()
        self._positions: Mapping[TopicPartition, int] = {}
        self.is_closing = False

    def tell(self, touched: Touched, positions: Mapping[TopicPartition, int]) -> None:
        """Something was committed. From any thread; after the loop has ended it is nothing."""
        keys = [*(f"run {each}" for each in touched.runs), *(f"request {each}" for each in touched.requests)]
        try:
            self._loop.call_soon_threadsafe(self._told, keys, positions)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    def close(self) -> None:
        """Wake everybody: the process ends."""
        self.is_closing = True
        for event in {*self._moved, *(event for events in self._waiting.values() for event in events)}:
            event.set()

    @contextmanager
    def watching(self, *, run_id: str | None = None, request_id: str | None = None) -> Iterator[asyncio.Event]:
        """An event that is set whenever the run or the request is touched. Clear it before looking."""
        keys = [f"run {run_id}"] if run_id is not None else []
        keys += [f"request {request_id}"] if request_id is not None else []
        event = asyncio.Event()
        for key in keys:
            self._waiting.setdefault(key, set()).add(event)
        try:
            yield event
        finally:
            for key in keys:
                self._waiting[key].discard(event)
                if not self._waiting[key]:
                    del self._waiting[key]

    async def until(
        self,
        look: Callable[[], Awaitable[T | None]],
        timeout_s: float,
        *,
        run_id: str | None = None,
        request_id: str | None = None,
    ) -> T | None:
        """What `look` finds, asked now and whenever one of both is touched; None if it finds nothing in time."""
        deadline_s = self._loop.time() + timeout_s
        with self.watching(run_id=run_id, request_id=request_id) as event:
            while True:
                event.clear()
                found = await look()
                left_s = deadline_s - self._loop.time()
                if found is not None or left_s <= 0 or self.is_closing:
                    return found
                await _wait(event, left_s)

    async def reached(self, wanted: Mapping[TopicPartition, int], timeout_s: float) -> bool:
        """Whether these offsets have been read, or are in time."""
        deadline_s = self._loop.time() + timeout_s
        event = asyncio.Event()
        self._moved.add(event)
        try:
            while not all(self._positions.get(place, 0) > offset for place, offset in wanted.items()):
                left_s = deadline_s - self._loop.time()
                if left_s <= 0 or self.is_closing:
                    return False
                event.clear()
                await _wait(event, left_s)
            return True
        finally:
            self._moved.discard(event)

    def _told(self, keys: list[str], positions: Mapping[TopicPartition, int]) -> None:
        self._positions = positions
        for key in keys:
            for event in self._waiting.get(key, ()):
                event.set()
        for event in self._moved:
            event.set()


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except TimeoutError:
        return
