"""Makes partitions speak that a broken connection may have silenced for ever, and says when nothing else helps.

After a restart of a broker the client asks whether its offset is of the leader's history (KIP-320). If the brokers went
away meanwhile it takes the answer `__DESTROY` for its own end, and the partition waits for a validation that nobody
will make (`rd_kafka_toppar_handle_OffsetForLeaderEpoch`, decision 0014). A seek ends that; it is answered with a record
or with the end of the partition, so that a partition which was only idle is known to be well again. What stays silent
all the same has a handle that does not find its way back to its broker: only another handle does.
"""

import contextlib
import time
from collections.abc import Callable, Collection, Mapping

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from logkeel.kafka.client_log import ClientLog
from logkeel.log import Changes, Fetched, TopicPartition

PATIENCE_S = 3.0
"""Partitions are sought so long after the last broken connection, and again as long after a seek without an answer: a
broker may need it to elect its leaders after a start."""

UNSETTLED_AT_MOST_S = 9.0
"""So long after the first of them at most: one dead broker of several makes connections break for as long as it is."""

HOPELESS_S = 12.0
"""Longer than a session (10 s), so that what is given up then was lost in any case."""

HOPELESS_AT_MOST_S = 600.0
"""The wait doubles up to that: a partition may lack its leader for hours while its neighbours are read."""


class Silence:
    """Of one consumer: where each partition's next record is, and which partitions were silenced. For one thread.

    Positions are kept here: a seek makes the client forget its own (`rd_kafka_toppar_seek`), and what stays silent is
    sought more than once.
    """

    def __init__(self, log: ClientLog, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock_s = clock_s
        self._positions: dict[tuple[str, int], int] = {}
        self._suspects: set[tuple[str, int]] = set()
        self._asked: set[tuple[str, int]] = set()
        self._unsettled = False
        self._until_s = 0.0
        self._due_s = 0.0
        self._silent_since_s: float | None = None
        self._hopeless_s = HOPELESS_S

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

    def is_hopeless(self) -> bool:
        """Whether a partition stays silent although it was sought again and again. For longer every time it is."""
        if self._silent_since_s is None or self._clock_s() - self._silent_since_s < self._hopeless_s:
            return False
        self._silent_since_s = self._clock_s()
        self._hopeless_s = min(2 * self._hopeless_s, HOPELESS_AT_MOST_S)
        return True

    def positions(self, active: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Where reading goes on with another handle."""
        return {place: self._positions[place] for place in active if place in self._positions}

    def _serve(
        self, consumer: Consumer, active: Collection[TopicPartition], heard: Collection[tuple[str, int]]
    ) -> None:
        now_s = self._clock_s()
        if self._log.connection_lost:
            self._log.connection_lost = False
            # Those that are paused too: they are judged when they are read again.
            self._suspects, self._asked = set(self._positions), set()
            if not self._unsettled:
                self._unsettled, self._until_s = True, now_s + UNSETTLED_AT_MOST_S
            self._due_s = min(now_s + PATIENCE_S, self._until_s)
        # What was fetched before a partition was asked may have been under way since before the connection broke.
        self._suspects.difference_update(self._asked.intersection(heard))
        silent = self._suspects.intersection(active)
        if not silent:
            self._silent_since_s = None
            if not self._suspects:
                self._unsettled, self._hopeless_s = False, HOPELESS_S
            return
        if self._silent_since_s is None:
            self._silent_since_s = now_s
        if now_s >= self._due_s:
            self._unsettled = False
            self._due_s = now_s + PATIENCE_S
            self._ask(consumer, silent)

    def _ask(self, consumer: Consumer, silent: Collection[tuple[str, int]]) -> None:
        for place in sorted(silent):
            # One that cannot be sought now is tried again: it stays a suspect.
            with contextlib.suppress(KafkaException):
                consumer.seek(ClientPartition(*place, self._positions[place]))
                self._asked.add(place)
