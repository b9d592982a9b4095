"""A batch and the overlays it is made of: reads and writes of one transaction, in memory only.

Reads go overlay -> dirty map -> cache -> store; writes go to the overlay and, if its record was processed, into the
dirty map of the partition (P21). Nothing here touches log or store, and nothing here outlives an abort.
"""

from collections.abc import Iterator
from heapq import merge
from operator import itemgetter
from typing import TypeAlias

from logkeel.errors import InvariantViolation, RecordTooLarge
from logkeel.exactly_once.partition import PartitionState
from logkeel.exactly_once.rows import timer_key
from logkeel.log import OutputRecord
from logkeel.log.keyspace import PROCESSOR


class PartitionBatch:
    """What one transaction changes in one partition. `rows`: last write per key, None deletes; `began`: new scopes."""

    __slots__ = ("began", "positions", "rows", "state", "wakeups")

    def __init__(self, state: PartitionState) -> None:
        self.state = state
        self.rows: dict[bytes, bytes | None] = {}
        self.began: set[bytes] = set()
        self.wakeups: dict[bytes, int | None] = {}
        self.positions: dict[str, int] = dict(state.positions)


class Batch:
    """What one transaction changes, over all partitions. `touched` keeps the order in which partitions came up."""

    __slots__ = ("outputs", "poison", "records", "timers", "touched")

    def __init__(self) -> None:
        self.touched: dict[int, PartitionBatch] = {}
        self.outputs: list[OutputRecord] = []
        self.records = 0
        self.timers = 0
        self.poison = 0

    def of(self, state: PartitionState) -> PartitionBatch:
        """The part of `state`'s partition, made on first use."""
        part = self.touched.get(state.partition)
        if part is None:
            part = self.touched[state.partition] = PartitionBatch(state)
        return part


def changes(batch: Batch) -> bool:
    """Whether there is anything to commit: outputs, rows or positions."""
    return bool(batch.outputs) or any(
        part.rows or part.positions != part.state.committed_positions for part in batch.touched.values()
    )


class Overlay:
    """One turn: implements the port `Turn`. Discarded unless `merge_into` is called."""

    __slots__ = ("_began", "_limit", "_outputs", "_part", "_rows", "_state", "_wakeups", "now_ms", "partition")

    def __init__(self, part: PartitionBatch, now_ms: int, limit_bytes: int) -> None:
        self._part = part
        self._state = part.state
        self._rows: dict[bytes, bytes | None] = {}
        self._outputs: list[OutputRecord] = []
        self._began: set[bytes] = set()
        self._wakeups: dict[bytes, int | None] = {}
        self._limit = limit_bytes
        self.now_ms = now_ms
        self.partition = part.state.partition

    def get(self, key: bytes, below: bytes | None = None) -> bytes | None:
        """See `Turn.get`."""
        rows = self._rows
        if key in rows:
            return rows[key]
        rows = self._part.rows
        if key in rows:
            return rows[key]
        cache = self._state.cache
        rows = cache.young
        if key in rows:
            return rows[key]
        rows = cache.old
        if key in rows:
            return rows[key]
        if below is not None and (below in self._began or below in self._part.began or cache.is_complete(below)):
            return None
        return self._state.read(key)

    def begin(self, scope: bytes) -> None:
        """See `Turn.begin`."""
        self._began.add(scope)

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """See `Turn.scan`; the rows as of the call."""
        dirty = {key: value for key, value in self._part.rows.items() if start <= key < end}
        dirty.update((key, value) for key, value in self._rows.items() if start <= key < end)
        return _overlaid(self._state.store.scan(start, end), sorted(dirty.items(), key=itemgetter(0)))

    def put(self, key: bytes, value: bytes) -> None:
        """See `Turn.put`. Raises `RecordTooLarge` for a row the changelog cannot carry."""
        if key < PROCESSOR:
            raise InvariantViolation("rows of a processor start at 0x10", key=key.hex())
        if len(key) + len(value) > self._limit:
            raise RecordTooLarge(
                f"a row of {len(value)} bytes exceeds max_record_bytes", size_bytes=len(value), limit_bytes=self._limit
            )
        self._rows[key] = value

    def delete(self, key: bytes) -> None:
        """See `Turn.delete`."""
        if key < PROCESSOR:
            raise InvariantViolation("rows of a processor start at 0x10", key=key.hex())
        self._rows[key] = None

    def emit(self, output: OutputRecord) -> None:
        """See `Turn.emit`. Raises `RecordTooLarge` for a record its topic cannot take."""
        if output.value is not None and len(output.value) > self._limit:
            raise RecordTooLarge(
                f"an output of {len(output.value)} bytes to {output.topic} exceeds max_record_bytes",
                size_bytes=len(output.value),
                limit_bytes=self._limit,
            )
        self._outputs.append(output)

    def emit_unchecked(self, output: OutputRecord) -> None:
        """For dead letters, whose limit is above that of the inputs (P22)."""
        self._outputs.append(output)

    def set_timer(self, due_ms: int, timer_id: bytes, payload: bytes = b"") -> None:
        """See `Turn.set_timer`."""
        self._rows[timer_key(due_ms, timer_id)] = payload

    def clear_timer(self, due_ms: int, timer_id: bytes) -> None:
        """See `Turn.clear_timer`."""
        self.drop_row(timer_key(due_ms, timer_id))

    def drop_row(self, key: bytes) -> None:
        """Delete a row of the loop's own, without a tombstone if there is nothing to delete."""
        if self.get(key) is not None:
            self._rows[key] = None

    def set_wakeup(self, due_ms: int, timer_id: bytes) -> None:
        """See `Turn.set_wakeup`."""
        self._wakeups[timer_id] = due_ms

    def clear_wakeup(self, timer_id: bytes) -> None:
        """See `Turn.clear_wakeup`."""
        self._wakeups[timer_id] = None

    def wakeup_due(self, timer_id: bytes, scheduled_ms: int) -> bool:
        """Whether the wake-up is still set for that time, this batch considered."""
        return self._part.wakeups.get(timer_id, scheduled_ms) == scheduled_ms

    def merge_into(self, batch: Batch) -> None:
        """The record was processed: its writes become part of the batch."""
        self._part.rows.update(self._rows)
        if self._began:
            self._part.began.update(self._began)
        if self._wakeups:
            self._part.wakeups.update(self._wakeups)
        if self._outputs:
            batch.outputs.extend(self._outputs)


_Tagged: TypeAlias = tuple[bytes, int, bytes | None]


def _overlaid(
    stored: Iterator[tuple[bytes, bytes]], dirty: list[tuple[bytes, bytes | None]]
) -> Iterator[tuple[bytes, bytes]]:
    """Merge two ascending sequences; on equal keys `dirty` wins, and its None hides the row."""
    below: Iterator[_Tagged] = ((key, 1, value) for key, value in stored)
    above: Iterator[_Tagged] = ((key, 0, value) for key, value in dirty)
    last: bytes | None = None
    for key, _, value in merge(above, below):
        if key != last and value is not None:
            yield key, value
        last = key
