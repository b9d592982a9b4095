"""Reads partitions by position, without a group."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as ClientPartition

from logkeel.errors import AuthorizationFailed
from logkeel.kafka import fetching
from logkeel.kafka.client_log import ClientLog
from logkeel.kafka.handles import close_in_thread
from logkeel.kafka.rights import Right, named
from logkeel.kafka.silence import Silence
from logkeel.log import Changes, Fetched, TopicPartition

log = logging.getLogger("logkeel.kafka")


class KafkaLogReader:
    """Implements `logkeel.log.LogReader`."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        own_log = ClientLog()
        self._silence = Silence(own_log)
        self._settings = {**settings, "logger": own_log}
        self._consumer = Consumer(dict(self._settings))
        self._active: set[TopicPartition] = set()
        self._closed = False

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self._active = set(positions)
        self._silence.sought(positions)
        self._assign(positions)

    def _assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self._consumer.assign([ClientPartition(p.topic, p.partition, offset) for p, offset in positions.items()])

    def _renew_if_hopeless(self) -> None:
        """Read on with another handle where this one hears nothing (decision 0014). Nothing is lost or read twice."""
        if self._silence.is_hopeless():
            log.warning("a partition was silent since a connection broke; it is read through another client")
            close_in_thread(self._consumer)
            self._consumer = Consumer(dict(self._settings))
            self._assign(self._silence.positions(self._active))

    def fetch(self, max_records: int, timeout_s: float) -> Fetched:
        with self._denials():
            fetched = fetching.fetch(self._consumer, max_records, timeout_s, self._active)
        self._silence.fetched(self._consumer, fetched, self._active)
        self._renew_if_hopeless()
        return fetched

    def fetch_changes(self, max_records: int, timeout_s: float) -> Changes:
        with self._denials():
            changes = fetching.fetch_changes(self._consumer, max_records, timeout_s, self._active)
        self._silence.changed(self._consumer, changes, self._active)
        self._renew_if_hopeless()
        return changes

    @contextmanager
    def _denials(self) -> Iterator[None]:
        """The client asks where its group is coordinated, although a reader has none: that right has a name too."""
        try:
            yield
        except AuthorizationFailed as error:
            raise named(error, Right("DESCRIBE", "group", str(self._settings["group.id"]))) from error

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._consumer.close()
