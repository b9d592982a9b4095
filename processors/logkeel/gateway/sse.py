"""The event stream of one run (Server-Sent Events, HTML Living Standard 9.2): its history, and what its steps emit.

    event      data                                           id of the message
    run_event  an event as `logkeel run history -o json`      EVENTS/STREAM, the place behind this message:
               has it, with partition and offset              EVENTS is an offset of run-events, STREAM a place of
    emitted    a value of `step.emit`                         run-streams (left out before the first value)
    end        the status of the run

A client that comes back with `Last-Event-ID` goes on behind that message; an offset of `run-events` alone is an id,
too. Comments keep the connection open. When the run has ended and everything was told, the answer to such a client is
204, which tells browsers not to come again.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from logkeel.client import Emitted
from logkeel.client.streams import LAST_WORDS_S, place_of
from logkeel.errors import CallerError
from logkeel.gateway.hub import Joined
from logkeel.gateway.parts import Parts, in_thread
from logkeel.projection import RunView
from logkeel.projection.documents import event_json
from logkeel.readmodel import PlacedEvent
from logkeel.records import RunEvent

KEEP_ALIVE_S: Final = 15.0
EVENTS_AT_ONCE: Final = 500
BACKLOG_LIMIT: Final = 10_000
"""Values that wait for a client that does not read; then its stream ends, and it may come back for them."""

_ID = re.compile(r"(-?\d{1,18})(?:/(\d{1,18}\.\d{1,9}))?")


@dataclass(slots=True)
class StreamPlace:
    """How far a client has read."""

    offset: int = -1
    emitted: str | None = None

    @property
    def text(self) -> str:
        """As the id of a message."""
        return f"{self.offset}" + (f"/{self.emitted}" if self.emitted else "")


def place_from(last_event_id: str | None) -> StreamPlace:
    """The place of an id. Raises `CallerError` for a text that is none."""
    if not last_event_id:
        return StreamPlace()
    match = _ID.fullmatch(last_event_id)
    if match is None:
        raise CallerError("Last-Event-ID is no id of this stream: an offset, or an offset, / and a place")
    return StreamPlace(int(match[1]), match[2])


class RunStream:
    """One client that looks on at one run."""

    def __init__(self, parts: Parts, run: RunView, place: StreamPlace) -> None:
        self._parts = parts
        self._run = run
        self._place = place
        self._loop = asyncio.get_running_loop()
        self._values: list[Emitted] = []
        self._wake = asyncio.Event()
        self._status: str | None = None

    async def is_over(self) -> bool:
        """Whether the run has ended and everything was told."""
        if self._run.status == "running" or self._place.offset < 0:
            return False
        return not await self._events()

    async def messages(self) -> AsyncIterator[bytes]:
        """Until the run has ended, or the process does."""
        parts, run_id = self._parts, self._run.run_id
        with (
            parts.bulletin.watching(run_id=run_id) as self._wake,
            parts.hub.listening(run_id, self._heard) as joined,
        ):
            yield b"retry: 1000\n\n"
            async for message in self._backlog(joined):
                yield message
            while not parts.bulletin.is_closing:
                self._wake.clear()
                for value in self._taken():
                    yield self._emitted(value)
                if len(self._values) > BACKLOG_LIMIT:
                    return
                events = await self._events()
                for placed in events:
                    yield self._event(placed)
                if events:
                    continue
                if self._status is None and self._run.status != "running":
                    self._status = self._run.status  # of a run whose events are not kept any more
                if self._status is not None:
                    async for message in self._last_words():
                        yield message
                    return
                if not await self._woken(KEEP_ALIVE_S):
                    yield b": still here\n\n"

    async def _backlog(self, joined: Joined) -> AsyncIterator[bytes]:
        """What was emitted before this client came."""
        is_young = self._run.started_at_ms >= self._parts.began_ms
        rounds = self._parts.hub.before(self._run.run_id, joined, self._place.emitted, is_young=is_young)
        with closing(rounds):
            while (values := await in_thread(next, rounds, None)) is not None:
                for value in values:
                    yield self._emitted(value)

    async def _last_words(self) -> AsyncIterator[bytes]:
        """The last values are sent right before the run's end, and beside it."""
        self._wake.clear()
        while await self._woken(LAST_WORDS_S):
            self._wake.clear()
        for value in self._taken():
            yield self._emitted(value)
        yield _message("end", {"run_id": self._run.run_id, "status": self._status}, self._place.text)

    async def _events(self) -> list[PlacedEvent]:
        model, run_id = self._parts.model, self._run.run_id
        return await in_thread(model.events_behind, run_id, self._place.offset, EVENTS_AT_ONCE)

    def _event(self, placed: PlacedEvent) -> bytes:
        self._place.offset = placed.offset
        self._status = _status_behind(self._status, placed.event)
        data = {**event_json(placed.event), "partition": placed.partition, "offset": placed.offset}
        return _message("run_event", data, self._place.text)

    def _emitted(self, value: Emitted) -> bytes:
        self._place.emitted = value.place
        return _message("emitted", msgspec.to_builtins(value), self._place.text)

    def _taken(self) -> list[Emitted]:
        """What has come and was not told yet."""
        taken, self._values = self._values, []
        behind = (-1, -1) if self._place.emitted is None else place_of(self._place.emitted)
        return [value for value in taken if place_of(value.place) > behind]

    def _heard(self, values: list[Emitted]) -> None:
        """On the hub's thread."""
        try:
            self._loop.call_soon_threadsafe(self._take, values)
        except RuntimeError:
            return  # the loop is closed

    def _take(self, values: list[Emitted]) -> None:
        self._values += values
        self._wake.set()

    async def _woken(self, timeout_s: float) -> bool:
        try:
            await asyncio.wait_for(self._wake.wait(), timeout_s)
        except TimeoutError:
            return False
        return True


def _status_behind(status: str | None, event: RunEvent) -> str | None:
    """The status of a run that has ended; None while it goes on."""
    if event.kind == "run_completed":
        return event.status
    return None if event.kind == "run_retried" else status


def _message(event: str, data: dict[str, Any], place: str) -> bytes:
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (
        place.encode(),
        event.encode(),
        msgspec.json.encode(data, enc_hook=str),
    )
