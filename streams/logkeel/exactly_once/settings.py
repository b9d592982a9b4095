"""Settings of one loop. Values only; read once at the edge, durations carry their unit.

Invariants checked here: the transaction outlives the commit call, so that a time-out is first seen by the part that
can still abort (P18).
"""

from dataclasses import dataclass

from logkeel.errors import ConfigInvalid
from logkeel.log import SESSION_TIMEOUT_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """How one loop runs. `application` prefixes all ids; `slot` tells the loops of one application apart (P13)."""

    application: str
    group_id: str
    slot: int = 0
    max_records: int = 1000
    max_bytes: int = 4 * 1024 * 1024
    max_batch_ms: int = 50
    max_record_bytes: int = 1_000_000
    """Rows and outputs above this make their record poison (P22): below Kafka's default of 1 048 588 with envelope."""
    fetch_wait_ms: int = 100
    transaction_timeout_ms: int = 10_000
    commit_timeout_ms: int = 8_000
    init_timeout_ms: int = 30_000
    session_timeout_ms: int = SESSION_TIMEOUT_MS
    barrier_timeout_ms: int = 500
    orphan_wait_ms: int = 300
    """How long a resync waits for stability before it looks for a dead slot's open transaction (P18)."""
    leave_on_close: bool = True
    """Whether closing hands the partitions over at once. False: they wait for this slot until its session ends."""
    restore_bite_ms: int = 40
    """How long a restore may keep the loop from its running partitions before these get their turn."""
    restore_near_rows: int = 10_000
    """A partition that lacks at most so many offsets of its changelog catches up before those that lack more."""
    idle_commit_ms: int = 1_000
    caught_up_stamp_ms: int = 60_000
    delete_retention_ms: int = 24 * 3600 * 1000
    """Of the changelog: a store last caught up longer ago than half of it may have missed tombstones (P17)."""
    cache_rows: int = 10_000
    """Per partition, about 0.6 KB each: rows of a thousand runs in flight, not of those that wait (W9)."""
    crashes_before_single: int = 3
    crashes_before_skip: int = 5
    background_threads: bool = True
    """False prepares producers on the calling thread: deterministic, for simulation."""

    def __post_init__(self) -> None:
        if not self.commit_timeout_ms < self.transaction_timeout_ms:
            raise ConfigInvalid("commit_timeout_ms must be below transaction_timeout_ms: a commit must not outlive it")
        if self.slot < 0:
            raise ConfigInvalid("slot must not be negative", slot=self.slot)

    @property
    def instance_id(self) -> str:
        """`group.instance.id`; zero-padded, since the range assignor sorts strings (P13)."""
        return instance_id(self.application, self.slot)

    @property
    def transactional_ids(self) -> tuple[str, str]:
        """The two ids of P1, derived from the slot."""
        return transactional_ids(self.application, self.slot)


def instance_id(application: str, slot: int) -> str:
    """The static member id of a slot."""
    return f"{application}-{slot:04d}"


def transactional_ids(application: str, slot: int) -> tuple[str, str]:
    """The two transactional ids of a slot."""
    return f"{application}-{slot:04d}-a", f"{application}-{slot:04d}-b"


def slot_of_instance(application: str, instance: str | None) -> int | None:
    """The slot in a member's instance id; None for a stranger's."""
    head, _, tail = (instance or "").rpartition("-")
    return int(tail) if head == application and tail.isdigit() else None
