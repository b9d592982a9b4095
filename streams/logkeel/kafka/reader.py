"""Reads partitions by position, without a group."""

from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as ClientPartition

from logkeel.kafka import fetching
from logkeel.kafka.client_log import ClientLog
from logkeel.kafka.silence import Silence
from logkeel.log import Changes, Fetched, TopicPartition


class KafkaLogReader:
    """Implements `logkeel.log.LogReader`."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        log = ClientLog()
        self._silence = Silence(log)
        self._consumer = Consumer({**settings, "logger": log})
        self._active: set[TopicPartition] = set()
        self._closed = False

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self._active = set(positions)
        self._silence.sought(positions)
        self._consumer.assign([ClientPartition(p.topic, p.partition, offset) for p, offset in positions.items()])

    def fetch(self, max_records: int, timeout_s: float) -> Fetched:
        fetched = fetching.fetch(self._consumer, max_records, timeout_s, self._active)
        self._silence.fetched(self._consumer, fetched, self._active)
        return fetched

    def fetch_changes(self, max_records: int, timeout_s: float) -> Changes:
        changes = fetching.fetch_changes(self._consumer, max_records, timeout_s, self._active)
        self._silence.changed(self._consumer, changes, self._active)
        return changes

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._consumer.close()
