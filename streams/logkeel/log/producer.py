"""The producer ports: a plain idempotent one, and a transactional one that admits what it does not know."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias

from logkeel.log.consumer import GroupMetadata
from logkeel.log.records import OutputRecord, TopicPartition

DeliveryCallback: TypeAlias = Callable[[TopicPartition, int, Exception | None], None]
"""Called with (partition, offset, error) once a record was acknowledged (error None) or given up (offset -1)."""

NO_METADATA: Final[Mapping[TopicPartition, str]] = MappingProxyType({})


class Producer(Protocol):
    """Idempotent producer (KIP-98 without transactions), for clients, workers and tests."""

    def produce(self, output: OutputRecord, on_delivery: DeliveryCallback | None = None) -> None:
        """Queue a record; callbacks run in `poll` and `flush`. Raises `RecordTooLarge`, `LogUnavailable` (full)."""
        ...

    def produce_all(self, outputs: Sequence[tuple[OutputRecord, DeliveryCallback]]) -> None:
        """Queue records as `produce` does one after the other, in fewer requests; in order within a partition.

        What `produce` would raise of a record is told to its callback at once, and the others are queued. Raises
        `TopicMissing` for a topic that does not exist, with nothing queued.
        """
        ...

    def poll(self, timeout_s: float) -> None:
        """Serve delivery callbacks, waiting up to `timeout_s` for one."""
        ...

    def flush(self, timeout_s: float) -> None:
        """Wait until every queued record has its outcome. Raises `LogTimeout`."""
        ...

    def close(self) -> None:
        """Flush briefly and release the client; idempotent."""
        ...


class TransactionalProducer(Protocol):
    """One transactional id (KIP-98). Not safe for use from several threads at once.

    Errors of every method: `TransactionAbortable` (abort, then go on), `StaleGeneration` (its subclass: the group moved
    on), `ProducerFatal` (throw the instance away), `ProducerFenced` (its subclass: a younger instance exists).
    """

    @property
    def transactional_id(self) -> str:
        """The id whose epoch fences older instances."""
        ...

    def init_transactions(self, timeout_s: float) -> None:
        """Fence older instances and abort what they left open. Raises `LogTimeout`; then this handle may be retried."""
        ...

    def begin(self) -> None:
        """Begin a transaction (local)."""
        ...

    def produce(self, output: OutputRecord, on_delivery: DeliveryCallback | None = None) -> None:
        """Add a record to the open transaction; it leaves with the next `dispatch`, `send_offsets`, `flush`, `commit`.

        These or this call raise `RecordTooLarge` too.
        """
        ...

    def dispatch(self) -> None:
        """Send what was produced, one batch for each partition; waits for nothing. Errors as those of `produce`."""
        ...

    def flush(self, timeout_s: float) -> None:
        """Wait until every record of the transaction is acknowledged; raises `TransactionAbortable` if one failed."""
        ...

    def send_offsets(
        self,
        positions: Mapping[TopicPartition, int],
        group: GroupMetadata,
        timeout_s: float,
        *,
        metadata: Mapping[TopicPartition, str] = NO_METADATA,
    ) -> None:
        """Add next positions to the transaction; the broker checks group generation and member (KIP-447).

        `positions` is not empty and holds real offsets (P3); raises ValueError otherwise. `metadata` is kept beside
        them (`Admin.group_offsets`), at most 4096 bytes each (`offset.metadata.max.bytes`).
        """
        ...

    def commit(self, timeout_s: float) -> None:
        """Commit. Raises `TransactionAbortable`, `ProducerFatal`, or `CommitInDoubt` if the outcome is unknown (P6)."""
        ...

    def abort(self, timeout_s: float) -> None:
        """Abort the open transaction. Raises `ProducerFatal` or `LogTimeout`: retire the instance then."""
        ...

    def disturbance(self) -> str | None:
        """Why this instance must be retired before its next begin, or None (P5).

        Serves the client's log and error callbacks once; reports any disconnect or request time-out since `begin`.
        """
        ...

    def close(self) -> None:
        """Release the client without committing or aborting; idempotent. May block: call it off the loop's thread."""
        ...
