"""The reader port: partitions read by position, without a group. Restore, projections, tests and verifiers use it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from logkeel.log.consumer import Fetched
from logkeel.log.records import TopicPartition


@dataclass(slots=True)
class Changes:
    """What a fetch brought, folded: the last value under each key, per partition, as a restore wants it.

    `positions` are the offsets behind the last record of each partition in `rows`; `ends` as in `Fetched`; `records`
    counts what was read. Records without a key move the position and leave no row.
    """

    rows: dict[TopicPartition, dict[bytes, bytes | None]] = field(default_factory=dict)
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    records: int = 0


def changes_of(fetched: Fetched) -> Changes:
    """The same, folded."""
    changes = Changes(ends=dict(fetched.ends), records=len(fetched.records))
    for record in fetched.records:
        rows = changes.rows.setdefault(record.source, {})
        if record.key is not None:
            rows[record.key] = record.value
        changes.positions[record.source] = record.offset + 1
    return changes


class LogReader(Protocol):
    """Reads assigned partitions from given offsets. Isolation is fixed when it is made by `LogClient.reader`."""

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read exactly these partitions from these offsets; replaces the former assignment."""
        ...

    def fetch(self, max_records: int, timeout_s: float) -> Fetched:
        """As `GroupConsumer.fetch`. Raises `LogUnavailable`, `PositionOutOfRange`, `TopicMissing`."""
        ...

    def fetch_changes(self, max_records: int, timeout_s: float) -> Changes:
        """As `fetch`, folded: keys and values only, so that a restore need not make a record of each."""
        ...

    def close(self) -> None:
        """Release the client; idempotent."""
        ...
