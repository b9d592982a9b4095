"""What the step machine remembers: held executions, one table per owned partition, and revocations. Pure data.

Invariants: a partition's `open` is in offset order and holds exactly the commands that its low-water offset has not
passed; its `queue` is the part of them that was never started nor claimed, in offset order.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from enum import Enum, auto

from logkeel.log import TopicPartition
from logkeel.records import StepCommand, StepRevoked
from logkeel.steps.machine.marks import Holder, Mark
from logkeel.steps.machine.messages import Key, key_of

REVOCATIONS_KEPT = 100_000
"""About 40 MB at most. Revocations outlive their commands on the log, so the newest are the ones that matter."""


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
        return self.command.effect in ("ONCE", "CHECKED") or bool(self.command.journal)


@dataclass(slots=True)
class PartitionTable:
    """One owned partition.

    `inherited` is the highest offset that holders before this one may have started, `started` the highest started by
    anyone, `claimed` the highest started by claim; `dead_above`: a dead holder started the inherited ones above it.
    """

    source: TopicPartition
    position: int
    inherited: int
    started: int
    claimed: int
    dead_above: int | None
    committed: tuple[int, str] | None
    open: dict[int, Execution] = field(default_factory=dict)
    queue: deque[Execution] = field(default_factory=deque)
    paused: bool = False

    def low(self) -> int:
        """L: the first offset that is not answered for."""
        return next(iter(self.open)) if self.open else self.position

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

    def offsets(self, started: int, holder: Holder) -> tuple[TopicPartition, int, str]:
        """What to commit for this partition with `started` as the mark."""
        return self.source, self.low(), Mark(started, holder, self.inherited).encode()


class Revocations:
    """The revoked executions, by step path; the oldest are forgotten beyond `REVOCATIONS_KEPT`."""

    def __init__(self) -> None:
        self._dispatch: OrderedDict[tuple[str, str, str], int] = OrderedDict()

    def add(self, revoked: StepRevoked) -> None:
        """Remember that every execution up to `revoked.dispatch` is to be stopped."""
        path = (revoked.run_id, revoked.incarnation, revoked.path)
        self._dispatch[path] = max(revoked.dispatch, self._dispatch.pop(path, -1))
        if len(self._dispatch) > REVOCATIONS_KEPT:
            self._dispatch.popitem(last=False)

    def covers(self, key: Key) -> bool:
        """Whether this execution is revoked."""
        return self._dispatch.get(key[:3], -1) >= key.dispatch


def new_execution(source: TopicPartition, offset: int, command: StepCommand) -> Execution:
    """A command just read."""
    return Execution(key_of(command.identity), command, source, offset)
