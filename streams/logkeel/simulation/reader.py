"""Reading by position: the cursors that members and readers share, and the reader without a group."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from logkeel.errors import PositionOutOfRange
from logkeel.log import Changes, Fetched, TopicPartition, changes_of
from logkeel.simulation.partition_log import PartitionLog

if TYPE_CHECKING:
    from logkeel.simulation.client import SimulatedClient
    from logkeel.simulation.cluster import SimulatedCluster


class Cursors:
    """Next offsets. The end of a partition is reported once per offset it is reached at, and again after a seek."""

    def __init__(self, cluster: "SimulatedCluster", *, committed_only: bool) -> None:
        self._cluster = cluster
        self._committed_only = committed_only
        self._positions: dict[TopicPartition, int] = {}
        self._reported: dict[TopicPartition, int] = {}
        self._first = 0
        self._connected_ms: float | None = None
        self._idle_places: int | None = None
        """What `idle_places` has found, until a position or a log changes."""

    def clear(self) -> None:
        """Forget all."""
        self.look_again()
        self._positions.clear()
        self._reported.clear()

    def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        """Set next offsets."""
        self.look_again()
        for place, offset in positions.items():
            self._positions[place] = offset
            self._reported.pop(place, None)

    def fetch(self, max_records: int, active: Collection[TopicPartition]) -> Fetched:
        """What is there, partition after partition, beginning with another one each time."""
        fetched = Fetched([], {})
        idle_places = self.idle_places(active)
        if idle_places is not None:
            self.pass_over(idle_places)
            return fetched
        places = [place for place in self._positions if place in active]
        if self._is_connecting():
            return fetched
        conditions = self._cluster.conditions
        self._first = (self._first + 1) % len(places)
        max_records = conditions.part_of(max_records)
        with self._cluster.lock:
            for place in places[self._first :] + places[: self._first]:
                if len(fetched.records) >= max_records:
                    break
                if not conditions.lags():
                    self._read(place, max_records, fetched)
        return fetched

    def idle_places(self, active: Collection[TopicPartition]) -> int | None:
        """How many partitions a fetch would ask now and get nothing new from; None if it might bring something.

        Whoever changes `active` calls `look_again`.
        """
        cluster = self._cluster
        if cluster.is_down:
            return 0
        if self._idle_places is not None:
            return self._idle_places
        places = [place for place in self._positions if place in active]
        if not places:
            return 0
        if self._connected_ms is None:
            return None
        if cluster.clock.elapsed_ms < self._connected_ms:
            return 0
        with cluster.lock:
            logs = [cluster.log(place) for place in places]
            if any(map(self._has_news, logs)):
                return None
            for log in logs:
                log.watched_by(self)
        self._idle_places = len(places)
        return self._idle_places

    def look_again(self) -> None:
        """There may be something to find."""
        self._idle_places = None

    def disconnected(self) -> None:
        """The next fetch connects anew."""
        self.look_again()
        self._connected_ms = None

    def pass_over(self, places: int) -> None:
        """What such a fetch leaves: it has begun with another partition, and drawn what it brings of each."""
        if places:
            self._first = (self._first + 1) % places
            self._cluster.conditions.pass_over(places)

    def _has_news(self, log: PartitionLog) -> bool:
        """Whether `_read` would do anything."""
        position, end = self._positions[log.place], log.readable_end(committed_only=self._committed_only)
        if position == end:
            return self._reported.get(log.place) != position
        return not end < position <= log.end

    def _is_connecting(self) -> bool:
        """A fresh connection brings nothing for a while."""
        if self._connected_ms is None:
            self._connected_ms = self._cluster.time_ms + self._cluster.conditions.connecting_ms()
        return self._cluster.clock.elapsed_ms < self._connected_ms

    def _read(self, place: TopicPartition, max_records: int, fetched: Fetched) -> None:
        log = self._cluster.log(place)
        position = self._positions[place]
        if position == log.end and self._reported.get(place) == position:
            return  # most calls of a simulation find nothing new
        if not log.start <= position <= log.end:
            raise PositionOutOfRange(
                f"{place.topic}-{place.partition} holds {log.start} to {log.end}, not {position}",
                topic=place.topic,
                partition=place.partition,
                offset=position,
            )
        left = max_records - len(fetched.records)
        records, position = log.read(position, left, committed_only=self._committed_only)
        fetched.records += records
        self._positions[place] = position
        at_end = position == log.readable_end(committed_only=self._committed_only)
        if at_end and self._reported.get(place) != position:
            self._reported[place] = fetched.ends[place] = position


class SimulatedReader:
    """Implements `logkeel.log.LogReader`. A fetch with nothing to read waits as long as the conditions say."""

    def __init__(self, client: "SimulatedClient", *, committed_only: bool) -> None:
        self._client = client
        self.cursors = Cursors(client.cluster, committed_only=committed_only)
        self._assigned: frozenset[TopicPartition] = frozenset()

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self.cursors.clear()
        self.cursors.seek(positions)
        self._assigned = frozenset(positions)

    def fetch(self, max_records: int, timeout_s: float) -> Fetched:
        self._client.check_running()
        if self._client.cut_off_ms is not None:
            self._client.cluster.advance(min(timeout_s * 1_000, self._client.cluster.conditions.patience_ms))
            return Fetched([], {})
        fetched = self.cursors.fetch(max_records, self._assigned)
        wait_ms = min(timeout_s * 1_000, self._client.cluster.conditions.patience_ms)
        if wait_ms <= 0 or fetched.records or fetched.ends:
            return fetched
        self._client.cluster.advance(wait_ms)
        return self.cursors.fetch(max_records, self._assigned)

    def idle_places(self) -> int | None:
        """See `Cursors.idle_places`; of a fetch that does not wait. The cluster must be in reach."""
        return self.cursors.idle_places(self._assigned)

    def fetch_changes(self, max_records: int, timeout_s: float) -> Changes:
        return changes_of(self.fetch(max_records, timeout_s))

    def close(self) -> None:
        self.cursors.look_again()
        self._assigned = frozenset()
