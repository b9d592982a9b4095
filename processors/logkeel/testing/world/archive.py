"""What was ever committed, kept past compaction and retention, for judges."""

from collections.abc import Sequence
from itertools import accumulate

from logkeel.log import Record, TopicPartition
from logkeel.simulation import SimulatedCluster
from logkeel.simulation.partition_log import Entry, PartitionLog


class Archive:
    """`keep` before the logs are cleaned; `records` gives what was kept and what is there."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self._cluster = cluster
        self._kept: dict[TopicPartition, dict[int, Record]] = {}
        self._marked: dict[TopicPartition, dict[int, int]] = {}

    def keep(self) -> None:
        """Remember everything that is committed now."""
        for log in self._cluster.logs():
            kept = self._kept.setdefault(log.place, {})
            for record in _committed(log):
                kept[record.offset] = record
            self._marked.setdefault(log.place, {}).update(_marked(log))

    def records(self, topic: str, partitions: int) -> list[Record]:
        """By partition and offset."""
        return [record for number in range(partitions) for record in self.of(TopicPartition(topic, number))]

    def of(self, place: TopicPartition) -> list[Record]:
        """One partition's records, by offset."""
        present = _committed(self._cluster.log(place))
        kept = self._kept.get(place)
        if not kept:
            return present
        merged = {**kept, **{record.offset: record for record in present}}
        return [merged[offset] for offset in sorted(merged)]

    def between(self, place: TopicPartition, first: int, behind: int) -> list[Record]:
        """As `of`, those from `first` on and before `behind`."""
        if first >= behind:
            return []
        if self._kept.get(place):
            return [record for record in self.of(place) if first <= record.offset < behind]
        return _committed_of(self._cluster.log(place).entries_between(first, behind))

    def readable_ms(self, place: TopicPartition) -> dict[int, int]:
        """By offset, when a reader of committed records could read it: all up to there were decided and marked."""
        known = {record.offset: record.timestamp_ms for record in self.of(place)}
        known |= self._marked.get(place, {}) | _marked(self._cluster.log(place))
        offsets = sorted(known)
        return dict(zip(offsets, accumulate((known[offset] for offset in offsets), max), strict=True))


def _marked(log: PartitionLog) -> dict[int, int]:
    return {entry.offset: entry.transaction.marked_ms for entry in log.entries if entry.transaction is not None}


def _committed(log: PartitionLog) -> list[Record]:
    """What the coordinator has decided, though a marker may still be on its way."""
    return _committed_of(log.entries)


def _committed_of(entries: Sequence[Entry]) -> list[Record]:
    return [
        entry.record
        for entry in entries
        if entry.record is not None and (entry.transaction is None or entry.transaction.outcome == "committed")
    ]
