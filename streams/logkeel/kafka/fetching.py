"""Turns what the client polls into records, ends of partitions and errors. Shared by group members and readers."""

from collections.abc import Collection
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message

from logkeel.errors import LogkeelError, PositionOutOfRange
from logkeel.kafka.classification import call_error, consumer_error, error_of
from logkeel.log import Fetched, Record, TopicPartition


def fetch(consumer: Consumer, max_records: int, timeout_s: float, active: Collection[TopicPartition]) -> Fetched:
    """One blocking poll, then what is already fetched. Partitions that are not `active` are passed over.

    `consume(n, t)` would block for n records or t seconds, whichever comes last (ARCHITECTURE section 4). `active` is
    read again after the poll, since a rebalance may be served inside it.
    """
    fetched = Fetched([], {})
    try:
        first = consumer.poll(timeout_s)
        if first is None:
            return fetched
        messages = [first]
        if max_records > 1:
            messages += consumer.consume(max_records - 1, 0)
    except KafkaException as exception:
        raise _raised(error_of(exception)) from exception
    for message in messages:
        _take(message, fetched, active)
    return fetched


def _raised(error: KafkaError) -> LogkeelError:
    return consumer_error(error, doing="reading") or call_error(error, doing="reading")


def _take(message: "Message[Any, Any]", fetched: Fetched, active: Collection[TopicPartition]) -> None:
    partition = message.partition()
    source = TopicPartition(message.topic() or "", -1 if partition is None else partition)
    error = message.error()
    if error is None:
        if source in active:
            fetched.records.append(_record(message, source))
    elif error.code() == KafkaError._PARTITION_EOF:
        if source in active:
            fetched.ends[source] = message.offset() or 0
    else:
        meant = consumer_error(error, doing=f"reading {source.topic or 'as a member'}")
        # A position belongs to a partition that is read. Everything else concerns the member or the topic as a whole,
        # and the client says so with no topic, or with partition 0.
        if meant is None or (isinstance(meant, PositionOutOfRange) and source not in active):
            return
        meant.details.update(topic=source.topic, partition=source.partition)
        raise meant


def _record(message: "Message[Any, Any]", source: TopicPartition) -> Record:
    headers: Any = message.headers()
    pairs = tuple((name, _as_bytes(value)) for name, value in headers) if headers else ()
    offset = message.offset() or 0
    return Record(*source, offset, message.timestamp()[1], message.key(), message.value(), pairs)


def _as_bytes(value: str | bytes | None) -> bytes:
    if value is None:
        return b""
    return value if isinstance(value, bytes) else value.encode()
