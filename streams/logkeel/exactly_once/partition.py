"""One owned partition: its store, what mirrors it in memory, and how far its inputs were processed.

Holds state and does store I/O; it decides nothing. Invariants: cache and timers mirror the store (P7); `positions` is
the loop's own position map (P3), never the consumer's; `committed_positions` is what the position rows say (P2).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from logkeel.exactly_once.cache import RowCache
from logkeel.exactly_once.poison import TIMERS, CrashMark
from logkeel.exactly_once.rows import (
    MARKS_KEY,
    TIMERS_END,
    TIMERS_START,
    LocalMarks,
    decode_position,
    position_key,
)
from logkeel.exactly_once.timers import TimerHeap
from logkeel.log import Store


@dataclass(frozen=True, slots=True)
class LogTarget:
    """Ends of a partition's inputs taken at `taken_ms` or later: how far to read before a timer may fire (P23)."""

    taken_ms: int
    ends: Mapping[str, int]

    def reached(self, positions: Mapping[str, int]) -> bool:
        """Whether everything that was in the log then has been processed."""
        return all(positions.get(topic, -1) >= end for topic, end in self.ends.items())


@dataclass(slots=True)
class PartitionState:
    """An owned partition. `active` is False from revoke, doubt or stop until a resync finished."""

    partition: int
    store: Store
    cache: RowCache
    timers: TimerHeap = field(default_factory=TimerHeap)
    positions: dict[str, int] = field(default_factory=dict)
    committed_positions: dict[str, int] = field(default_factory=dict)
    marks: LocalMarks | None = None
    target: LogTarget | None = None
    active: bool = False
    idle_committed_s: float = 0.0
    opened: bool = False
    """Whether this process has opened it before; a rebalance in between is no crash."""
    crash_mark: CrashMark = field(default_factory=CrashMark)
    """The mark that is in the store (P21)."""
    alone: dict[str, int] = field(default_factory=dict)
    """By input: how many of its records (timers) are still to be tried one by one after repeated crashes (P21)."""
    fresh: bool = False
    """Synced, and not yet offered its first turn."""

    @property
    def replay_from(self) -> int:
        """The first changelog offset that the store lacks, as its marks say."""
        return 0 if self.marks is None else self.marks.offset

    def places(self) -> dict[str, int]:
        """Where it stands, for its crash mark: input positions, and the first timer."""
        first_ms = self.timers.first_timer_ms()
        return self.positions if first_ms is None else {**self.positions, TIMERS: first_ms}

    def rests_ms(self, now_ms: int, now_s: float, idle_commit_s: float) -> float | None:
        """How long until a timer or an idle commit is due; None if one is, or the first turn after a resync."""
        if self.fresh:
            return None
        left_ms = float("inf")
        if self.positions != self.committed_positions:
            left_ms = 1_000 * (idle_commit_s - (now_s - self.idle_committed_s))
        due_ms = self.timers.next_due_ms()
        if due_ms is not None:
            covered = self.target is not None and due_ms <= self.target.taken_ms
            left_ms = 0.0 if covered else min(left_ms, due_ms - now_ms)
        return left_ms if left_ms > 0 else None

    def read(self, key: bytes) -> bytes | None:
        """The committed row under `key`."""
        if key in self.cache:
            return self.cache[key]
        value = self.store.get(key)
        self.cache.fill(key, value)
        return value

    def drop(self) -> None:
        """Forget all that mirrors the store (P6, P7) and stop."""
        self.active = False
        self.cache.clear()
        self.timers.load(())
        self.positions.clear()
        self.committed_positions.clear()
        self.target = None

    def load_marks(self) -> LocalMarks | None:
        """Read the local marks from the store."""
        row = self.store.get(MARKS_KEY)
        self.marks = None if row is None else LocalMarks.decode(row)
        return self.marks

    def load(self, inputs: tuple[str, ...]) -> dict[str, int]:
        """Read timers and position rows from the store; answers the position rows found."""
        self.cache.clear()
        self.timers.load([key for key, _ in self.store.scan(TIMERS_START, TIMERS_END)])
        self.target = None
        found = {}
        for topic in inputs:
            row = self.store.get(position_key(topic))
            if row is not None:
                found[topic] = decode_position(row)
        return found


def needs_target(state: PartitionState, now_ms: int) -> bool:
    """Whether something is due that no log target covers yet. An unreached target is waited for first (P23)."""
    due_ms = state.timers.next_due_ms()
    if due_ms is None or due_ms > now_ms:
        return False
    target = state.target
    return target is None or (target.taken_ms < due_ms and target.reached(state.positions))


def waits_for_records(state: PartitionState, due_ms: int) -> bool:
    """Whether a timer that is due then may not fire before the log has been read up to a target (P23)."""
    target = state.target
    return target is not None and due_ms <= target.taken_ms and not target.reached(state.positions)
