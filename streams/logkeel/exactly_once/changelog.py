"""Writing a partition's changes to its changelog: one record per key and transaction, last write wins.

Key = row key, value = row bytes or tombstone. The header `slot` of a transaction's first record names the writer (P18).
The offset kept in the store is the
delivery report of the partition's last record + 1 (P16b), so the store is never ahead of the log.
"""

from collections.abc import Mapping
from typing import Protocol

from logkeel.errors import InvariantViolation
from logkeel.exactly_once.batch import Batch, PartitionBatch
from logkeel.exactly_once.rows import encode_position, position_key
from logkeel.log import DeliveryCallback, Header, OutputRecord, Record, TopicPartition

SLOT_HEADER = "slot"


def slot_headers(slot: int) -> tuple[Header, ...]:
    """Headers of a changelog record written by `slot`."""
    return ((SLOT_HEADER, str(slot).encode()),)


def slot_in(record: Record) -> int | None:
    """The slot that wrote a changelog record."""
    for name, value in record.headers:
        if name == SLOT_HEADER and value.isdigit():
            return int(value)
    return None


def changelog_config(*, delete_retention_ms: int) -> Mapping[str, str]:
    """Topic settings of a changelog (P19), by Kafka's names."""
    return {
        "cleanup.policy": "compact",
        "segment.bytes": str(64 * 1024 * 1024),
        "min.cleanable.dirty.ratio": "0.3",
        "max.compaction.lag.ms": str(6 * 3600 * 1000),
        "delete.retention.ms": str(delete_retention_ms),
    }


class ChangelogOffsets:
    """Collects delivery reports of one transaction."""

    __slots__ = ("_ends",)

    def __init__(self) -> None:
        self._ends: dict[int, int] = {}

    def delivered(self, partition: TopicPartition, offset: int, error: Exception | None) -> None:
        """A delivery callback; failures are reported by `flush`."""
        if error is None:
            self._ends[partition.partition] = offset + 1

    def end_of(self, partition: int) -> int:
        """The changelog offset behind the transaction's last record of `partition`."""
        end = self._ends.get(partition)
        if end is None:
            raise InvariantViolation("a changelog record has no delivery report", partition=partition)
        return end


def add_position_rows(part: PartitionBatch) -> None:
    """Write the positions that moved as rows of the batch (P2)."""
    known = part.state.committed_positions
    for topic, position in part.positions.items():
        if known.get(topic) != position:
            part.rows[position_key(topic)] = encode_position(position)


class Producing(Protocol):
    """What is needed of a producer here."""

    def produce(self, output: OutputRecord, on_delivery: DeliveryCallback | None = None) -> None: ...


def produce_changelog(
    producer: Producing, batch: Batch, *, topic: str, headers: tuple[Header, ...], offsets: ChangelogOffsets
) -> None:
    """Produce the batch's rows: a partition's first record names the writer, its last one carries a callback.

    The first is enough: an open transaction keeps the last stable offset at its first record, where its successor
    begins to read (P18). The last is enough, since a partition acknowledges in order (P16b).
    """
    produce = producer.produce
    for partition, part in batch.touched.items():
        last = len(part.rows) - 1
        for index, (key, value) in enumerate(part.rows.items()):
            record = OutputRecord(topic, key, value, partition, () if index else headers)
            if index < last:
                produce(record)
            else:
                produce(record, offsets.delivered)
