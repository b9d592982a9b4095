"""A group member on confluent-kafka. Partitions start paused and without a position; the loop seeks and resumes."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from logkeel.errors import LogTimeout, LogUnavailable
from logkeel.kafka import fetching
from logkeel.kafka.classification import call_error, error_of
from logkeel.kafka.membership import read_group_metadata
from logkeel.log import AssignmentListener, Fetched, TopicPartition

SEEK_TIMEOUT_S = 10.0
"""A partition can be sought once the client's own thread has taken over its assignment: normally some milliseconds."""


class KafkaGroupConsumer:
    """Implements `logkeel.log.GroupConsumer`."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._consumer = Consumer(dict(settings))
        self._active: set[TopicPartition] = set()
        self._sought: dict[TopicPartition, int] = {}
        self._closed = False
        self._listener: AssignmentListener | None = None

    def subscribe(self, topics: Sequence[str], listener: AssignmentListener) -> None:
        self._listener = listener

        def on_assign(consumer: Consumer, partitions: list[ClientPartition]) -> None:
            # An explicit offset keeps the client from asking for committed ones; nothing is handed out before a seek.
            consumer.assign([ClientPartition(each.topic, each.partition, 0) for each in partitions])
            if partitions:
                consumer.pause(partitions)
            self._forget()
            listener.on_assigned(_ours(partitions), read_group_metadata(consumer.consumer_group_metadata()))

        def on_revoke(consumer: Consumer, partitions: list[ClientPartition]) -> None:
            self._forget()
            listener.on_revoked(_ours(partitions))
            consumer.unassign()

        def on_lost(consumer: Consumer, partitions: list[ClientPartition]) -> None:
            self._forget()
            listener.on_lost(_ours(partitions))
            consumer.unassign()

        self._consumer.subscribe(list(topics), on_assign=on_assign, on_revoke=on_revoke, on_lost=on_lost)

    def _forget(self) -> None:
        self._active.clear()
        self._sought.clear()

    def fetch(self, max_records: int, timeout_s: float) -> Fetched:
        return fetching.fetch(self._consumer, max_records, timeout_s, self._active)

    def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        deadline = time.monotonic() + SEEK_TIMEOUT_S
        for partition, offset in positions.items():
            if partition not in self._active:
                self._sought[partition] = offset
            self._seek_one(ClientPartition(partition.topic, partition.partition, offset), deadline)

    def _seek_one(self, target: ClientPartition, deadline: float) -> None:
        while True:
            try:
                self._consumer.seek(target)
            except KafkaException as exception:
                error = error_of(exception)
                if error.code() != KafkaError._STATE:
                    raise call_error(error, doing=f"seeking in {target.topic}-{target.partition}") from exception
                if time.monotonic() > deadline:
                    raise LogTimeout(f"{target.topic}-{target.partition} cannot be sought yet") from exception
                time.sleep(0.002)
            else:
                return

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        if partitions:
            self._active.difference_update(partitions)
            for each in partitions:
                self._sought.pop(each, None)
            self._consumer.pause(_theirs(partitions))

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        if partitions:
            self._active.update(partitions)
            self._consumer.resume(_theirs(partitions))
            # Resuming does not wake the client's broker thread, which may sleep for a second; a seek does. One is
            # enough: a second one would find the first fetch on its way, waiting for records.
            sought = {each: self._sought.pop(each) for each in partitions if each in self._sought}
            for last in list(sought)[-1:]:
                self.seek({last: sought[last]})

    def committed(self, partitions: Sequence[TopicPartition], timeout_s: float) -> Mapping[TopicPartition, int | None]:
        found = self.committed_metadata(partitions, timeout_s)
        return {partition: None if entry is None else entry[0] for partition, entry in found.items()}

    def committed_metadata(
        self, partitions: Sequence[TopicPartition], timeout_s: float
    ) -> Mapping[TopicPartition, tuple[int, str] | None]:
        try:
            answers = self._consumer.committed(_theirs(partitions), timeout_s)
        except KafkaException as exception:
            raise call_error(error_of(exception), doing="reading committed offsets") from exception
        result: dict[TopicPartition, tuple[int, str] | None] = {}
        for answer in answers:
            if answer.error is not None:
                raise call_error(answer.error, doing="reading committed offsets")
            place = TopicPartition(answer.topic, answer.partition)
            result[place] = (answer.offset, answer.metadata or "") if answer.offset >= 0 else None
        return result

    def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]], timeout_s: float) -> None:
        entries = [ClientPartition(p.topic, p.partition, offset, text) for p, (offset, text) in offsets.items()]
        try:
            # The client has no time-out of its own here: its offset commit request is bounded by socket.timeout.ms.
            answers = self._consumer.commit(offsets=entries, asynchronous=False)
        except KafkaException as exception:
            raise call_error(error_of(exception), doing="committing offsets") from exception
        if answers is None:
            raise LogUnavailable("committing offsets was not answered")
        for answer in answers:
            if answer.error is not None:
                raise call_error(answer.error, doing="committing offsets")

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._active.clear()
            self._consumer.close()


def _ours(partitions: Sequence[ClientPartition]) -> list[TopicPartition]:
    return [TopicPartition(each.topic, each.partition) for each in partitions]


def _theirs(partitions: Sequence[TopicPartition]) -> list[ClientPartition]:
    return [ClientPartition(each.topic, each.partition) for each in partitions]
