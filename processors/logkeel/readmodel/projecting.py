"""Reads `run-events` and `run-completions` into a file, without a group, committed records only. A shell.

Begins at the positions of the file. Where the log is not the one that the file was made from, or no longer has what
comes next, the file is made anew from what the log has.
"""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import structlog

from logkeel.errors import EngineError, LogkeelError, LogTimeout, PositionOutOfRange, TopicMissing
from logkeel.log import LogClient, Record, TopicPartition
from logkeel.readmodel.writer import Projected, Read, Touched, Writer
from logkeel.records import RequestRejected, RunCompleted, RunEvent
from logkeel.records.topics import TopicNames
from logkeel.wire import decode_as

BATCH: Final = 8_000
FETCH_S: Final = 0.1
RETRY_S: Final = 1.0
TRIM_S: Final = 600.0
"""How often runs are forgotten that the log has forgotten."""

REJECTIONS_KEPT_MS: Final = 7 * 86_400_000

log = structlog.get_logger("logkeel.readmodel", role="gateway")

Told = Callable[[Touched, Mapping[TopicPartition, int]], None]
"""Hears after each commit what it was about, and the positions now."""

_RECORDS: tuple[type[Projected], ...] = (RunEvent, RunCompleted, RequestRejected)


class Projector:
    """Keeps one file up to date. Not thread-safe, but for `positions` and `caught_up`; close it."""

    def __init__(self, log_client: LogClient, names: TopicNames, path: Path) -> None:
        """Opens the file and connects. Raises `TopicMissing`, `LogUnavailable`, `StoreUnavailable`."""
        self._topics = (names.run_events, names.run_completions)
        self._events = names.run_events
        self._writer = Writer(path)
        self._admin = log_client.admin()
        self._reader = log_client.reader("read_committed")
        self._ends: Mapping[TopicPartition, int] = {}
        self._trimmed: dict[int, int] = {}
        self._is_new = False
        self._trim_at_s = time.monotonic()
        self.positions: dict[TopicPartition, int] = {}
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    @property
    def caught_up(self) -> bool:
        """Whether everything was read that was committed when this projector was made."""
        return self.reached(self._ends)

    def reached(self, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether everything before these offsets was read."""
        return all(self.positions.get(place, 0) >= end for place, end in ends.items())

    def turn(self, timeout_s: float) -> Touched:
        """Take in what has come, waiting so long for something. Raises `StoreUnavailable` and as `LogReader.fetch`."""
        fetched = self._reader.fetch(BATCH, timeout_s)
        positions = dict(self.positions)
        batch = []
        for record in fetched.records:
            positions[record.source] = record.offset + 1
            read = _read(record)
            if read is not None:
                batch.append(read)
        for place, end in fetched.ends.items():
            positions[place] = max(end, positions.get(place, 0))
        moved = {place: offset for place, offset in positions.items() if self.positions.get(place) != offset}
        touched = Touched()
        if moved:
            touched = self._write(batch, moved)
            self.positions = positions
        if self._is_new and self.caught_up:
            self._writer.adopt_ends()
            self._is_new = False
        return touched

    def catch_up(self, timeout_s: float = 600.0) -> None:
        """Read what is on the log now. Raises `LogTimeout` if that takes longer."""
        ends = self._admin.end_offsets(list(self.positions), committed_only=True)
        deadline_s = time.monotonic() + timeout_s
        while not (self.reached(ends) and not self._is_new):
            self.turn(FETCH_S)
            if time.monotonic() > deadline_s:
                raise LogTimeout(f"the history could not be read in {timeout_s:.0f} s")

    def run(self, stop: threading.Event, told: Told, beat: Callable[[], None]) -> None:
        """Until `stop` is set: take in what comes. What fails for a while is tried again.

        `beat` is called in every turn that succeeded. Raises what no waiting helps against: `OperatorError`s.
        """
        while not stop.is_set():
            before = self.positions
            try:
                touched = self._turn_or_begin_anew()
                if time.monotonic() >= self._trim_at_s:
                    self._trim_at_s = time.monotonic() + TRIM_S
                    self.trim()
            except EngineError as error:
                log.warning("read_model_waits", code=error.code, reason=error.message)
                stop.wait(RETRY_S)
                self._reader.assign(self.positions)
            else:
                beat()
                if self.positions != before:
                    told(touched, self.positions)

    def close(self) -> None:
        """Release everything; idempotent."""
        self._reader.close()
        self._admin.close()
        self._writer.close()

    def _begin(self) -> None:
        """From the file's positions, if they are on this log; else from its start, with an empty file."""
        found = self._admin.describe_topics(self._topics)
        missing = [topic for topic in self._topics if topic not in found]
        if missing:
            raise TopicMissing(f"topic {missing[0]} does not exist: run `logkeel topics apply`", topic=missing[0])
        places = [TopicPartition(each.name, number) for each in found.values() for number in range(each.partitions)]
        starts = self._admin.start_offsets(places)
        self._ends = self._admin.end_offsets(places, committed_only=True)
        topics = {name: description.topic_id for name, description in found.items()}
        kept = self._writer.positions()
        fits = self._writer.topics() == topics and kept.keys() == set(places)
        if not fits or any(not starts[place] <= kept[place] <= self._ends[place] for place in places):
            self._writer.clear()
            self._writer.remember_topics(topics)
            kept = dict(starts)
            self._writer.write((), kept)
        self.positions = kept
        self._is_new = not self._writer.has_adopted_ends
        self._reader.assign(kept)

    def _turn_or_begin_anew(self) -> Touched:
        try:
            return self.turn(FETCH_S)
        except PositionOutOfRange:
            log.warning("read_model_made_anew", reason="the log has lost what comes next")
            self._trimmed.clear()
            self._begin()
            return Touched()

    def _write(self, batch: list[Read], moved: Mapping[TopicPartition, int]) -> Touched:
        try:
            return self._writer.write(batch, moved)
        except LogkeelError:
            # The reader is past what was not written.
            self._reader.assign(self.positions)
            raise

    def trim(self) -> None:
        """Forget runs that have ended and whose events the log does not keep any more, and what was refused long ago.

        Raises as `turn`.
        """
        self._writer.forget_rejections(time.time_ns() // 1_000_000 - REJECTIONS_KEPT_MS)
        places = [place for place in self.positions if place.topic == self._events]
        for place, start in self._admin.start_offsets(places).items():
            behind = self._trimmed.get(place.partition, 0)
            if start > behind:
                forgotten = self._writer.forget_before(place.partition, start, behind)
                self._trimmed[place.partition] = start
                log.info("runs_forgotten", runs=forgotten, reason="the log does not keep their history any more")


def _read(record: Record) -> Read | None:
    """A record of another kind is not for this version: passed over."""
    if record.value is None:
        return None
    try:
        return Read(record.source, record.offset, decode_as(record.value, *_RECORDS), record.value)
    except LogkeelError:
        return None
