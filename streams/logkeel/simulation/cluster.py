"""The cluster: topics, coordinators and one clock behind one lock. Clients come from `client`; nothing runs by itself.

Invariant: the state changes only inside a call and under `lock`, and time only by `clock`; so what a test does, it can
do again.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from logkeel.errors import RecordTooLarge, TopicMissing
from logkeel.log import OutputRecord, TopicDescription, TopicPartition, TopicPlan
from logkeel.log.partitioner import partition_for
from logkeel.simulation.client import SimulatedClient
from logkeel.simulation.clock import SimulatedClock
from logkeel.simulation.faults import Faults
from logkeel.simulation.groups import GroupCoordinator
from logkeel.simulation.partition_log import PartitionLog, Transaction
from logkeel.simulation.transactions import TransactionCoordinator

DEFAULT_MAX_MESSAGE_BYTES = 1_048_588


@dataclass(eq=False, slots=True)
class _Topic:
    topic_id: str
    plan: TopicPlan
    config: dict[str, str]
    logs: list[PartitionLog]


class SimulatedCluster:
    """Kafka in memory, as far as exactly-once depends on it. Thread-safe; deterministic on one thread."""

    def __init__(self, clock: SimulatedClock | None = None) -> None:
        self.clock = clock or SimulatedClock()
        self.faults = Faults()
        self.lock = threading.RLock()
        self.counts: dict[str, int] = {}
        self.groups = GroupCoordinator(self.clock, self.counts)
        self.transactions = TransactionCoordinator(self.clock, self._ended)
        self._topics: dict[str, _Topic] = {}
        self._topics_made = 0

    def client(self) -> SimulatedClient:
        """A client that stands for one process, which may be killed or frozen."""
        return SimulatedClient(self)

    def advance(self, milliseconds: float) -> None:
        """Let time pass: sessions and transactions that are over time end."""
        with self.lock:
            self.clock.advance(milliseconds)
            self.expire()

    def expire(self) -> None:
        """End what the clock says is over. Every call of a client begins with it."""
        with self.lock:
            self.groups.expire()
            self.transactions.expire()

    # Topics

    def create_topic(self, plan: TopicPlan) -> None:
        """Make a topic; one that exists is left as it is."""
        with self.lock:
            if plan.name in self._topics:
                return
            self._topics_made += 1
            logs = [PartitionLog(TopicPartition(plan.name, number)) for number in range(plan.partitions)]
            self._topics[plan.name] = _Topic(f"topic-{self._topics_made:06d}", plan, dict(plan.config), logs)
            self.counts[plan.name] = plan.partitions

    def delete_topic(self, name: str) -> None:
        """Delete a topic with its records; made again, it has another id."""
        with self.lock:
            self._topics.pop(name, None)
            self.counts.pop(name, None)

    def alter_topic(self, name: str, config: Mapping[str, str]) -> None:
        """Set some settings. Raises `TopicMissing`."""
        with self.lock:
            self._topic(name).config.update(config)

    def description(self, name: str) -> TopicDescription | None:
        """The topic as it is; None if there is none."""
        with self.lock:
            topic = self._topics.get(name)
            if topic is None:
                return None
            plan = topic.plan
            return TopicDescription(name, topic.topic_id, plan.partitions, plan.replication_factor, dict(topic.config))

    def log(self, place: TopicPartition) -> PartitionLog:
        """The log of one partition. Raises `TopicMissing`."""
        with self.lock:
            logs = self._topic(place.topic).logs
            if not 0 <= place.partition < len(logs):
                raise TopicMissing(f"{place.topic} has {len(logs)} partitions, no {place.partition}", topic=place.topic)
            return logs[place.partition]

    def append(self, output: OutputRecord, transaction: Transaction | None) -> tuple[TopicPartition, int]:
        """Append under LogAppendTime; returns where. Raises `TopicMissing`, `RecordTooLarge` (see `check_size`)."""
        with self.lock:
            self.check_size(output)
            place = self._place(output)
            if transaction is not None:
                transaction.partitions[place] = None
            return place, self.log(place).append(output, self.clock.now_ms(), transaction)

    def check_size(self, output: OutputRecord) -> None:
        """Raises `RecordTooLarge` above the topic's `max.message.bytes`."""
        limit = int(self._topic(output.topic).config.get("max.message.bytes", DEFAULT_MAX_MESSAGE_BYTES))
        size = len(output.key or b"") + len(output.value or b"")
        size += sum(len(name.encode()) + len(value) for name, value in output.headers)
        if size > limit:
            raise RecordTooLarge(f"a record of {size} bytes is above {output.topic}'s limit of {limit}", size=size)

    def _topic(self, name: str) -> _Topic:
        topic = self._topics.get(name)
        if topic is None:
            raise TopicMissing(f"topic {name} does not exist: run `logkeel topics apply`", topic=name)
        return topic

    def _place(self, output: OutputRecord) -> TopicPartition:
        if output.partition is not None:
            return TopicPartition(output.topic, output.partition)
        count = len(self._topic(output.topic).logs)
        return TopicPartition(output.topic, 0 if output.key is None else partition_for(output.key, count))

    def _ended(self, transaction: Transaction) -> None:
        """Write the markers; apply or drop the pending offsets."""
        for place in transaction.partitions:
            if place.topic in self._topics:
                self.log(place).mark(transaction)
        for group_id, offsets in transaction.offsets.items():
            group = self.groups.group(group_id)
            group.pending = [each for each in group.pending if each is not offsets]
            if transaction.outcome == "committed":
                group.offsets.update(offsets)
