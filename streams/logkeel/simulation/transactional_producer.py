"""A transactional producer of the simulated cluster, with the faults that are planned for it.

It knows what the real client knows: which partitions and groups its transaction was registered with, and nothing of
what the coordinator thinks (no per-transaction epochs, P5). So a late duplicate that ends its transaction behind its
back goes unnoticed until the broker verifies the next record. Invariant: after an abortable error nothing but `abort`
is accepted; after a fatal one, or doubt, nothing at all.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn, TypeVar

from logkeel.errors import (
    CommitInDoubt,
    InvariantViolation,
    LogTimeout,
    ProducerFatal,
    ProducerFenced,
    StaleGeneration,
    TransactionAbortable,
)
from logkeel.log import NO_METADATA, DeliveryCallback, GroupMetadata, OutputRecord, TopicPartition
from logkeel.simulation.effects import effect
from logkeel.simulation.faults import Fault
from logkeel.simulation.partition_log import Outcome, Transaction
from logkeel.simulation.producer import Deliveries

if TYPE_CHECKING:
    from logkeel.simulation.client import SimulatedClient

T = TypeVar("T")


class _LateRequest:
    """A duplicate under way: arrives after a time, or amid what its sender does by then, if that is sooner."""

    def __init__(self, arrival: Callable[[], None], calls: int) -> None:
        self._arrival: Callable[[], None] | None = arrival
        self._calls = calls

    def passed_by(self) -> None:
        """The sender makes another call."""
        self._calls -= 1
        if self._calls == 0:
            self.arrive()

    def arrive(self) -> None:
        """Once."""
        arrival, self._arrival = self._arrival, None
        if arrival is not None:
            arrival()


class SimulatedTransactionalProducer:
    """Implements `logkeel.log.TransactionalProducer`."""

    def __init__(self, client: "SimulatedClient", transactional_id: str, timeout_ms: int) -> None:
        self.client = client
        self._cluster = client.cluster
        self._id = transactional_id
        self._timeout_ms = timeout_ms
        self._epoch: int | None = None
        self._in_transaction = False
        self._registered: set[TopicPartition | str] = set()
        self._abortable: TransactionAbortable | None = None
        self._fatal: ProducerFatal | None = None
        self._disturbance: str | None = None
        self._deliveries = Deliveries(client.cluster)
        self._under_way: list[_LateRequest] = []

    @property
    def transactional_id(self) -> str:
        return self._id

    @effect("init_transactions")
    def init_transactions(self, timeout_s: float) -> None:
        self._check_usable()
        if self._strikes("init_times_out") or not self.client.await_broker(timeout_s):
            raise LogTimeout(f"{self._id} is not initialised in {timeout_s} s")
        with self._cluster.lock:
            self._epoch = self._cluster.transactions.initialise(self._id, self._timeout_ms)
        self.client.initialised.append(self._id)

    @effect("begin")
    def begin(self) -> None:
        self._check_usable()
        if self._epoch is None or self._in_transaction:
            raise InvariantViolation(f"{self._id} begins uninitialised, or inside a transaction")
        self._in_transaction = True
        self._registered.clear()

    @effect("produce")
    def produce(self, output: OutputRecord, on_delivery: DeliveryCallback | None = None) -> None:
        self._check_in_transaction("produce")
        cluster = self._cluster
        if cluster.faults.planned:
            self._fail_to_produce()
        with cluster.lock:
            cluster.check_size(output)
            if not self.client.is_reachable:
                self._reach(self._timeout_ms / 1_000)
            log = cluster.log_of(output)
            offset = cluster.append_at(log, output, self._verified(log.place))
        if on_delivery is not None:
            self._deliveries.add(on_delivery, log.place, offset)

    def _fail_to_produce(self) -> None:
        """If it is planned."""
        if self._strikes("produce_abortable"):
            self._fail_abortable(TransactionAbortable("planned: a record was not acknowledged"))
        if self._strikes("produce_fatal"):
            self._fail_fatally(ProducerFatal("planned: the producer failed"))

    def dispatch(self) -> None:
        """A simulated record is on its log when it is produced."""
        self._check_in_transaction("dispatch")

    @effect("flush")
    def flush(self, timeout_s: float) -> None:
        self._check_in_transaction("flush")
        self._reach(timeout_s)
        self._deliveries.serve_all()

    @effect("send_offsets")
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
        self._check_in_transaction("send_offsets")
        if self._strikes("send_offsets_stale"):
            self._fail_abortable(StaleGeneration("planned: the group moved on"))
        if self._strikes("send_offsets_abortable"):
            self._fail_abortable(TransactionAbortable("planned: offsets were refused"))
        self._reach(timeout_s)
        offsets = {place: (offset, metadata.get(place, "")) for place, offset in positions.items()}
        with self._cluster.lock:
            try:
                self._add_offsets(self._verified(group.group_id), offsets, group)
            except StaleGeneration as error:
                self._fail_abortable(error)
        if self._strikes("send_offsets_repeated"):
            self._repeat(lambda: self._offsets_arrive(offsets, group))

    @effect("commit")
    def commit(self, timeout_s: float) -> None:
        self._check_in_transaction("commit")
        if self._strikes("commit_abortable"):
            self._fail_abortable(TransactionAbortable("planned: the commit was refused"))
        if self._strikes("commit_lost_in_doubt") or not self.client.await_broker(timeout_s):
            self._doubt()
        if self._strikes("commit_late_in_doubt"):
            self._arrives_late(commit=True)
            self._doubt()
        applied_in_doubt = self._strikes("commit_applied_in_doubt")
        self._end(commit=True)
        if applied_in_doubt:
            self._doubt()
        if self._strikes("commit_repeated"):
            self._repeat(lambda: self._end_arrives(commit=True))
        self._deliveries.serve_all()

    @effect("abort")
    def abort(self, timeout_s: float) -> None:
        self._check_usable()
        self._deliveries.drop()
        if self._strikes("abort_times_out") or not self.client.await_broker(timeout_s):
            raise LogTimeout(f"{self._id} could not abort in {timeout_s} s")
        self._end(commit=False)
        if self._strikes("abort_repeated"):
            self._repeat(lambda: self._end_arrives(commit=False))

    def disturbance(self) -> str | None:
        if self._strikes("disturbed"):
            self._disturbance = "planned: a connection was lost"
        return self._disturbance

    def disconnected(self) -> None:
        """The broker went away. For the cluster only."""
        if self._epoch is not None and self._disturbance is None:
            self._disturbance = "the broker went away"

    def close(self) -> None:
        self._deliveries.drop()
        if self in self.client.producers:
            self.client.producers.remove(self)
        if self._fatal is None:
            self._fatal = ProducerFatal(f"{self._id} was closed")

    def _strikes(self, kind: Fault) -> bool:
        faults = self._cluster.faults
        return bool(faults.planned) and faults.strikes(kind, self._id)

    def _check_usable(self) -> None:
        for request in self._under_way:
            request.passed_by()
        if self._fatal is not None:
            raise self._fatal

    def _check_in_transaction(self, name: str) -> None:
        if self._under_way or self._fatal is not None:
            self._check_usable()
        if not self._in_transaction:
            raise InvariantViolation(f"{self._id}: {name} outside of a transaction")
        if self._abortable is not None:
            raise self._abortable

    def _reach(self, timeout_s: float) -> None:
        """A record or offset waits for the broker; given up, the transaction can only be aborted."""
        if not self.client.await_broker(timeout_s):
            self._fail_abortable(TransactionAbortable(f"{self._id}: the broker does not answer"))

    def _verified(self, what: TopicPartition | str) -> Transaction:
        """The open transaction. What is new in it is registered, which opens one; what is not, the broker verifies."""
        epoch = self._initialised() if self._epoch is None else self._epoch
        transactions = self._cluster.transactions
        if what not in self._registered:
            self._registered.add(what)
            return self._fencing(lambda: transactions.open(self._id, epoch))
        try:
            current = transactions.current(self._id, epoch)
        except ProducerFenced as error:
            self._fatal = error
            raise
        if current is None or (what not in current.partitions and what not in current.offsets):
            self._fail_abortable(TransactionAbortable(f"{self._id}: {what} is in no transaction (INVALID_TXN_STATE)"))
        return current

    def _add_offsets(
        self, transaction: Transaction, offsets: Mapping[TopicPartition, tuple[int, str]], group: GroupMetadata
    ) -> None:
        coordinated = self._cluster.groups.group(group.group_id)
        coordinated.check(group, in_transaction=True)
        if group.group_id not in transaction.offsets:
            coordinated.pending.append(transaction.offsets.setdefault(group.group_id, {}))
        transaction.offsets[group.group_id].update(offsets)
        transaction.offsets_order[group.group_id] = coordinated.next_order()

    def _end(self, *, commit: bool) -> None:
        """End the transaction; one that was registered nowhere is known to the client alone."""
        epoch = self._initialised()
        if self._registered:
            with self._cluster.lock:
                self._check_end(epoch, "committed" if commit else "aborted")
                self._fencing(lambda: self._cluster.transactions.end(self._id, epoch, commit=commit))
        self._in_transaction = False
        self._abortable = None

    def _check_end(self, epoch: int, wanted: Outcome) -> None:
        """A transaction that a late duplicate has ended can only be ended alike; anything else is fatal."""
        ended = self._fencing(lambda: self._cluster.transactions.ended_as(self._id, epoch))
        if ended is not None and ended != wanted:
            self._fail_fatally(ProducerFatal(f"{self._id}: the transaction was {ended} (INVALID_TXN_STATE)"))

    def _initialised(self) -> int:
        if self._epoch is None:
            raise InvariantViolation(f"{self._id} is not initialised")
        return self._epoch

    def _fencing(self, call: Callable[[], T]) -> T:
        """A younger epoch is fatal for this instance, for good."""
        try:
            return call()
        except ProducerFenced as error:
            self._fatal = error
            raise

    # Duplicates and late requests (P5, P6)

    def _repeat(self, again: Callable[[], None]) -> None:
        """The connection broke, the second copy had success: the first one is still under way."""
        self._disturbance = "planned: a request was repeated on a new connection"
        request = _LateRequest(again, self._cluster.conditions.lateness_calls())
        self._under_way.append(request)
        self._cluster.later(self._cluster.conditions.lateness_ms(), request.arrive)

    def _arrives_late(self, *, commit: bool) -> None:
        if self._registered:
            self._cluster.later(self._cluster.conditions.lateness_ms(), lambda: self._end_arrives(commit=commit))

    def _end_arrives(self, *, commit: bool) -> None:
        with suppress(ProducerFenced):
            self._cluster.transactions.end(self._id, self._initialised(), commit=commit)

    def _offsets_arrive(self, offsets: Mapping[TopicPartition, tuple[int, str]], group: GroupMetadata) -> None:
        with suppress(ProducerFenced, StaleGeneration):
            current = self._cluster.transactions.current(self._id, self._initialised())
            if current is not None and group.group_id in current.offsets:
                self._add_offsets(current, offsets, group)

    def _fail_abortable(self, error: TransactionAbortable) -> NoReturn:
        self._abortable = error
        raise error

    def _fail_fatally(self, error: ProducerFatal) -> NoReturn:
        self._fatal = error
        raise error

    def _doubt(self) -> NoReturn:
        self._disturbance = "planned: the answer to a commit was lost"
        self._fatal = ProducerFatal(f"{self._id} does not know how its transaction ended")
        raise CommitInDoubt(f"{self._id}: the answer to the commit was lost")
