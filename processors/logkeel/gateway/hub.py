"""Follows `run-streams` for everybody who looks on: one reader and one thread, whatever their number. A shell.

Records are decoded only where somebody listens. What was emitted before somebody came is read by a reader of their own,
from the first place that this hub has seen of the run.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from logkeel.client.streams import Emitted, StreamReader, emitted_in, place_of
from logkeel.errors import LogkeelError, PositionOutOfRange
from logkeel.log import LogClient, Record, TopicPartition, places_of
from logkeel.log.partitioner import partition_for
from logkeel.payloads import PayloadChain
from logkeel.records.topics import TopicNames

BATCH: Final = 1_000
FETCH_S: Final = 0.05
RETRY_S: Final = 1.0
REMEMBERED: Final = 100_000
"""Runs whose first place is known; of one that was forgotten what is kept is read from its beginning."""

log = structlog.get_logger("logkeel.gateway", role="gateway")

Listener = Callable[[list[Emitted]], None]
"""Hears values as they come, on the hub's thread."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Where somebody has joined: the hub tells of everything from `position` on, and `first` is where the run began to
    emit, as far as the hub has seen (None: nothing since `since`)."""

    position: int
    first: int | None
    since: int


class StreamHub:
    """Call `run` on a thread; the rest is safe from any."""

    def __init__(self, log_client: LogClient, names: TopicNames, payloads: PayloadChain) -> None:
        """Connects. Raises `TopicMissing`, `LogUnavailable`."""
        self._log = log_client
        self._names = names
        self._payloads = payloads
        self._lock = threading.Lock()
        self._listeners: dict[bytes, list[Listener]] = {}
        self._first: OrderedDict[bytes, int] = OrderedDict()
        with closing(log_client.admin()) as admin:
            self._began = dict(admin.end_offsets(places_of(admin, names.run_streams), committed_only=True))
        self._positions = dict(self._began)
        self._reader = log_client.reader("read_committed")
        self._reader.assign(self._positions)

    def close(self) -> None:
        """Release the reader; idempotent."""
        self._reader.close()

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set: tell what comes. What fails for a while is tried again."""
        while not stop.is_set():
            try:
                self.turn(FETCH_S)
            except PositionOutOfRange:
                # What is not kept any more is lost without harm; whoever looked on sees a gap.
                self._skip_lost()
            except LogkeelError as error:
                log.warning("streams_wait", code=error.code, reason=error.message)
                stop.wait(RETRY_S)
                self._reader.assign(self._positions)

    def turn(self, timeout_s: float) -> None:
        """Tell what has come, waiting so long for something. Raises as `LogReader.fetch`."""
        fetched = self._reader.fetch(BATCH, timeout_s)
        for record in fetched.records:
            self._tell(record)
        with self._lock:
            for place, end in fetched.ends.items():
                self._positions[place] = max(end, self._positions[place])

    @contextmanager
    def listening(self, run_id: str, listener: Listener) -> Iterator[Joined]:
        """Hear what the run emits from now on."""
        key = run_id.encode()
        place = TopicPartition(self._names.run_streams, partition_for(key, len(self._positions)))
        with self._lock:
            self._listeners.setdefault(key, []).append(listener)
            joined = Joined(self._positions[place], self._first.get(key), self._began[place])
        try:
            yield joined
        finally:
            with self._lock:
                left = [each for each in self._listeners[key] if each is not listener]
                if left:
                    self._listeners[key] = left
                else:
                    del self._listeners[key]

    def listens_to(self, run_id: str) -> bool:
        """Whether somebody hears what this run emits."""
        with self._lock:
            return run_id.encode() in self._listeners

    def before(
        self, run_id: str, joined: Joined, after: str | None, *, is_young: bool
    ) -> Generator[list[Emitted], None, None]:
        """What the run has emitted behind the place `after` and before somebody joined, in rounds; blocks. Close it.

        `is_young`: the run began after this hub did, so that the hub has seen all that it emitted. Raises as
        `StreamReader`.
        """
        if after is None and is_young and joined.first is None:
            return
        if after is None and joined.first is not None and is_young and joined.first > 0:
            after = f"{joined.first - 1}.0"
        if after is not None and place_of(after)[0] + 1 >= joined.position:
            return
        reader = StreamReader(self._log, self._names, run_id, after=after, payloads=self._payloads)
        with closing(reader):
            while not reader.reached(joined.position):
                yield [each for each in reader.poll(FETCH_S) if place_of(each.place)[0] < joined.position]

    def _tell(self, record: Record) -> None:
        with self._lock:
            self._positions[record.source] = record.offset + 1
            if record.key is None:
                return
            if record.key not in self._first:
                self._first[record.key] = record.offset
                if len(self._first) > REMEMBERED:
                    self._first.popitem(last=False)
            listeners = list(self._listeners.get(record.key, ()))
        if listeners and record.value is not None:
            try:
                emitted = list(emitted_in(record.value, record.offset, self._payloads))
            except LogkeelError as error:
                log.warning("emitted_unreadable", code=error.code, reason=error.message)
                return
            for listener in listeners:
                listener(emitted)

    def _skip_lost(self) -> None:
        with closing(self._log.admin()) as admin:
            starts = admin.start_offsets(list(self._positions))
        with self._lock:
            self._positions = {place: max(at, starts[place]) for place, at in self._positions.items()}
        self._reader.assign(self._positions)
