"""Records on their way into the client's queue, one batch for each partition.

The client's thread sends what it finds in its queue, one request for each partition (librdkafka issue 1700). Handed
over one by one, a thousand records left in dozens of requests; each is work for both sides, and wakes whoever reads
that partition. Handed over as batches they leave in a few, and a record costs half the Python.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as ClientProducer

from logkeel.kafka.classification import call_error, error_of
from logkeel.kafka.rights import Right
from logkeel.log import DeliveryCallback, Header, TopicPartition

_Entry: TypeAlias = dict[str, Any]
"""A message as the client wants it, and under `headers` what its batches cannot carry."""


class Refused(NamedTuple):
    """A record that the client did not take."""

    place: TopicPartition
    error: KafkaError
    on_delivery: DeliveryCallback | None

    @property
    def is_full(self) -> bool:
        """Whether the client's queue is full: it has room again when it was polled."""
        return bool(self.error.code() == KafkaError._QUEUE_FULL)


class QueuedRecords:
    """Records of one producer that its client has not been given yet. Order is kept within a partition."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[tuple[str, int], list[_Entry]] = {}

    def add(
        self,
        place: tuple[str, int],
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[Header],
        on_delivery: DeliveryCallback | None,
    ) -> None:
        """Keep a record for its partition."""
        entry: _Entry = {"key": key, "value": value}
        if headers:
            entry["headers"] = list(headers)
        if on_delivery is not None:
            entry["callback"] = _Report(on_delivery)
        known = self._entries.get(place)
        if known is None:
            self._entries[place] = [entry]
        else:
            known.append(entry)

    def clear(self) -> None:
        """Forget them."""
        self._entries = {}

    def hand_over(self, producer: ClientProducer) -> list[Refused]:
        """Give them to the client, partitions in the order of their first record. Gives those that were not taken."""
        entries, self._entries = self._entries, {}
        refused: list[Refused] = []
        for (topic, partition), messages in entries.items():
            place = TopicPartition(topic, partition)
            batch: list[_Entry] = []
            for message in messages:
                if "headers" in message:
                    refused += _queue_all(producer, place, batch)
                    batch = []
                    refused += _queue_one(producer, place, message)
                else:
                    batch.append(message)
            refused += _queue_all(producer, place, batch)
        return refused


def _queue_all(producer: ClientProducer, place: TopicPartition, batch: list[_Entry]) -> list[Refused]:
    if not batch or producer.produce_batch(place.topic, batch, place.partition) == len(batch):
        return []
    return [_refused(place, message["_error"], message) for message in batch if "_error" in message]


def _queue_one(producer: ClientProducer, place: TopicPartition, message: _Entry) -> list[Refused]:
    try:
        producer.produce(place.topic, partition=place.partition, **message)
    except BufferError as error:
        return [_refused(place, KafkaError(KafkaError._QUEUE_FULL, str(error)), message)]
    except KafkaException as exception:
        return [_refused(place, error_of(exception), message)]
    return []


def _refused(place: TopicPartition, error: KafkaError, message: _Entry) -> Refused:
    report = message.get("callback")
    return Refused(place, error, report.on_delivery if isinstance(report, _Report) else None)


class _Report:
    """A callback as the client calls it."""

    __slots__ = ("on_delivery",)

    def __init__(self, on_delivery: DeliveryCallback) -> None:
        self.on_delivery = on_delivery

    def __call__(self, error: KafkaError | None, message: "Message[Any, Any]") -> None:
        place = TopicPartition(message.topic() or "", message.partition() or 0)
        if error is None:
            self.on_delivery(place, message.offset() or 0, None)
        else:
            rights = (Right("WRITE", "topic", place.topic),)
            self.on_delivery(place, -1, call_error(error, doing=f"producing to {place.topic}", rights=rights))
