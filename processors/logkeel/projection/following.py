"""Reads `run-events` into a projection: from the start of the log, without a group, committed records only."""

import time
from collections.abc import Mapping

from logkeel.errors import LogkeelError, LogTimeout
from logkeel.log import LogClient, Record, TopicPartition, places_of
from logkeel.projection.projection import Projection
from logkeel.records import RunEvent, ScheduleEvent
from logkeel.records.topics import TopicNames
from logkeel.wire import decode_as

BATCH = 1_000
SETTLE_S = 3.0
"""How long records of open transactions are waited for: many commits, and less than a transaction left behind lasts."""
_Event = RunEvent | ScheduleEvent
_EVENTS = _Event.__args__


class HistoryReader:
    """Feeds `projection`. With `run_id` only that run's events are decoded. Not thread-safe; close it."""

    def __init__(self, log_client: LogClient, names: TopicNames, *, run_id: str | None = None) -> None:
        """Connects. Raises `TopicMissing`, `LogUnavailable`."""
        self.projection = Projection()
        self._key = None if run_id is None else run_id.encode()
        admin = log_client.admin()
        places = places_of(admin, names.run_events)
        self._admin = admin
        self._positions = dict(admin.start_offsets(places))
        self._ends: dict[TopicPartition, int] = {}
        self._written: dict[TopicPartition, int] = {}
        self.aim()
        self._reader = log_client.reader("read_committed")
        self._reader.assign(self._positions)

    def aim(self) -> None:
        """Take the present end of the log as what `caught_up` and `catch_up` mean. Raises `LogUnavailable`."""
        places = list(self._positions)
        self._ends = dict(self._admin.end_offsets(places, committed_only=True))
        self._written = dict(self._admin.end_offsets(places, committed_only=False))

    @property
    def caught_up(self) -> bool:
        """Whether everything was read that was committed when this reader was made, or aimed."""
        return self._reached(self._ends)

    def poll(self, timeout_s: float) -> list[RunEvent]:
        """Take in what has come; returns it. Raises as `LogReader.fetch`."""
        fetched = self._reader.fetch(BATCH, timeout_s)
        events = []
        for record in fetched.records:
            self._positions[record.source] = record.offset + 1
            event = self._event(record)
            if event is not None:
                self.projection.apply(event)
                events.append(event)
        for place, end in fetched.ends.items():
            self._positions[place] = max(end, self._positions[place])
        return events

    def catch_up(self, timeout_s: float = 60.0) -> Projection:
        """Read what is there. Raises `LogTimeout` if that takes longer.

        Also what is written and not yet committed, for `SETTLE_S` at most: the markers of one transaction reach its
        partitions one after another, so that who has seen a completion would else miss the end of its history.
        """
        deadline_s = time.monotonic() + timeout_s
        settled_s = time.monotonic() + SETTLE_S
        while not self.caught_up or (time.monotonic() < settled_s and not self._reached(self._written)):
            self.poll(0.2)
            if time.monotonic() > deadline_s:
                raise LogTimeout(f"the history could not be read in {timeout_s:.0f} s")
        return self.projection

    def close(self) -> None:
        """Release the clients; idempotent."""
        self._reader.close()
        self._admin.close()

    def _reached(self, ends: Mapping[TopicPartition, int]) -> bool:
        return all(self._positions[place] >= end for place, end in ends.items())

    def _event(self, record: Record) -> RunEvent | None:
        """A record of another kind is not for this version: passed over."""
        if record.value is None or (self._key is not None and record.key != self._key):
            return None
        try:
            event: _Event = decode_as(record.value, *_EVENTS)
        except LogkeelError:
            return None
        if isinstance(event, ScheduleEvent):
            self.projection.schedules.take(event)
            return None
        return event
