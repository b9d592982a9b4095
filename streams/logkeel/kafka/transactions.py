"""A transactional producer that admits what it does not know (P5, P6)."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import Producer as ClientProducer
from confluent_kafka import TopicPartition as ClientPartition

from logkeel.errors import CommitInDoubt, LogTimeout, ProducerFatal, ProducerFenced, TransactionAbortable
from logkeel.kafka.batching import QueuedRecords
from logkeel.kafka.bounded import BoundedCalls
from logkeel.kafka.classification import FENCED_PRODUCER, error_of, transaction_error
from logkeel.kafka.disturbance import DisturbanceLog
from logkeel.kafka.handles import destroy_in_thread
from logkeel.kafka.partitions import PartitionCounts
from logkeel.kafka.refusals import topics_not_writable
from logkeel.kafka.rights import Right
from logkeel.log import NO_METADATA, DeliveryCallback, GroupMetadata, OutputRecord, TopicPartition

FIRST_HEDGE_S = 0.015
HEDGES = 5
"""The client waits on hard-coded 500 ms timers while it initialises; a fresh handle is faster (P16c)."""

OVERDUE_S = 1.0
"""So much later than its own time-out a call that has not returned never will."""


class KafkaTransactionalProducer:
    """Implements `logkeel.log.TransactionalProducer`."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = dict(settings)
        self._id = str(settings["transactional.id"])
        self._closed = False
        self._bounded = BoundedCalls(f"logkeel-offsets-{self._id}")
        self._topics: set[str] = set()
        self._queued = QueuedRecords()
        self._open_handle()

    def _open_handle(self) -> None:
        self._log = DisturbanceLog(f"logkeel.kafka.{self._id}")
        self._producer = ClientProducer({**self._settings, "logger": self._log, "error_cb": self._log.note})
        self._counts = PartitionCounts(self._producer)

    @property
    def transactional_id(self) -> str:
        return self._id

    def init_transactions(self, timeout_s: float) -> None:
        self._connect(timeout_s)
        for attempt in range(HEDGES + 1):
            patience = FIRST_HEDGE_S * 2**attempt if attempt < HEDGES else timeout_s
            try:
                self._producer.init_transactions(min(patience, timeout_s))
            except KafkaException as exception:
                rights = (Right("WRITE", "transactional-id", self._id),)
                meant = transaction_error(error_of(exception), doing=f"initialising {self._id}", rights=rights)
                if not isinstance(meant, LogTimeout) or attempt == HEDGES:
                    raise meant from exception
                destroy_in_thread(self._producer)
                self._open_handle()
                self._connect(timeout_s)
            else:
                self._producer.poll(0)
                self._log.forget()
                return

    def _connect(self, timeout_s: float) -> None:
        # Twice: the first answer comes from the bootstrap connection, the second opens the one to the broker itself.
        try:
            for _ in range(2):
                self._producer.list_topics("", timeout_s)
        except KafkaException as exception:
            raise LogTimeout(f"no broker answers {self._id}: {error_of(exception).str()}") from exception

    def begin(self) -> None:
        self._queued.clear()
        with self._translated(f"beginning a transaction of {self._id}"):
            self._producer.begin_transaction()

    def produce(self, output: OutputRecord, on_delivery: DeliveryCallback | None = None) -> None:
        topic, key, value, partition, headers = output
        self._topics.add(topic)
        if partition is None:
            partition = self._counts.partition_for(topic, key)
        self._queued.add((topic, partition), key, value, headers, on_delivery)

    def dispatch(self) -> None:
        for refused in self._queued.hand_over(self._producer):
            if refused.is_full:
                raise TransactionAbortable("the producer's queue is full")
            topic = refused.place.topic
            rights = (Right("WRITE", "topic", topic),)
            raise transaction_error(refused.error, doing=f"producing to {topic}", rights=rights)

    def flush(self, timeout_s: float) -> None:
        self.dispatch()
        with self._translated(f"flushing records of {self._id}"):
            left = self._producer.flush(timeout_s)
        if left:
            raise TransactionAbortable(f"{left} records were not acknowledged in {timeout_s} s")

    def send_offsets(
        self,
        positions: Mapping[TopicPartition, int],
        group: GroupMetadata,
        timeout_s: float,
        *,
        metadata: Mapping[TopicPartition, str] = NO_METADATA,
    ) -> None:
        if not positions or min(positions.values()) < 0:
            raise ValueError("send_offsets wants real offsets: without them the broker checks no generation (P3)")
        self.dispatch()
        offsets = [ClientPartition(p.topic, p.partition, at, metadata.get(p, "")) for p, at in positions.items()]
        doing, producer = f"sending offsets of {self._id}", self._producer
        try:
            with self._translated(doing, Right("READ", "group", group.group_id)):
                self._bounded.call(
                    lambda: producer.send_offsets_to_transaction(offsets, group.handle, timeout_s),
                    timeout_s + OVERDUE_S,
                    doing,
                )
        except LogTimeout as error:
            if self._bounded.stuck:
                # Nothing else can be asked of this instance, not even to abort; its successor's initialising will.
                raise ProducerFatal(error.message) from error
            raise

    def commit(self, timeout_s: float) -> None:
        self.dispatch()
        try:
            self._producer.commit_transaction(timeout_s)
        except KafkaException as exception:
            raise self._commit_error(error_of(exception)) from exception

    def _commit_error(self, error: KafkaError) -> Exception:
        text = f"committing a transaction of {self._id}: {error.str()} ({error.name()})"
        if error.txn_requires_abort():
            return transaction_error(error, doing="committing", rights=self._rights_lacking(error))
        if error.code() in FENCED_PRODUCER and self.disturbance() is None:
            return ProducerFenced(text, kafka_code=error.name())
        return CommitInDoubt(text, kafka_code=error.name())

    def abort(self, timeout_s: float) -> None:
        self._queued.clear()
        try:
            self._producer.abort_transaction(timeout_s)
        except KafkaException as exception:
            error = error_of(exception)
            meant = transaction_error(error, doing=f"aborting a transaction of {self._id}")
            if isinstance(meant, LogTimeout | ProducerFatal):
                raise meant from exception
            raise ProducerFatal(f"aborting failed: {error.str()}", kafka_code=error.name()) from exception

    def disturbance(self) -> str | None:
        # A fatal error is raised by every call from then on, this one included; it was or will be seen where it counts.
        with contextlib.suppress(KafkaException):
            self._producer.poll(0)
        return self._log.first

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._bounded.close()
            self._producer.purge()
            destroy_in_thread(self._producer)

    @contextlib.contextmanager
    def _translated(self, doing: str, *rights: Right) -> Iterator[None]:
        try:
            yield
        except KafkaException as exception:
            error = error_of(exception)
            rights = (*rights, *self._rights_lacking(error))
            raise transaction_error(error, doing=doing, rights=rights) from exception

    def _rights_lacking(self, error: KafkaError) -> tuple[Right, ...]:
        """A transaction says that some topic of it is not allowed, not which one."""
        if error.code() != KafkaError.TOPIC_AUTHORIZATION_FAILED:
            return ()
        return tuple(Right("WRITE", "topic", each) for each in topics_not_writable(self._settings, self._topics))
