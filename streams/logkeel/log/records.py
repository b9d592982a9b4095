"""What crosses the log port: records and their places. Values only; keys, values and headers are opaque bytes."""

from typing import NamedTuple, TypeAlias

Header: TypeAlias = tuple[str, bytes]


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class Record(NamedTuple):
    """A record as read from a partition.

    `offset` counts log positions, transaction markers included, so consecutive records need not have consecutive
    offsets. `timestamp_ms` is milliseconds since the epoch (LogAppendTime on inputs, P23). `value=None` is a tombstone.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()

    @property
    def source(self) -> TopicPartition:
        """The partition this record was read from."""
        return TopicPartition(self.topic, self.partition)


class OutputRecord(NamedTuple):
    """A record to be produced. `partition=None`: murmur2(key) mod partition count (Kafka's default partitioner)."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: tuple[Header, ...] = ()
