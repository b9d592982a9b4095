"""A group member on confluent-kafka. Partitions start paused and without a position; the loop seeks and resumes."""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from logkeel.errors import AuthorizationFailed, ConsumerFenced, LogTimeout, LogUnavailable
from logkeel.kafka import fetching
from logkeel.kafka.bounded import BoundedCalls
from logkeel.kafka.classification import call_error, error_of
from logkeel.kafka.client_log import ClientLog
from logkeel.kafka.handles import close_in_thread
from logkeel.kafka.membership import read_group_metadata
from logkeel.kafka.rights import Right, named
from logkeel.kafka.silence import Silence
from logkeel.log import AssignmentListener, Fetched, TopicPartition

log = logging.getLogger("logkeel.kafka")

STRANDED_S = 20.0
"""A rebalance lasts no longer than a session (10 s) and what it takes to answer; a commit takes milliseconds."""

SEEK_TIMEOUT_S = 10.0
"""A partition can be sought once the client's own thread has taken over its assignment: normally some milliseconds."""


class KafkaGroupConsumer:
    """Implements `logkeel.log.GroupConsumer`."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._static = "group.instance.id" in settings
        self._right = Right("READ", "group", str(settings.get("group.id")))
        self._log = ClientLog()
        self._silence = Silence(self._log)
        self._settings = {**settings, "logger": self._log}
        self._consumer = Consumer(dict(self._settings))
        self._unassigned_since_s = time.monotonic()
        self._commits = BoundedCalls("logkeel-commits")
        self._fetching = False
        self._active: set[TopicPartition] = set()
        self._sought: dict[TopicPartition, int] = {}
        self._closed = False
        self._listener: AssignmentListener | None = None
        self._assigned: tuple[TopicPartition, ...] | None = None
        self._topics: tuple[str, ...] = ()
        self._inherited: set[str] = set()
        self._asked_anew = False

    def subscribe(self, topics: Sequence[str], listener: AssignmentListener) -> None:
        self._listener = listener
        self._topics = tuple(topics)
        self._subscribe(self._topics, listener)

    def _subscribe(self, topics: Sequence[str], listener: AssignmentListener) -> None:
        own = self._consumer  # one that was replaced says nothing any more

        def on_assign(consumer: Consumer, partitions: list[ClientPartition]) -> None:
            wanted = [each for each in partitions if each.topic in self._topics]
            # An explicit offset keeps the client from asking for committed ones; nothing is handed out before a seek.
            consumer.assign([ClientPartition(each.topic, each.partition, 0) for each in wanted])
            if wanted:
                consumer.pause(wanted)
            self._forget()
            if self._inherits(partitions):
                return
            self._assigned = tuple(_ours(wanted))
            self._log.session_over = False
            listener.on_assigned(self._assigned, read_group_metadata(consumer.consumer_group_metadata()))

        def on_revoke(consumer: Consumer, partitions: list[ClientPartition]) -> None:
            if own is self._consumer and (held := self._forget()) is not None:
                listener.on_revoked(held)
            consumer.unassign()

        def on_lost(consumer: Consumer, partitions: list[ClientPartition]) -> None:
            if own is self._consumer and (held := self._forget()) is not None:
                listener.on_lost(held)
            consumer.unassign()

        self._consumer.subscribe(list(topics), on_assign=on_assign, on_revoke=on_revoke, on_lost=on_lost)

    def _inherits(self, partitions: Sequence[ClientPartition]) -> bool:
        """Whether this is what a predecessor of the same name kept for itself when it handed its partitions over.

        The coordinator gives a static member its predecessor's assignment, whatever the two subscribe to. Only another
        subscription makes it share out anew: the wanted topics and the predecessor's (see `fetch`).
        """
        strange = {each.topic for each in partitions} - set(self._topics) - self._inherited
        self._inherited |= strange
        return bool(strange)

    def hand_over(self, idle_topic: str, timeout_s: float) -> bool:
        listener, self._listener = self._listener, None
        if not self._static or self._assigned is None or listener is None:
            return True
        moved: list[str] = []

        def on_assign(consumer: Consumer, partitions: list[ClientPartition]) -> None:
            consumer.assign([])
            moved.extend(each.topic for each in partitions)
            if all(each.topic == idle_topic for each in partitions):
                moved.append(idle_topic)

        def on_revoke(consumer: Consumer, partitions: list[ClientPartition]) -> None:
            if (held := self._forget()) is not None:
                listener.on_revoked(held)
            consumer.unassign()

        try:
            self._consumer.subscribe([idle_topic], on_assign=on_assign, on_revoke=on_revoke, on_lost=on_revoke)
        except KafkaException as exception:
            raise call_error(error_of(exception), doing="handing partitions over") from exception
        deadline_s = time.monotonic() + timeout_s
        while idle_topic not in moved and time.monotonic() < deadline_s:
            self.fetch(1, 0.02)
        return idle_topic in moved

    def _forget(self) -> tuple[TopicPartition, ...] | None:
        """Nothing is assigned any more; answers what the listener knows of."""
        held, self._assigned = self._assigned, None
        self._unassigned_since_s = time.monotonic()
        self._active.clear()
        self._sought.clear()
        return held

    def fetch(self, max_records: int, timeout_s: float) -> Fetched:
        if self._inherited and not self._asked_anew and self._listener is not None:
            self._asked_anew = True
            self._subscribe([*self._topics, *sorted(self._inherited)], self._listener)
        if self._is_stranded():
            log.warning("nothing was assigned, or a commit did not return, for %g s; the member joins anew", STRANDED_S)
            self._join_anew()
        self._fetching = True
        try:
            fetched = fetching.fetch(self._consumer, max_records, timeout_s, self._active)
        except ConsumerFenced:
            if not self._log.session_over or self._listener is None:
                raise
            log.warning("fenced by its own next membership, after its session was over; the member joins anew")
            self._join_anew()
            return Fetched([], {})
        except AuthorizationFailed as error:
            raise named(error, self._right) from error
        finally:
            self._fetching = False
        self._silence.fetched(self._consumer, fetched, self._active)
        if self._silence.is_hopeless():
            log.warning("a partition was silent since a connection broke; the member joins anew")
            self._join_anew()
        return fetched

    def _is_stranded(self) -> bool:
        """Whether the client is stuck: on the way to an assignment or in a commit, longer than either can take."""
        if self._listener is None:
            return False
        waits_s = time.monotonic() - self._unassigned_since_s if self._assigned is None else self._commits.stuck_s
        return waits_s > STRANDED_S

    def _join_anew(self) -> None:
        """Go on with a new handle (decision 0014); the old one ends elsewhere. What is still assigned is lost."""
        if (listener := self._listener) is None:
            return
        if (held := self._forget()) is not None:
            listener.on_lost(held)
        self._log.session_over = False
        self._unassigned_since_s = time.monotonic()
        old, self._consumer = self._consumer, Consumer(dict(self._settings))
        if self._commits.stuck:  # a handle must not go away under a call
            self._commits.close()
            self._commits = BoundedCalls("logkeel-commits")
        else:
            close_in_thread(old)
        self._inherited, self._asked_anew = set(), False
        self._subscribe(self._topics, listener)

    def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        deadline = time.monotonic() + SEEK_TIMEOUT_S
        self._silence.sought(positions)
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
            raise call_error(
                error_of(exception), doing="reading committed offsets", rights=(self._right,)
            ) from exception
        result: dict[TopicPartition, tuple[int, str] | None] = {}
        for answer in answers:
            if answer.error is not None:
                raise call_error(answer.error, doing="reading committed offsets", rights=(self._right,))
            place = TopicPartition(answer.topic, answer.partition)
            result[place] = (answer.offset, answer.metadata or "") if answer.offset >= 0 else None
        return result

    def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]], timeout_s: float) -> None:
        entries = [ClientPartition(p.topic, p.partition, offset, text) for p, (offset, text) in offsets.items()]
        if self._fetching:
            # Inside of a callback, where the client serves no other thread.
            _commit(self._consumer, entries, self._right)
        else:
            consumer = self._consumer
            self._commits.call(lambda: _commit(consumer, entries, self._right), timeout_s, "committing offsets")

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._active.clear()
            stuck = self._commits.stuck
            self._commits.close()
            if not stuck:  # a handle must not go away under a call
                self._consumer.close()


def _commit(consumer: Consumer, offsets: list[ClientPartition], right: Right) -> None:
    try:
        answers = consumer.commit(offsets=offsets, asynchronous=False)
    except KafkaException as exception:
        raise call_error(error_of(exception), doing="committing offsets", rights=(right,)) from exception
    if answers is None:
        raise LogUnavailable("committing offsets was not answered")
    for answer in answers:
        if answer.error is not None:
            raise call_error(answer.error, doing="committing offsets", rights=(right,))


def _ours(partitions: Sequence[ClientPartition]) -> list[TopicPartition]:
    return [TopicPartition(each.topic, each.partition) for each in partitions]


def _theirs(partitions: Sequence[TopicPartition]) -> list[ClientPartition]:
    return [ClientPartition(each.topic, each.partition) for each in partitions]
