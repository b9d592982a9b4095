"""Partition counts of topics, and Kafka's default partitioner on top of them."""

from typing import Any

from confluent_kafka import KafkaException

from logkeel.errors import TopicMissing
from logkeel.kafka.classification import DENIED, call_error, error_of
from logkeel.kafka.rights import Right, denied
from logkeel.log.partitioner import partition_for

METADATA_TIMEOUT_S = 10.0


class PartitionCounts:
    """Counts, asked for once per topic: a topic's partition count never changes under a live application."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._counts: dict[str, int] = {}
        self._turn = 0

    def partition_for(self, topic: str, key: bytes | None) -> int:
        """Where Kafka's default partitioner puts `key`; records without a key go round. Raises `TopicMissing`."""
        count = self._counts.get(topic) or self._ask(topic)
        if key is None:
            self._turn += 1
            return self._turn % count
        return partition_for(key, count)

    def _ask(self, topic: str) -> int:
        try:
            found = self._client.list_topics(topic, METADATA_TIMEOUT_S).topics.get(topic)
        except KafkaException as exception:
            rights = (Right("DESCRIBE", "topic", topic),)
            raise call_error(
                error_of(exception), doing=f"asking for partitions of {topic}", rights=rights
            ) from exception
        if found is not None and found.error is not None and found.error.code() in DENIED:
            raise denied(
                f"asking for partitions of {topic} failed", found.error.name(), Right("DESCRIBE", "topic", topic)
            )
        if found is None or not found.partitions:
            raise TopicMissing(f"topic {topic} does not exist; make it with `logkeel topics apply`", topic=topic)
        count = self._counts[topic] = len(found.partitions)
        return count
