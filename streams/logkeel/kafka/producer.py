"""An idempotent producer without transactions, for clients, workers and tests."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import Producer as ClientProducer

from logkeel.errors import LogTimeout, LogUnavailable
from logkeel.kafka.batching import QueuedRecords, Refused
from logkeel.kafka.classification import call_error
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
        for refused in self._queue([(output, on_delivery)]):
            raise _error_of(refused)

    def produce_all(self, outputs: Sequence[tuple[OutputRecord, DeliveryCallback]]) -> None:
        for refused in self._queue(outputs):
            if refused.on_delivery is not None:
                refused.on_delivery(refused.place, -1, _error_of(refused))

    def _queue(self, outputs: Sequence[tuple[OutputRecord, DeliveryCallback | None]]) -> list[Refused]:
        if self._suspect:
            self._renew()
        queued = QueuedRecords()
        for (topic, key, value, wanted, headers), on_delivery in outputs:
            partition = self._counts.partition_for(topic, key) if wanted is None else wanted
            watching = None if on_delivery is None else self._watching(on_delivery)
            queued.add((topic, partition), key, value, headers, watching)
        return queued.hand_over(self._producer)

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


def _error_of(refused: Refused) -> Exception:
    if refused.is_full:
        return LogUnavailable("the producer's queue is full; poll it, or wait for the broker")
    topic = refused.place.topic
    return call_error(refused.error, doing=f"producing to {topic}", rights=(Right("WRITE", "topic", topic),))
