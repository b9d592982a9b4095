"""What the core asks of the shell: values, done in order, in the transaction of the events that go with them."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from logkeel.records import FieldValue, JournalEntry, RunSummary, StartRun
from logkeel.runs.core.limit_claims import LimitUse

TimerKind: TypeAlias = Literal["step", "run_deadline", "start_deadline", "block", "reminder", "journal"]


@dataclass(frozen=True, slots=True)
class DispatchStep:
    """Produce the command of this step as it stands now. `inputs`: what it reads; equality is by path.

    `summary`: what the run has behind it, for a step that asks. `journal`: what its code has behind it.
    """

    path: str
    inputs: tuple[FieldValue, ...] = field(default=(), compare=False, repr=False)
    summary: RunSummary | None = field(default=None, compare=False, repr=False)
    journal: tuple[JournalEntry, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RevokeStep:
    """Tell every worker to stop executions of this step up to `dispatch` (P36)."""

    path: str
    dispatch: int
    reason: str


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Set a durable timer. `path` is empty and `dispatch` 0 for a timer of the run.

    That of a wait inside a step (`journal`) has its position behind the path (`journal_timers`).
    """

    kind: TimerKind
    due_ms: int
    path: str = ""
    dispatch: int = 0


@dataclass(frozen=True, slots=True)
class ClearTimer:
    """Clear that timer."""

    kind: TimerKind
    due_ms: int
    path: str = ""
    dispatch: int = 0


@dataclass(frozen=True, slots=True)
class HoldLease:
    """The step has a holder until `due_ms`, unless it is heard of again. Kept in memory (P19), anew after a resync."""

    path: str
    due_ms: int


@dataclass(frozen=True, slots=True)
class EndLease:
    """The step has no holder any more."""

    path: str


@dataclass(frozen=True, slots=True)
class KeepDetails:
    """Keep what a heartbeat brought, for the next attempt; None: forget it."""

    path: str
    details: bytes | None


@dataclass(frozen=True, slots=True)
class StartChild:
    """Ask for a child run at its home partition (P29). The shell adds which partition the answer goes to."""

    request: StartRun


@dataclass(frozen=True, slots=True)
class CancelChild:
    """Ask for the end of a child run at its home partition. `life`: which wait of a run that was retried has ended."""

    run_id: str
    reason: str
    life: int | None = None


@dataclass(frozen=True, slots=True)
class AcquireSlot:
    """Ask for a slot at the home of the limit (P29), for the claim of that number at `path` ("": of the run)."""

    path: str
    number: int
    use: LimitUse


@dataclass(frozen=True, slots=True)
class ReleaseSlot:
    """Give it back there, or wait in its line no more. `used`: of a budget, how much of it is not given back."""

    path: str
    number: int
    use: LimitUse
    used: int | None = None


@dataclass(frozen=True, slots=True)
class CompleteRun:
    """Announce the end of the run; its rows expire from now on. `result` is empty unless it succeeded."""

    result: tuple[FieldValue, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ReopenRun:
    """The run, which had ended at `ended_ms`, goes on: its rows do not expire."""

    ended_ms: int


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuse the request that is being handled (P28)."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing follows from the input; why. For logs and metrics only."""

    reason: str


Action: TypeAlias = (
    DispatchStep
    | RevokeStep
    | SetTimer
    | ClearTimer
    | HoldLease
    | EndLease
    | KeepDetails
    | StartChild
    | CancelChild
    | AcquireSlot
    | ReleaseSlot
    | CompleteRun
    | ReopenRun
    | Reject
    | Ignored
)
