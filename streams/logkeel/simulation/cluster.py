"""The cluster: topics, coordinators and one clock behind one lock. Clients come from `client`; nothing runs by itself.

Invariant: the state changes only inside a call and under `lock`, and time only by `clock`; so what a test does, it can
do again. What is under way (markers, late requests) waits in `_under_way` until the clock has come to it.
"""

import heapq
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from logkeel.errors import RecordTooLarge, TopicMissing
from logkeel.log import OutputRecord, TopicDescription, TopicPartition, TopicPlan
from logkeel.log.partitioner import partition_for
from logkeel.simulation.client import SimulatedClient
from logkeel.simulation.clock import SimulatedClock
from logkeel.simulation.conditions import Conditions
from logkeel.simulation.faults import Faults
from logkeel.simulation.groups import GroupCoordinator
from logkeel.simulation.partition_log import PartitionLog, Transaction
from logkeel.simulation.transactions import TransactionCoordinator

DEFAULT_MAX_MESSAGE_BYTES = 1_048_588
DEFAULT_RETENTION_MS = 7 * 24 * 3_600_000
DEFAULT_DELETE_RETENTION_MS = 24 * 3_600_000


@dataclass(eq=False, slots=True)
class _Topic:
    topic_id: str
    plan: TopicPlan
    config: dict[str, str]
    logs: list[PartitionLog]
    max_bytes: int


class SimulatedCluster:
    """Kafka in memory, as far as exactly-once depends on it. Thread-safe; deterministic on one thread."""

    def __init__(self, clock: SimulatedClock | None = None, conditions: Conditions | None = None) -> None:
        self.clock = clock or SimulatedClock()
        self.conditions = conditions or Conditions()
        self.faults = Faults()
        self.lock = threading.RLock()
        self.counts: dict[str, int] = {}
        self.is_down = False
        self.groups = GroupCoordinator(self.clock, self.counts, self.conditions, self._silenced)
        self.transactions = TransactionCoordinator(
            self.clock, self._ended, self._await_markers, scan_ms=self.conditions.scan_ms
        )
        self._topics: dict[str, _Topic] = {}
        self._topics_made = 0
        self._clients: list[SimulatedClient] = []
        self._under_way: list[tuple[float, int, Callable[[], None]]] = []
        self._sent = 0
        self.quiet_until_ms = 0.0
        """Before that time nothing arrives and nothing ends by itself: `expire` does nothing."""

    @property
    def time_ms(self) -> float:
        """Time that never jumps, for what is under way."""
        return self.clock.elapsed_ms

    def client(self) -> SimulatedClient:
        """A client that stands for one process, which may be killed or frozen."""
        client = SimulatedClient(self)
        self._clients.append(client)
        return client

    def advance(self, milliseconds: float) -> None:
        """Let time pass: what is under way arrives, sessions and transactions that are over time end."""
        with self.lock:
            self.clock.advance(milliseconds)
            if self.clock.elapsed_ms >= self.quiet_until_ms:
                self.expire()

    def advance_to(self, time_ms: float) -> None:
        """As `advance`, until `time_ms` has come."""
        with self.lock:
            self.clock.advance_to(time_ms)
            self.expire()

    def expire(self) -> None:
        """End what the clock says is over. Every call of a client begins with it."""
        now_ms = self.clock.elapsed_ms
        if now_ms < self.quiet_until_ms or self.is_down:
            return
        with self.lock:
            while self._under_way and self._under_way[0][0] <= self.time_ms:
                heapq.heappop(self._under_way)[2]()
            self.groups.expire()
            self.transactions.expire()
            self.quiet_until_ms = self._next_end_ms(now_ms)

    def _next_end_ms(self, now_ms: float) -> float:
        """Until then nothing arrives and nothing ends by itself."""
        scan_ms = now_ms + self.transactions.scan_due_ms()
        if self.groups.has_silent:
            # Clocks show whole milliseconds, and their sums are rounded: the scan is looked for a little early.
            scan_ms = min(scan_ms - 2.0, now_ms + self.groups.expels_in_ms)
        return min(scan_ms, self._under_way[0][0]) if self._under_way else scan_ms

    def _silenced(self) -> None:
        self.quiet_until_ms = 0.0

    def later(self, milliseconds: float, action: Callable[[], None]) -> None:
        """Let something arrive after a while; at once for 0."""
        if milliseconds <= 0:
            action()
            return
        self._sent += 1
        due_ms = self.time_ms + milliseconds
        heapq.heappush(self._under_way, (due_ms, self._sent, action))
        self.quiet_until_ms = min(self.quiet_until_ms, due_ms)

    @property
    def next_arrival_ms(self) -> float | None:
        """When the next thing that is under way arrives, by `time_ms`."""
        return self._under_way[0][0] if self._under_way else None

    # Outages

    def stop(self) -> None:
        """The broker goes down; every connection breaks. What is on the logs stays."""
        self.is_down = True
        for client in self._clients:
            for producer in client.producers:
                producer.disconnected()

    def start(self) -> None:
        """It is back: the coordinator gives every member that fell silent a whole session anew."""
        with self.lock:
            self.is_down = False
            self.quiet_until_ms = 0.0
            self.groups.restarted()
            self.expire()

    # Topics

    def create_topic(self, plan: TopicPlan) -> None:
        """Make a topic; one that exists is left as it is."""
        with self.lock:
            if plan.name in self._topics:
                return
            self._topics_made += 1
            logs = [PartitionLog(TopicPartition(plan.name, number)) for number in range(plan.partitions)]
            config = dict(plan.config)
            self._topics[plan.name] = _Topic(f"topic-{self._topics_made:06d}", plan, config, logs, _max_bytes(config))
            self.counts[plan.name] = plan.partitions

    def delete_topic(self, name: str) -> None:
        """Delete a topic with its records; made again, it has another id."""
        with self.lock:
            topic = self._topics.pop(name, None)
            for log in topic.logs if topic is not None else ():
                log.changed()
            self.counts.pop(name, None)

    def alter_topic(self, name: str, config: Mapping[str, str]) -> None:
        """Set some settings. Raises `TopicMissing`."""
        with self.lock:
            topic = self._topic(name)
            topic.config.update(config)
            topic.max_bytes = _max_bytes(topic.config)

    def clean(self) -> None:
        """What log cleaner and retention do in the end: each topic by its `cleanup.policy` and times."""
        with self.lock:
            now_ms = self.clock.now_ms()
            for topic in self._topics.values():
                policy = topic.config.get("cleanup.policy", "delete")
                keep_ms = int(topic.config.get("retention.ms", DEFAULT_RETENTION_MS))
                tombstones_ms = int(topic.config.get("delete.retention.ms", DEFAULT_DELETE_RETENTION_MS))
                for log in topic.logs:
                    if "compact" in policy:
                        log.compact(now_ms - tombstones_ms)
                    if "delete" in policy and keep_ms >= 0:
                        log.expire_before(now_ms - keep_ms)

    def description(self, name: str) -> TopicDescription | None:
        """The topic as it is; None if there is none."""
        with self.lock:
            topic = self._topics.get(name)
            if topic is None:
                return None
            plan = topic.plan
            return TopicDescription(name, topic.topic_id, plan.partitions, plan.replication_factor, dict(topic.config))

    def logs(self) -> list[PartitionLog]:
        """Every partition's log."""
        return [log for topic in self._topics.values() for log in topic.logs]

    def log(self, place: TopicPartition) -> PartitionLog:
        """The log of one partition. Raises `TopicMissing`."""
        logs = self._topic(place.topic).logs
        if not 0 <= place.partition < len(logs):
            raise TopicMissing(f"{place.topic} has {len(logs)} partitions, no {place.partition}", topic=place.topic)
        return logs[place.partition]

    def append(self, output: OutputRecord, transaction: Transaction | None) -> tuple[TopicPartition, int]:
        """Append under LogAppendTime; returns where. Raises `TopicMissing`, `RecordTooLarge` (see `check_size`)."""
        with self.lock:
            self.check_size(output)
            log = self.log_of(output)
            return log.place, self.append_at(log, output, transaction)

    def append_at(self, log: PartitionLog, output: OutputRecord, transaction: Transaction | None) -> int:
        """Append a record whose size was checked, where it goes; returns the offset. Under the lock."""
        if transaction is not None:
            transaction.partitions[log.place] = None
        return log.append(output, self.clock.now_ms(), transaction)

    def check_size(self, output: OutputRecord) -> None:
        """Raises `RecordTooLarge` above the topic's `max.message.bytes`."""
        topic, key, value, _, headers = output
        limit = self._topic(topic).max_bytes
        size = len(key or b"") + len(value or b"")
        for name, content in headers:
            size += len(name) + len(content)
        if size > limit:
            raise RecordTooLarge(f"a record of {size} bytes is above {topic}'s limit of {limit}", size=size)

    def log_of(self, output: OutputRecord) -> PartitionLog:
        """Where a record goes. Raises `TopicMissing`."""
        logs, number = self._topic(output.topic).logs, output.partition
        if number is None:
            number = 0 if output.key is None else partition_for(output.key, len(logs))
        return logs[number] if 0 <= number < len(logs) else self.log(TopicPartition(output.topic, number))

    def _topic(self, name: str) -> _Topic:
        topic = self._topics.get(name)
        if topic is None:
            raise TopicMissing(f"topic {name} does not exist: run `logkeel topics apply`", topic=name)
        return topic

    # The end of transactions

    def _ended(self, transaction: Transaction) -> None:
        """Send the markers: one to each partition, one to each group's offsets."""
        transaction.unmarked = len(transaction.partitions) + len(transaction.offsets)
        for group_id in transaction.offsets:
            self.later(self.conditions.marker_ms(), partial(self._mark_offsets, group_id, transaction))
        for place in transaction.partitions:
            self.later(self.conditions.marker_ms(), partial(self._mark, place, transaction))

    def _mark(self, place: TopicPartition, transaction: Transaction) -> None:
        transaction.unmarked -= 1
        transaction.marked_ms = self.clock.now_ms()
        if place.topic in self._topics:
            self.log(place).mark(transaction)

    def _mark_offsets(self, group_id: str, transaction: Transaction) -> None:
        transaction.unmarked -= 1
        group, offsets = self.groups.group(group_id), transaction.offsets[group_id]
        group.pending = [each for each in group.pending if each is not offsets]
        if transaction.outcome == "committed":
            group.store(offsets, transaction.offsets_order[group_id])

    def _await_markers(self, transaction: Transaction) -> None:
        """The client tries again until the id is free."""
        while transaction.unmarked and self._under_way and not self.is_down:
            self.advance_to(self._under_way[0][0])


def _max_bytes(config: Mapping[str, str]) -> int:
    return int(config.get("max.message.bytes", DEFAULT_MAX_MESSAGE_BYTES))
