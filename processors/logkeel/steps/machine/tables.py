"""What the step machine remembers: held executions, one table per owned partition, and revocations. Pure data.

Invariants: a partition's `open` is in offset order and holds exactly the commands that its low-water offset has not
passed; its `queue` is the part of them that was never started nor claimed, in offset order.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from hashlib import blake2b

from logkeel.log import TopicPartition
from logkeel.records import StepCommand, StepRevoked
from logkeel.records.topics import DAY_MS, REVOCATIONS_KEPT_DAYS
from logkeel.steps.machine.marks import Holder, Mark, parse_mark
from logkeel.steps.machine.messages import Assigned, Key, key_of

UNMARKED_OFFSETS = 4_096
"""More than a worker starts of a partition while a mark is being committed: some thousand steps a second for 0.2 s,

with the markers of transactions between them. What lies further on was not started, or may run twice by its contract.
"""

AHEAD_OFFSETS = 1_024
"""Far below what a successor gives back above a mark, which follows within the commit interval."""


class Phase(Enum):
    """Where an execution stands: QUEUED → CLAIMING → RUNNING → ANSWERED; an inherited one begins as ANSWERED."""

    QUEUED = auto()
    CLAIMING = auto()
    RUNNING = auto()
    ANSWERED = auto()


@dataclass(slots=True, eq=False)
class Execution:
    """A command this process holds. `source` None: its partition went away meanwhile (the result needs none)."""

    key: Key
    command: StepCommand
    source: TopicPartition | None
    offset: int
    phase: Phase = Phase.QUEUED
    passed: bool = False
    started_at_ms: int = 0
    since_ms: int | None = None
    heartbeat_due_ms: int = 0
    cancelled: bool = False

    @property
    def effectful(self) -> bool:
        """Whether a second execution could do harm: it starts only after a committed claim (P31)."""
        has_journal = self.command.journal_since_ms is not None or bool(self.command.journal)
        # A key that is forgotten some day repeats only until then: when it was used first has to be known (P35).
        forgotten_some_day = self.command.key_valid_for_ms is not None
        return self.command.effect in ("ONCE", "CHECKED") or has_journal or forgotten_some_day


@dataclass(slots=True)
class PartitionTable:
    """One owned partition.

    `inherited` is the highest offset that holders before this one may have started, `begun` the same for commands that
    need a claim: lower if the mark is from a claim of this process whose answer it never got. `started` is the highest
    started by anyone, `claimed` the highest started by claim; `dead_above`: a dead holder started the inherited ones
    above it; `unmarked`: up to here it may have started commands that its mark did not reach. `named`: the committed
    mark is this process's, so that a successor knows of it.
    `ahead` are executions of commands that were heard of before they could be read; they stay until they are read.
    `giving_up`: a clean revoke has begun.
    `strangers` are records that are no commands and whose dead letters are not acknowledged.
    """

    source: TopicPartition
    position: int
    inherited: int
    begun: int
    started: int
    claimed: int
    dead_above: int | None
    unmarked: int
    committed: tuple[int, str] | None
    open: dict[int, Execution] = field(default_factory=dict)
    queue: deque[Execution] = field(default_factory=deque)
    strangers: set[int] = field(default_factory=set)
    paused: bool = False
    named: bool = False
    ahead: dict[int, Execution] = field(default_factory=dict)
    giving_up: bool = False

    def takes_ahead(self, offset: int) -> bool:
        """Whether a command may start that lies at `offset`, unread: fresh, near, and nothing waits before it.

        A successor has to know of us, and gives back what lies up to `AHEAD_OFFSETS` above our mark.
        """
        ready = self.named and not (self.paused or self.giving_up or self.queue)
        fresh = offset >= self.position and offset > max(self.inherited, self.unmarked)
        return ready and fresh and offset not in self.ahead and offset - self.position < AHEAD_OFFSETS

    @property
    def is_clear(self) -> bool:
        """Whether nothing is unread that holders before this one may have started above their mark."""
        return self.unmarked <= self.inherited or self.position > self.unmarked

    def low(self) -> int:
        """L: the first offset that is not answered for."""
        low = next(iter(self.open)) if self.open else self.position
        return min(low, *self.strangers) if self.strangers else low

    def settled_mark(self) -> int:
        """S for a commit without claims: not over a command that waits, which a successor would doubt needlessly,

        but never below a claim that has been used: its effect would be taken for fresh.
        """
        waiting = [entry.offset for entry in self.open.values() if entry.phase is Phase.QUEUED]
        settled = min(self.started, min(waiting) - 1) if waiting else self.started
        return max(settled, self.claimed, *self.claiming())

    def claiming(self) -> list[int]:
        """Offsets whose claim is being committed: no other commit may take the mark back below them."""
        return [entry.offset for entry in self.open.values() if entry.phase is Phase.CLAIMING]

    def claim_mark(self, offset: int) -> int:
        """S for a claim up to `offset`. The queue is in order, so what still waits in it lies above."""
        waiting = self.queue[0].offset if self.queue else None
        settled = self.started if waiting is None else min(self.started, waiting - 1)
        return max(settled, offset, self.claimed, *self.claiming())

    def offsets(self, started: int, holder: Holder, *, left: bool = False) -> tuple[TopicPartition, int, str]:
        """What to commit for this partition with `started` as the mark."""
        return self.source, self.low(), Mark(started, holder, self.inherited, left).encode()


def assigned_table(message: Assigned, holder: Holder, *, begun: int, ran: int) -> PartitionTable:
    """The table of a partition that `holder` gets; `begun` and `ran` are the highest offsets of it that this process

    has started: of commands that need a claim, and of any. It may have been out without hearing of it, so that the
    owners between know nothing of what it ran.
    """
    low, metadata = message.committed or (message.start, "")
    # A retention that outran the group leaves the offset below the log start: what is gone cannot be asked about.
    low = max(low, message.start)
    mark = parse_mark(metadata) or Mark(message.end - 1)
    inherited = max(mark.started, -1)
    # While the mark is this process's, nobody else has claimed since: what it did not start itself is not started.
    begun = max(mark.since, begun) if mark.holder == holder else inherited
    unmarked = inherited + UNMARKED_OFFSETS if mark.unannounced else inherited
    return PartitionTable(
        source=message.source,
        position=low,
        inherited=inherited,
        begun=min(begun, inherited),
        started=inherited,
        claimed=inherited,
        dead_above=mark.since if _is_dead(mark.holder, holder) else None,
        unmarked=max(min(message.end - 1, max(unmarked, ran)), inherited),
        committed=message.committed,
    )


def _is_dead(former: Holder | None, holder: Holder) -> bool:
    """`holder` has the slot's lock, so an earlier life of the slot is over (P13, P32)."""
    return former is not None and former.slot == holder.slot and former.incarnation != holder.incarnation


class Revocations:
    """The revoked executions, by step path: all that step-control itself still has (P36).

    A day's are one table of 16-byte digests, forgotten as a whole: a command is on the log before its revocation and
    not as long, so none is forgotten that could still be met. `test_tables.py` holds what one takes.
    """

    def __init__(self) -> None:
        self._days: dict[int, dict[bytes, int]] = {}

    def add(self, revoked: StepRevoked, at_ms: int) -> None:
        """Remember that every execution up to `revoked.dispatch` is to be stopped; `at_ms` is the log's append time."""
        day = self._days.setdefault(at_ms // DAY_MS, {})
        path = _digest(revoked.run_id, revoked.incarnation, revoked.path)
        day[path] = max(revoked.dispatch, day.get(path, -1))
        oldest = max(self._days) - REVOCATIONS_KEPT_DAYS - 1
        for number in [number for number in self._days if number < oldest]:
            del self._days[number]

    def covers(self, key: Key) -> bool:
        """Whether this execution is revoked."""
        if not self._days:
            return False
        path = _digest(*key[:3])
        return any(day.get(path, -1) >= key.dispatch for day in self._days.values())


def _digest(*path: str) -> bytes:
    return blake2b("\x00".join(path).encode(), digest_size=16).digest()


def new_execution(source: TopicPartition, offset: int, command: StepCommand) -> Execution:
    """A command just read."""
    return Execution(key_of(command.identity), command, source, offset)
