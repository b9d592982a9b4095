"""Makes partitions speak that a broken connection may have silenced for ever.

After a restart of a broker the client asks whether its offset is of the leader's history (KIP-320). If the brokers went
away meanwhile it takes the answer `__DESTROY` for its own end, and the partition waits for a validation that nobody
will make (`rd_kafka_toppar_handle_OffsetForLeaderEpoch`, decision 0014). A seek ends that; it is answered with a record
or with the end of the partition, so that a partition which was only idle is known to be well again.
"""

import contextlib
import time
from collections.abc import Collection, Mapping

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from logkeel.kafka.client_log import ClientLog
from logkeel.log import TopicPartition

PATIENCE_S = 3.0
"""A partition that is well has been heard of by then: so long a broker may take to elect its leaders after a start."""


class Silence:
    """Of one consumer. Not for several threads."""

    def __init__(self, log: ClientLog) -> None:
        self._log = log
        self._suspects: set[TopicPartition] = set()
        self._due_s = 0.0
        self._sought: dict[TopicPartition, int] = {}

    def sought(self, positions: Mapping[TopicPartition, int]) -> None:
        """Reading was told to go on from these."""
        self._sought.update(positions)

    @property
    def suspected(self) -> bool:
        """Whether `serve` has something to do: a connection broke, and not every partition was heard of since."""
        return self._log.connection_lost or bool(self._suspects)

    def serve(self, consumer: Consumer, active: Collection[TopicPartition], heard: Collection[TopicPartition]) -> None:
        """Take note of who was heard; seek, every `PATIENCE_S`, those of `active` that were not."""
        now_s = time.monotonic()
        if self._log.connection_lost:
            self._log.connection_lost = False
            self._suspects, self._due_s = set(active), now_s + PATIENCE_S
        self._suspects.intersection_update(active)
        self._suspects.difference_update(heard)
        if self._suspects and now_s >= self._due_s:
            self._due_s = now_s + PATIENCE_S
            self._seek(consumer)

    def _seek(self, consumer: Consumer) -> None:
        for place in sorted(self._suspects):
            # One that cannot be sought now is tried again: it stays a suspect.
            with contextlib.suppress(KafkaException):
                (reached,) = consumer.position([ClientPartition(place.topic, place.partition)])
                offset = reached.offset if reached.offset >= 0 else self._sought.get(place, -1)
                if offset >= 0:
                    consumer.seek(ClientPartition(place.topic, place.partition, offset))
