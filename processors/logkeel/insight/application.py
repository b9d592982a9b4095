"""The Faust application: reads run events and completions, keeps rows in one table, sweeps. A shell file.

Faust in its at-least-once mode acknowledges an event when its handler returns, whether or not the handler raised, and
whether or not the table's records have reached the log. So here an event is acknowledged by hand, in order, once the
log has confirmed every row it changed; and a handler that fails sends the event to the dead letters first.

- one event at a time (`concurrency=1`): rows are read, folded and written without a wait between;
- one table with one changelog, made beforehand (`logkeel topics apply`): Faust makes no topic here;
- rows are written with `send_changelog` and not by assignment, since only that hands out the future to wait for, and
  may be done by the sweep, which stands in no stream;
- one process at a time: nothing fences one that was suspended and wakes up in this mode, and its rows may overwrite
  those of its successor (decision 41).
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import faust
import structlog
from faust.types import TP, EventT, StreamT
from faust.types.tuples import FutureMessage

from logkeel.errors import LogkeelError
from logkeel.exactly_once.poison import dead_letter
from logkeel.insight.engines import Look, standing_partitions
from logkeel.insight.folding import Change, Windows, expired, of_event, of_refusal
from logkeel.insight.rows import (
    SHOWN,
    Told,
    cluster_in,
    key_of,
    mark_in,
    packed,
    parts_of,
    shown,
    tally_in,
    told_in,
)
from logkeel.insight.standing import Patience, Stuck, stuck, unpacked
from logkeel.insight.sweeping import Figures, figures, last_whole, standstills
from logkeel.insight.topics import read_committed
from logkeel.log import Record
from logkeel.records import RequestRejected, RunEvent
from logkeel.records.topics import TopicNames
from logkeel.wire import decode

log = structlog.get_logger("logkeel.insight", role="insight")

UNCONFIRMED_EVENTS = 500
"""So many events may wait for the log's word on their rows; then reading waits."""


class Outside(Protocol):
    """What the application asks of the world beside Kafka's records. Both may block and are called on a thread."""

    def look(self) -> Look:
        """The engines' positions. Raises `LogkeelError` if they cannot be had now."""
        ...

    def ends(self, topic: str) -> Mapping[int, int]:
        """Last stable offsets by partition. Raises `LogkeelError`."""
        ...

    def alert(self, stuck: Stuck) -> bool:
        """Tell of a run that is stuck; whether it was delivered, or there is nobody to tell."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class InsightSettings:
    """How one process of insight runs. `directory`: Faust wants one, and keeps nothing in it here."""

    names: TopicNames
    bootstrap_servers: str
    directory: Path
    credentials: Any = None
    session_timeout_ms: int = 10_000
    sweep_ms: int = 10_000
    windows: Windows = field(default_factory=Windows)
    patience: Patience = field(default_factory=Patience)


class Insight:
    """One process: the Faust application `app`, and the figures of its last sweep."""

    def __init__(self, settings: InsightSettings, outside: Outside) -> None:
        names = settings.names
        self._settings, self._outside = settings, outside
        # Faust pins an application to the loop that its thread has when it is made.
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.app = _made_app(settings)
        # Names are ours and the topics are there.
        raw: dict[str, Any] = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw"}
        raw |= {"value_serializer": "raw", "internal": False}
        self._inputs = self.app.topic(names.run_events, names.run_completions, allow_empty=True, **raw)
        self._output = self.app.topic(names.insight, allow_empty=True, **raw)
        self._letters = self.app.topic(names.dead_letters, allow_empty=True, **raw)
        state = self.app.topic(names.insight_state, allow_empty=True, acks=False, maxsize=131_072, **raw)
        self._table = self.app.Table("state", key_type=bytes, value_type=bytes, changelog_topic=state)
        self._unconfirmed: asyncio.Queue[tuple[EventT[Any], list[FutureMessage]]] | None = None
        self._read: Any = None
        self._changed: set[bytes] = set()
        self._shown_partitions: frozenset[int] = frozenset()
        self._ends: Mapping[int, int] = {}
        self._look: Look | None = None
        self._stood: frozenset[int] = frozenset()
        self.figures = Figures()
        self.sweeps = 0
        self.app.agent(self._inputs, concurrency=1)(self._follow)
        self.app.task(self._acknowledge)
        self.app.task(self._sweep_again_and_again)

    @property
    def is_ready(self) -> bool:
        """Whether its partitions are restored and the first sweep is over. From any thread."""
        return self.sweeps > 0 and not self.app.in_recovery and not self.app.rebalancing

    async def _follow(self, stream: StreamT[bytes]) -> None:
        self._read = stream.channel
        async for event in cast("faust.Stream[bytes]", stream).noack().events():
            try:
                sent = self._handled(event)
            # Faust would log it, pass over the event and go on: end instead, and read it again.
            except Exception as error:
                await self.app.crash(error)
                raise
            await self._waiting().put((event, sent))

    def _handled(self, event: EventT[Any]) -> list[FutureMessage]:
        """What has been sent for this event."""
        message = event.message
        try:
            changes = self._changes(message.topic, message.partition, message.offset, message.value)
        # The handler's boundary: Faust would log it and pass over the event.
        except Exception as error:  # noqa: BLE001
            log.warning("event_is_poison", topic=message.topic, partition=message.partition, offset=message.offset)
            return [self._letter(event, error)]
        return self._write(message.partition, changes)

    def _changes(self, topic: str, partition: int, offset: int, value: bytes | None) -> list[Change]:
        record = decode(value or b"")
        if topic == self._settings.names.run_events:
            if isinstance(record, RunEvent):
                return of_event(self._table.data.get, record, partition, offset, self._settings.windows)
        # The end of a run is an event, too, and only that is in order with the others.
        elif isinstance(record, RequestRejected):
            return of_refusal(self._table.data.get, record, partition, offset, self._settings.windows)
        return []

    def _write(self, partition: int, changes: list[Change]) -> list[FutureMessage]:
        sent = []
        for key, value in changes:
            if value is None:
                self._table.data.pop(key, None)
            else:
                self._table.data[key] = value
            self._changed.add(key)
            sent.append(self._table.send_changelog(partition, key, value, key_serializer="raw", value_serializer="raw"))
        return sent

    def _letter(self, event: EventT[Any], error: Exception) -> FutureMessage:
        message = event.message
        stamp_ms = int((message.timestamp or 0) * 1000)
        headers = tuple((str(name), bytes(value)) for name, value in _pairs(message.headers))
        culprit = Record(
            message.topic, message.partition, message.offset, stamp_ms, message.key, message.value, headers
        )
        letter = dead_letter(self._settings.names.dead_letters, culprit, error, table="insight")
        return self._letters.send_soon(key=letter.key, value=letter.value, headers=dict(letter.headers))

    def _waiting(self) -> asyncio.Queue[tuple[EventT[Any], list[FutureMessage]]]:
        if self._unconfirmed is None:
            self._unconfirmed = asyncio.Queue(UNCONFIRMED_EVENTS)
        return self._unconfirmed

    async def _acknowledge(self) -> None:
        """In order, each event once the log has all that was sent for it. What cannot be sent ends the process."""
        while not self.app.should_stop:
            event, sent = await self._waiting().get()
            for each in sent:
                await each
            event.ack()

    async def _sweep_again_and_again(self) -> None:
        while not self.app.should_stop:
            if not self.app.in_recovery and not self.app.rebalancing:
                try:
                    await self._sweep()
                    self.sweeps += 1
                except LogkeelError as error:
                    log.warning("not_swept", error=error.code, message=error.message)
            await self.app.sleep(self._settings.sweep_ms / 1000)

    async def _sweep(self) -> None:
        """Say what has changed. Interrupted anywhere, the next one says it again."""
        partitions = self._partitions()
        loop = asyncio.get_running_loop()
        current = await self._current(partitions)
        self._look, self._stood = await loop.run_in_executor(None, self._looked)
        self._expire(partitions)
        rows = {key: row for key, row in self._table.data.items() if parts_of(key)[1] in partitions}
        await self._show(rows, partitions)
        await self._tell(rows, current)
        self.figures = self._figures(rows)

    def _partitions(self) -> frozenset[int]:
        events = self._settings.names.run_events
        return frozenset(place.partition for place in self.app.consumer.assignment() if place.topic == events)

    async def _current(self, partitions: frozenset[int]) -> frozenset[int]:
        """Partitions whose events of one sweep ago have all been folded: nobody else is said to be stuck."""
        events, before = self._settings.names.run_events, self._ends
        queue = self._waiting()
        loop = asyncio.get_running_loop()
        self._ends = await loop.run_in_executor(None, self._outside.ends, events)
        found = set()
        for partition in partitions:
            position = await self.app.consumer.position(TP(events, partition))
            if position is not None and partition in before and position >= before[partition]:
                found.add(partition)
        return frozenset(found) if queue.empty() and self._inputs_empty() else frozenset()

    def _inputs_empty(self) -> bool:
        return self._read is not None and self._read.queue.empty()

    def _looked(self) -> tuple[Look, frozenset[int]]:
        now = self._outside.look()
        return now, standing_partitions(self._look, now, self._stood)

    def _expire(self, partitions: frozenset[int]) -> None:
        windows, rows = self._settings.windows, self._table.data
        marks = {partition: mark_in(rows.get(key_of("mark", partition))) for partition in partitions}
        for key, row in list(rows.items()):
            partition = parts_of(key)[1]
            if partition in partitions and expired(key, row, marks[partition], windows):
                self._write(partition, [(key, None)])

    async def _show(self, rows: Mapping[bytes, bytes], partitions: frozenset[int]) -> None:
        """Send the rows that have changed since the last sweep; of partitions that are new here, all of them."""
        fresh, self._shown_partitions = partitions - self._shown_partitions, partitions
        changed, self._changed = self._changed, set()
        sent = []
        for key in changed | {key for key in rows if parts_of(key)[1] in fresh}:
            kind, partition, _ = parts_of(key)
            if kind not in SHOWN or partition not in partitions:
                continue
            row = rows.get(key)
            value = None if row is None else self._shown(kind, row)
            sent.append(self._output.send_soon(key=key, value=value))
        for each in sent:
            await each

    def _shown(self, kind: str, row: bytes) -> bytes:
        return shown(kind, tally_in(row) if kind == "tally" else cluster_in(row), self._settings.windows.length_ms)

    async def _tell(self, rows: Mapping[bytes, bytes], current: frozenset[int]) -> None:
        """Send what is stuck and what no longer is, and keep in rows what was said."""
        found = await self._stuck(rows, current)
        told = {key: told_in(row) for key, row in rows.items() if _is(key, "stuck", current)}
        news, over, unsent = standstills(found, told)
        answers = True  # who does not, is asked again with the next sweep
        for key, stuck_run in {**news, **unsent}.items():
            if key in news:
                await self._output.send_soon(key=key, value=shown("stuck", stuck_run, 0))
            alerted = key not in unsent
            if not alerted and answers:
                alerted = answers = await asyncio.get_running_loop().run_in_executor(
                    None, self._outside.alert, stuck_run
                )
            told_now = Told(stuck=stuck_run, alerted=alerted)
            if told.get(key) != told_now:
                await self._row(key, packed(told_now))
        for key in over:
            await self._output.send_soon(key=key, value=None)
            await self._row(key, None)

    async def _row(self, key: bytes, value: bytes | None) -> None:
        for each in self._write(parts_of(key)[1], [(key, value)]):
            await each

    async def _stuck(self, rows: Mapping[bytes, bytes], current: frozenset[int]) -> dict[bytes, Stuck]:
        found, now_ms = {}, _now_ms()
        for index, (key, row) in enumerate(rows.items()):
            if index % 1_000 == 0:
                await asyncio.sleep(0)  # events go on meanwhile
            if not _is(key, "run", current):
                continue
            _, partition, (run_id,) = parts_of(key)
            stands = partition in self._stood
            it = stuck(unpacked(row), now_ms, self._settings.patience, engine_stands=stands)
            if it is not None:
                found[key_of("stuck", partition, run_id)] = it
        return found

    def _figures(self, rows: Mapping[bytes, bytes]) -> Figures:
        table = self._table.data
        tallies = [tally_in(row) for key, row in rows.items() if parts_of(key)[0] == "tally"]
        start_ms = last_whole((each.start_ms for each in tallies), _now_ms(), self._settings.windows.length_ms)
        clusters = [cluster_in(row) for key, row in rows.items() if parts_of(key)[0] == "cluster"]
        told = [told_in(row) for key, row in table.items() if parts_of(key)[0] == "stuck"]
        return figures([each for each in tallies if each.start_ms == start_ms], clusters, [each.stuck for each in told])


def _made_app(settings: InsightSettings) -> faust.App:
    app = faust.App(
        settings.names.insight_group,
        broker=[f"kafka://{server.strip()}" for server in settings.bootstrap_servers.split(",")],
        broker_credentials=settings.credentials,
        datadir=settings.directory,
        processing_guarantee="at_least_once",
        store="memory://",
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        broker_session_timeout=settings.session_timeout_ms / 1000,
        broker_heartbeat_interval=settings.session_timeout_ms / 4000,
        consumer_auto_offset_reset="earliest",
        producer_acks=-1,
        autodiscover=False,
    )
    read_committed(app)
    return app


def _is(key: bytes, kind: str, partitions: frozenset[int]) -> bool:
    found, partition, _ = parts_of(key)
    return found == kind and partition in partitions


def _pairs(headers: Any) -> list[tuple[str, bytes]]:
    return list(headers.items()) if isinstance(headers, Mapping) else list(headers or [])


def _now_ms() -> int:
    return int(time.time() * 1000)
