"""Writing and reading as the suite does it: small records in, values and reported ends out."""

from collections.abc import Sequence
from contextlib import closing
from typing import Literal

from tests.conformance.sides import Side, eventually

from logkeel.log import OutputRecord, Record, TopicPartition, TransactionalProducer

CALL_S = 15.0


def initialised(side: Side, transactional_id: str, *, transaction_timeout_ms: int = 20_000) -> TransactionalProducer:
    """A producer that may begin."""
    producer = side.client.transactional_producer(transactional_id, transaction_timeout_ms=transaction_timeout_ms)
    producer.init_transactions(CALL_S)
    return producer


def begin(producer: TransactionalProducer, place: TopicPartition, *values: bytes) -> None:
    """Begin a transaction with these records, acknowledged."""
    producer.begin()
    add(producer, place, *values)


def add(producer: TransactionalProducer, place: TopicPartition, *values: bytes) -> None:
    """Add records to the open transaction, acknowledged."""
    for value in values:
        producer.produce(OutputRecord(place.topic, b"k", value, place.partition))
    producer.flush(CALL_S)


def write(side: Side, place: TopicPartition, *values: bytes) -> None:
    """Write without a transaction."""
    with closing(side.client.producer()) as producer:
        for value in values:
            producer.produce(OutputRecord(place.topic, b"k", value, place.partition))
        producer.flush(CALL_S)


def end_of(side: Side, place: TopicPartition, *, committed_only: bool) -> int:
    """The end of one partition."""
    with closing(side.client.admin()) as admin:
        return admin.end_offsets([place], committed_only=committed_only)[place]


def wait_for_stable_end(side: Side, place: TopicPartition, offset: int) -> None:
    """Until the last stable offset is there: markers are written after EndTxn is answered."""
    eventually(side, lambda: end_of(side, place, committed_only=True) >= offset, f"{place} stable up to {offset}")


def read(
    side: Side,
    place: TopicPartition,
    *,
    until: int,
    start: int = 0,
    isolation: Literal["read_committed", "read_uncommitted"] = "read_committed",
) -> tuple[list[Record], int]:
    """(records, end): everything up to the first reported end at or behind `until`."""
    records: list[Record] = []
    ends: list[int] = []
    with closing(side.client.reader(isolation)) as reader:
        reader.assign({place: start})

        def there() -> bool:
            fetched = reader.fetch(100, 0.1)
            records.extend(fetched.records)
            ends.extend(fetched.ends.values())
            return bool(ends) and ends[-1] >= until

        eventually(side, there, f"the end of {place} at {until}")
    return records, ends[-1]


def values_of(records: Sequence[Record]) -> list[bytes | None]:
    """Their values."""
    return [record.value for record in records]
