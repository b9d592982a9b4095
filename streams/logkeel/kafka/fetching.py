"""Turns what the client polls into records, ends of partitions and errors. Shared by group members and readers."""

import contextlib
from collections.abc import Collection
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message

from logkeel.errors import LogkeelError, PositionOutOfRange
from logkeel.kafka.classification import call_error, consumer_error, error_of
from logkeel.kafka.rights import Right
from logkeel.log import Changes, Fetched, Record, TopicPartition


def fetch(consumer: Consumer, max_records: int, timeout_s: float, active: Collection[TopicPartition]) -> Fetched:
    """One blocking poll, then what is already fetched. Partitions that are not `active` are passed over.

    `consume(n, t)` would block for n records or t seconds, whichever comes last (ARCHITECTURE section 4). `active` is
    read again after the poll, since a rebalance may be served inside it.
    """
    fetched = Fetched([], {})
    for message in _messages(consumer, max_records, timeout_s):
        _take(message, fetched, active)
    return fetched


def fetch_changes(
    consumer: Consumer, max_records: int, timeout_s: float, active: Collection[TopicPartition]
) -> Changes:
    """As `fetch`, without making a `Record` of each message: a restore reads keys, values and offsets only."""
    changes = Changes()
    places: dict[tuple[str | None, int | None], TopicPartition] = {}
    for message in _messages(consumer, max_records, timeout_s):
        if message.error() is not None:
            _take_end(message, changes.ends, active)
            continue
        name = (message.topic(), message.partition())
        place = places.get(name)
        if place is None:
            place = places[name] = TopicPartition(name[0] or "", -1 if name[1] is None else name[1])
            changes.rows[place] = {}
        key: Any = message.key()
        if key is not None:
            changes.rows[place][key] = message.value()
        changes.positions[place] = (message.offset() or 0) + 1
        changes.records += 1
    return changes


def _messages(consumer: Consumer, max_records: int, timeout_s: float) -> "list[Message[Any, Any]]":
    try:
        first = consumer.poll(timeout_s)
        if first is None:
            return []
    except KafkaException as exception:
        raise _raised(error_of(exception)) from exception
    messages = [first]
    if max_records > 1:
        # What fails here fails at the next poll, too; what is in hand is not lost for it.
        with contextlib.suppress(KafkaException):
            messages += consumer.consume(max_records - 1, 0)
    return messages


def _raised(error: KafkaError) -> LogkeelError:
    return consumer_error(error, doing="reading") or call_error(error, doing="reading")


def _take(message: "Message[Any, Any]", fetched: Fetched, active: Collection[TopicPartition]) -> None:
    if message.error() is not None:
        _take_end(message, fetched.ends, active)
        return
    source = _source(message)
    if source in active:
        fetched.records.append(_record(message, source))


def _take_end(
    message: "Message[Any, Any]", ends: dict[TopicPartition, int], active: Collection[TopicPartition]
) -> None:
    """Note the end of a partition; raise what is an error."""
    source, error = _source(message), message.error()
    if error is None:
        return
    if error.code() == KafkaError._PARTITION_EOF:
        if source in active:
            ends[source] = message.offset() or 0
        return
    rights = (Right("READ", "topic", source.topic),) if source.topic else ()
    meant = consumer_error(error, doing=f"reading {source.topic or 'as a member'}", rights=rights)
    # A position belongs to a partition that is read. Everything else concerns the member or the topic as a whole,
    # and the client says so with no topic, or with partition 0.
    if meant is None or (isinstance(meant, PositionOutOfRange) and source not in active):
        return
    meant.details.update(topic=source.topic, partition=source.partition)
    raise meant


def _source(message: "Message[Any, Any]") -> TopicPartition:
    partition = message.partition()
    return TopicPartition(message.topic() or "", -1 if partition is None else partition)


def _record(message: "Message[Any, Any]", source: TopicPartition) -> Record:
    headers: Any = message.headers()
    pairs = tuple((name, _as_bytes(value)) for name, value in headers) if headers else ()
    offset = message.offset() or 0
    return Record(*source, offset, message.timestamp()[1], message.key(), message.value(), pairs)


def _as_bytes(value: str | bytes | None) -> bytes:
    if value is None:
        return b""
    return value if isinstance(value, bytes) else value.encode()
