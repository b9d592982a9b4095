"""An idempotent producer without transactions, for clients, workers and tests."""

import logging
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as ClientProducer

from logkeel.errors import LogTimeout, LogUnavailable
from logkeel.kafka.classification import call_error, error_of
from logkeel.kafka.handles import destroy_in_thread
from logkeel.kafka.partitions import PartitionCounts
from logkeel.kafka.rights import Right
from logkeel.log import DeliveryCallback, OutputRecord, TopicPartition

log = logging.getLogger("logkeel.kafka")

CLOSE_TIMEOUT_S = 5.0
RENEWED = "records were not acknowledged in time; what follows is sent through another client"


class KafkaProducer:
    """Implements `logkeel.log.Producer`."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = dict(settings)
        self._open_handle()

    def _open_handle(self) -> None:
        self._producer = ClientProducer(dict(self._settings))
        self._counts = PartitionCounts(self._producer)
        self._suspect = False

    def _renew(self) -> None:
        """Go on with another handle: one whose records timed out may never find its broker again (decision 0014).

        What it still holds is reported as failed. It may reach the log all the same, as with any failed delivery.
        """
        log.warning(RENEWED)
        old = self._producer
        old.purge()
        old.poll(0)
        destroy_in_thread(old)
        self._open_handle()

    def produce(self, output: OutputRecord, on_delivery: DeliveryCallback | None = None) -> None:
        if self._suspect:
            self._renew()
        if on_delivery is not None:
            on_delivery = self._watching(on_delivery)
        try:
            queue(self._producer, self._counts, output, on_delivery)
        except BufferError as error:
            raise LogUnavailable("the producer's queue is full; poll it, or wait for the broker") from error
        except KafkaException as exception:
            rights = (Right("WRITE", "topic", output.topic),)
            raise call_error(error_of(exception), doing=f"producing to {output.topic}", rights=rights) from exception

    def _watching(self, on_delivery: DeliveryCallback) -> DeliveryCallback:
        def watch(place: TopicPartition, offset: int, error: Exception | None) -> None:
            self._suspect = self._suspect or isinstance(error, LogTimeout)
            on_delivery(place, offset, error)

        return watch

    def poll(self, timeout_s: float) -> None:
        self._producer.poll(timeout_s)

    def flush(self, timeout_s: float) -> None:
        left = self._producer.flush(timeout_s)
        if left:
            raise LogTimeout(f"{left} records have no outcome after {timeout_s} s")

    def close(self) -> None:
        self._producer.flush(CLOSE_TIMEOUT_S)


def queue(
    producer: ClientProducer, counts: PartitionCounts, output: OutputRecord, on_delivery: DeliveryCallback | None
) -> None:
    """Hand one record to the client; raises its exceptions."""
    topic, key, value, partition, headers = output
    if partition is None:
        partition = counts.partition_for(topic, key)
    # By position: half the price of keywords, ten times per step.
    if on_delivery is None and not headers:
        producer.produce(topic, value, key, partition)
        return
    more: dict[str, Any] = {"headers": list(headers)} if headers else {}
    if on_delivery is not None:
        more["on_delivery"] = _adapter(on_delivery)
    producer.produce(topic, value, key, partition, **more)


def _adapter(callback: DeliveryCallback) -> Any:
    def report(error: KafkaError | None, message: "Message[Any, Any]") -> None:
        place = TopicPartition(message.topic() or "", message.partition() or 0)
        if error is None:
            callback(place, message.offset() or 0, None)
        else:
            rights = (Right("WRITE", "topic", place.topic),)
            callback(place, -1, call_error(error, doing=f"producing to {place.topic}", rights=rights))

    return report
