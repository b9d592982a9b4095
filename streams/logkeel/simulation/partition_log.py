"""One partition as Kafka keeps it: records and transaction markers share the offsets.

A reader with read_committed sees nothing at or behind the last stable offset (the first record of the oldest open
transaction), and no record of an aborted transaction. Invariant: offsets grow by one per record or marker; compaction
and deletion leave gaps.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Literal, Protocol

from logkeel.log import OutputRecord, Record, TopicPartition

Outcome = Literal["open", "committed", "aborted"]


@dataclass(eq=False, slots=True)
class Transaction:
    """One transaction of one producer epoch."""

    transactional_id: str
    started_ms: int
    outcome: Outcome = "open"
    partitions: dict[TopicPartition, None] = field(default_factory=dict)
    offsets: dict[str, dict[TopicPartition, tuple[int, str]]] = field(default_factory=dict)
    offsets_order: dict[str, int] = field(default_factory=dict)
    unmarked: int = 0
    """Markers under way: one per partition, one per group."""
    marked_ms: int = 0
    """When the last marker so far was written."""


@dataclass(eq=False, slots=True)
class Entry:
    """A record, or a marker (`record` None) that ends `transaction` in this partition."""

    offset: int
    record: Record | None
    transaction: Transaction | None


class Watcher(Protocol):
    """Who has looked at a log and remembers what was there."""

    def look_again(self) -> None:
        """The log has changed."""
        ...


class PartitionLog:
    """The entries of one partition, from `start` up to the high watermark `end`."""

    def __init__(self, place: TopicPartition) -> None:
        self.place = place
        self.start = 0
        self.end = 0
        self.entries: list[Entry] = []
        self._open: dict[Transaction, int] = {}
        self._watchers: dict[Watcher, None] = {}

    @property
    def last_stable(self) -> int:
        """The last stable offset: what a read_committed reader may read up to."""
        return min(self._open.values()) if self._open else self.end

    def watched_by(self, watcher: Watcher) -> None:
        """Tell somebody once, when the entries change the next time."""
        self._watchers[watcher] = None

    def changed(self) -> None:
        """What watchers have seen is not all that there is, or no more."""
        watchers, self._watchers = self._watchers, {}
        for watcher in watchers:
            watcher.look_again()

    def append(self, output: OutputRecord, now_ms: int, transaction: Transaction | None) -> int:
        """Append a record; returns its offset."""
        offset = self.end
        topic, partition = self.place
        record = Record(topic, partition, offset, now_ms, output.key, output.value, output.headers)
        self.entries.append(Entry(offset, record, transaction))
        self.end += 1
        if transaction is not None:
            self._open.setdefault(transaction, offset)
        if self._watchers:
            self.changed()
        return offset

    def mark(self, transaction: Transaction) -> None:
        """Append the marker that ends `transaction` here."""
        self.entries.append(Entry(self.end, None, transaction))
        self.end += 1
        self._open.pop(transaction, None)
        self.changed()

    def read(self, position: int, max_records: int, *, committed_only: bool) -> tuple[list[Record], int]:
        """(records, next position). The position passes markers and aborted records up to the readable end."""
        limit = self.readable_end(committed_only=committed_only)
        records: list[Record] = []
        entries = self.entries
        for index in range(self._index_of(position), len(entries)):
            entry = entries[index]
            if entry.offset >= limit:
                break
            if len(records) == max_records:
                return records, entry.offset
            if entry.record is not None and not (committed_only and _is_aborted(entry)):
                records.append(entry.record)
        return records, max(position, limit)

    def entries_between(self, first: int, behind: int) -> list[Entry]:
        """Those from offset `first` on and before `behind`."""
        return self.entries[self._index_of(first) : self._index_of(behind)]

    def _index_of(self, offset: int) -> int:
        """The first entry at or behind an offset; by counting where no gap was left."""
        entries = self.entries
        if not entries:
            return 0
        first = entries[0].offset
        if entries[-1].offset - first == len(entries) - 1:
            return min(max(offset - first, 0), len(entries))
        return bisect_left(entries, offset, key=_offset_of)

    def readable_end(self, *, committed_only: bool) -> int:
        """Up to where a reader of that isolation may read."""
        return self.last_stable if committed_only else self.end

    def delete_before(self, offset: int) -> None:
        """What retention and DeleteRecords do: raise the log start."""
        self.start = max(self.start, min(offset, self.end))
        self.entries = [entry for entry in self.entries if entry.offset >= self.start]
        self.changed()

    def compact(self, tombstones_before_ms: int | None = None) -> None:
        """Keep the last value of each key below the last stable offset; aborted records and markers go.

        Tombstones go too, or only those written before a time. The newest entry stays, as the active segment does.
        """
        stable = self.last_stable
        last = {e.record.key: e.offset for e in self.entries if e.record and e.offset < stable and not _is_aborted(e)}
        self.entries = [
            entry for entry in self.entries if entry.offset >= stable or _survives(entry, last, tombstones_before_ms)
        ]

    def expire_before(self, written_before_ms: int) -> None:
        """Retention by time: delete up to the first record that is young enough or not stable."""
        keep = self.last_stable
        for entry in self.entries:
            if entry.record is not None and entry.record.timestamp_ms >= written_before_ms:
                keep = min(keep, entry.offset)
                break
        self.delete_before(keep)


def _offset_of(entry: Entry) -> int:
    return entry.offset


def _is_aborted(entry: Entry) -> bool:
    return entry.transaction is not None and entry.transaction.outcome == "aborted"


def _survives(entry: Entry, last: dict[bytes | None, int], tombstones_before_ms: int | None) -> bool:
    record = entry.record
    if record is None or last.get(record.key) != entry.offset or _is_aborted(entry):
        return False
    return record.value is not None or (
        tombstones_before_ms is not None and record.timestamp_ms >= tombstones_before_ms
    )
