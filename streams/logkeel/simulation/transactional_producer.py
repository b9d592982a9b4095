"""A transactional producer of the simulated cluster, with the faults that are planned for it.

Invariant: after an abortable error nothing but `abort` is accepted; after a fatal one, or doubt, nothing at all.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from logkeel.errors import (
    CommitInDoubt,
    InvariantViolation,
    LogTimeout,
    ProducerFatal,
    ProducerFenced,
    StaleGeneration,
    TransactionAbortable,
)
from logkeel.log import DeliveryCallback, GroupMetadata, OutputRecord, TopicPartition
from logkeel.simulation.faults import Fault
from logkeel.simulation.partition_log import Transaction
from logkeel.simulation.producer import Deliveries

if TYPE_CHECKING:
    from logkeel.simulation.client import SimulatedClient

T = TypeVar("T")


class SimulatedTransactionalProducer:
    """Implements `logkeel.log.TransactionalProducer`."""

    def __init__(self, client: "SimulatedClient", transactional_id: str, timeout_ms: int) -> None:
        self._client = client
        self._cluster = client.cluster
        self._id = transactional_id
        self._timeout_ms = timeout_ms
        self._epoch: int | None = None
        self._in_transaction = False
        self._abortable: TransactionAbortable | None = None
        self._fatal: ProducerFatal | None = None
        self._disturbance: str | None = None
        self._deliveries = Deliveries()

    @property
    def transactional_id(self) -> str:
        return self._id

    def init_transactions(self, timeout_s: float) -> None:
        self._enter("init_transactions")
        if self._strikes("init_times_out"):
            raise LogTimeout(f"planned: {self._id} is not initialised in {timeout_s} s")
        with self._cluster.lock:
            self._epoch = self._cluster.transactions.initialise(self._id, self._timeout_ms)

    def begin(self) -> None:
        self._enter("begin")
        if self._epoch is None or self._in_transaction:
            raise InvariantViolation(f"{self._id} begins uninitialised, or inside a transaction")
        self._in_transaction = True

    def produce(self, output: OutputRecord, on_delivery: DeliveryCallback | None = None) -> None:
        self._enter_transaction("produce")
        if self._strikes("produce_abortable"):
            self._fail_abortable(TransactionAbortable("planned: a record was not acknowledged"))
        if self._strikes("produce_fatal"):
            self._fail_fatally(ProducerFatal("planned: the producer failed"))
        with self._cluster.lock:
            self._cluster.check_size(output)
            place, offset = self._cluster.append(output, self._open())
        self._deliveries.add(on_delivery, place, offset)

    def flush(self, timeout_s: float) -> None:
        self._enter_transaction("flush")
        self._deliveries.serve()

    def send_offsets(self, positions: Mapping[TopicPartition, int], group: GroupMetadata, timeout_s: float) -> None:
        if not positions or min(positions.values()) < 0:
            raise ValueError("send_offsets wants real offsets: without them the broker checks no generation (P3)")
        self._enter_transaction("send_offsets")
        if self._strikes("send_offsets_stale"):
            self._fail_abortable(StaleGeneration("planned: the group moved on"))
        if self._strikes("send_offsets_abortable"):
            self._fail_abortable(TransactionAbortable("planned: offsets were refused"))
        with self._cluster.lock:
            coordinated = self._cluster.groups.group(group.group_id)
            transaction = self._open()
            try:
                coordinated.check(group)
            except StaleGeneration as error:
                self._fail_abortable(error)
            if group.group_id not in transaction.offsets:
                coordinated.pending.append(transaction.offsets.setdefault(group.group_id, {}))
            transaction.offsets[group.group_id].update({place: (offset, "") for place, offset in positions.items()})

    def commit(self, timeout_s: float) -> None:
        self._enter_transaction("commit")
        if self._strikes("commit_abortable"):
            self._fail_abortable(TransactionAbortable("planned: the commit was refused"))
        if self._strikes("commit_lost_in_doubt"):
            self._doubt()
        applied_in_doubt = self._strikes("commit_applied_in_doubt")
        self._end(commit=True)
        if applied_in_doubt:
            self._doubt()
        self._deliveries.serve()

    def abort(self, timeout_s: float) -> None:
        self._enter("abort")
        self._deliveries.drop()
        self._end(commit=False)

    def disturbance(self) -> str | None:
        if self._strikes("disturbed"):
            self._disturbance = "planned: a connection was lost"
        return self._disturbance

    def close(self) -> None:
        self._deliveries.drop()
        if self._fatal is None:
            self._fatal = ProducerFatal(f"{self._id} was closed")

    def _strikes(self, kind: Fault) -> bool:
        return self._cluster.faults.strikes(kind, self._id)

    def _enter(self, effect: str) -> None:
        self._client.check_running()
        self._cluster.faults.at(effect)
        if self._fatal is not None:
            raise self._fatal

    def _enter_transaction(self, effect: str) -> None:
        self._enter(effect)
        if not self._in_transaction:
            raise InvariantViolation(f"{self._id}: {effect} outside of a transaction")
        if self._abortable is not None:
            raise self._abortable

    def _open(self) -> Transaction:
        epoch = self._initialised()
        return self._fencing(lambda: self._cluster.transactions.open(self._id, epoch))

    def _end(self, *, commit: bool) -> None:
        epoch = self._initialised()
        with self._cluster.lock:
            self._fencing(lambda: self._cluster.transactions.end(self._id, epoch, commit=commit))
        self._in_transaction = False
        self._abortable = None

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

    def _fail_abortable(self, error: TransactionAbortable) -> None:
        self._abortable = error
        raise error

    def _fail_fatally(self, error: ProducerFatal) -> None:
        self._fatal = error
        raise error

    def _doubt(self) -> None:
        self._disturbance = "planned: the answer to a commit was lost"
        self._fatal = ProducerFatal(f"{self._id} does not know how its transaction ended")
        raise CommitInDoubt(f"{self._id}: the answer to the commit was lost")
