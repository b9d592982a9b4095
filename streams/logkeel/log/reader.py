"""The reader port: partitions read by position, without a group. Restore, projections, tests and verifiers use it."""

from collections.abc import Mapping
from typing import Protocol

from logkeel.log.consumer import Fetched
from logkeel.log.records import TopicPartition


class LogReader(Protocol):
    """Reads assigned partitions from given offsets. Isolation is fixed when it is made by `LogClient.reader`."""

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read exactly these partitions from these offsets; replaces the former assignment."""
        ...

    def fetch(self, max_records: int, timeout_s: float) -> Fetched:
        """As `GroupConsumer.fetch`. Raises `LogUnavailable`, `PositionOutOfRange`, `TopicMissing`."""
        ...

    def close(self) -> None:
        """Release the client; idempotent."""
        ...
