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
from logkeel.log import Changes, Fetched, TopicPartition

PATIENCE_S = 3.0
"""A partition that is well has been heard of by then: so long a broker may take to elect its leaders after a start."""


class Silence:
    """Of one consumer: where each partition's next record is, and which partitions were silenced. For one thread.

    Positions are kept here: a seek makes the client forget its own (`rd_kafka_toppar_seek`), and what stays silent is
    sought more than once.
    """

    def __init__(self, log: ClientLog) -> None:
        self._log = log
        self._positions: dict[tuple[str, int], int] = {}
        self._suspects: set[TopicPartition] = set()
        self._due_s = 0.0

    def sought(self, positions: Mapping[TopicPartition, int]) -> None:
        """Reading was told to go on from these."""
        for place, position in positions.items():
            self._positions[place] = position

    def fetched(self, consumer: Consumer, fetched: Fetched, active: Collection[TopicPartition]) -> None:
        """Take note of what was fetched, and look after `active` partitions that are silent."""
        reached = {(record.topic, record.partition): record.offset + 1 for record in fetched.records}
        self._positions.update(reached)
        if self._log.connection_lost or self._suspects:
            self._serve(consumer, active, {*reached, *fetched.ends})

    def changed(self, consumer: Consumer, changes: Changes, active: Collection[TopicPartition]) -> None:
        """As `fetched`."""
        self.sought(changes.positions)
        if self._log.connection_lost or self._suspects:
            self._serve(consumer, active, {*changes.positions, *changes.ends})

    def _serve(
        self, consumer: Consumer, active: Collection[TopicPartition], heard: Collection[tuple[str, int]]
    ) -> None:
        now_s = time.monotonic()
        if self._log.connection_lost:
            self._log.connection_lost = False
            self._suspects, self._due_s = set(active), now_s + PATIENCE_S
        self._suspects.intersection_update(active)
        self._suspects.difference_update(heard)
        if self._suspects and now_s >= self._due_s:
            self._due_s = now_s + PATIENCE_S
            for place in sorted(self._suspects & self._positions.keys()):
                # One that cannot be sought now is tried again: it stays a suspect.
                with contextlib.suppress(KafkaException):
                    consumer.seek(ClientPartition(*place, self._positions[place]))
