"""Commands to workers (`step-commands.<queue>`, `step-control`) and their answers (`step-results`)."""

from typing import Literal

import msgspec

from logkeel.records.limit_words import LimitKind
from logkeel.records.values import (
    Effect,
    ErrorInfo,
    FieldReference,
    FieldValue,
    FieldWrite,
    RunSummary,
    StepIdentity,
    TraceContext,
)

WaitKind = Literal["sleep", "signal", "question", "child", "limit"]


class CallLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that a call of a step's code keeps to, as the code says it. `key`: the control field it is for."""

    kind: LimitKind
    name: str
    limit: int
    per_ms: int | None = None
    key: str | None = None


class ChildCall(msgspec.Struct, frozen=True, kw_only=True):
    """The run that a call inside a step starts and waits for (P29); its input are the entry's writes.

    `max_descendants`: how many runs there may be below it; None: a share of what is left. `abandon`: it goes on if
    nobody waits for it any more. `run_id` and `result` belong to the outcome: which run it was, and what it returned.
    `uses`: what it and all below it may use of budgets; of other units it gets a share of what is left.
    """

    workflow: str
    version: str
    abandon: bool = False
    max_descendants: int | None = None
    run_id: str | None = None
    result: tuple[FieldValue, ...] = ()
    uses: dict[str, int] = {}


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A journaled sub-call of a step (P34). `state` is intent before the call, done or failed after it.

    `position` says where in the step's code: "2" is the third call, "2.0.1" the second call of the first branch of a
    `gather` that stands there. `ordinal` counts calls of that name in their lane. The result is one write to the field
    "result". `due_ms` belongs to an intent: when a wait is over, from when on a check may tell, or until when a key is
    remembered outside. `child` belongs to a wait for a run.
    `updates`: its writes are of fields of the state, and were made at once.
    `limits` and `uses` belong to a wait for slots: what the next try of its call keeps to, and what it uses at most of
    budgets, by unit. `used`: what the try before has used; of an outcome, or of the wait for the next try.
    """

    name: str
    ordinal: int
    state: Literal["intent", "done", "failed"]
    writes: tuple[FieldWrite, ...] = ()
    error: ErrorInfo | None = None
    position: str = ""
    at_ms: int = 0
    effect: Effect | None = None
    due_ms: int | None = None
    waits_for: WaitKind | None = None
    child: ChildCall | None = None
    updates: bool = False
    limits: tuple[CallLimit, ...] = ()
    uses: dict[str, int] = {}
    used: dict[str, int] = {}


class StepCommand(msgspec.Struct, frozen=True, kw_only=True):
    """Execute a step once. Carries everything a worker needs; the answer goes to `home_partition` of step-results."""

    identity: StepIdentity
    workflow: str
    version: str
    definition_digest: str
    routing_key: str
    home_partition: int
    effect: Effect
    idempotency_key: str
    revision: int
    dispatched_at_ms: int
    timeout_ms: int | None = None
    max_attempts: int = 1
    not_after_ms: int | None = None
    inputs: tuple[FieldValue, ...] = ()
    base_revision: int | None = None
    check_first: bool = False
    check_not_before_ms: int | None = None
    heartbeat_details: bytes | None = None
    journal: tuple[JournalEntry, ...] = ()
    early_digest: str | None = None
    trace: TraceContext | None = None
    run_summary: RunSummary | None = None
    journal_since_ms: int | None = None
    key_valid_for_ms: int | None = None


class StepRevoked(msgspec.Struct, frozen=True, kw_only=True):
    """On step-control: every execution of this step up to `dispatch` is to be stopped (P36)."""

    run_id: str
    incarnation: str
    path: str
    dispatch: int
    reason: str


class StepHeartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """The execution is alive (P25): first after 1 s, then every 2 s."""

    identity: StepIdentity
    holder: str
    started_at_ms: int
    details: bytes | None = None


class StepSucceeded(msgspec.Struct, frozen=True, kw_only=True):
    """The step returned; its return value as field writes. `used`: what it says it has used of budgets, by unit."""

    identity: StepIdentity
    holder: str
    started_at_ms: int
    finished_at_ms: int
    writes: tuple[FieldWrite, ...] = ()
    reads: tuple[FieldReference, ...] = ()
    from_check: bool = False
    early_digest: str | None = None
    trace: TraceContext | None = None
    used: dict[str, int] = {}


class StepFailed(msgspec.Struct, frozen=True, kw_only=True):
    """The step raised, timed out, or its check said no (`check_said_no`: the effect did not happen; run it).

    `position`: of the journaled call inside the step that is in doubt; None: the step itself is, or nothing.
    """

    identity: StepIdentity
    holder: str
    started_at_ms: int
    finished_at_ms: int
    error: ErrorInfo
    in_doubt: bool = False
    check_said_no: bool = False
    trace: TraceContext | None = None
    position: str | None = None
    used: dict[str, int] = {}


class StepReclaimed(msgspec.Struct, frozen=True, kw_only=True):
    """A worker took over a command that may have been started by another one: a question to the engine (P32)."""

    identity: StepIdentity
    holder: str
    holder_dead: bool = False
    was_started: bool = True


class StepReleased(msgspec.Struct, frozen=True, kw_only=True):
    """A draining worker gives a command back. `was_started` False: surely no effect."""

    identity: StepIdentity
    holder: str
    was_started: bool
    started_at_ms: int | None = None


class StepRefused(msgspec.Struct, frozen=True, kw_only=True):
    """The worker cannot run this version; the command is to be dispatched elsewhere (P38)."""

    identity: StepIdentity
    holder: str
    reason: str


class StepNeedsState(msgspec.Struct, frozen=True, kw_only=True):
    """The worker does not keep what the command builds on: send it anew, with whole fields. Surely no effect."""

    identity: StepIdentity
    holder: str
    fields: tuple[str, ...]


class StepJournaled(msgspec.Struct, frozen=True, kw_only=True):
    """A journal entry of a running step, durable once acknowledged (P34)."""

    identity: StepIdentity
    holder: str
    entry: JournalEntry


class StepSuspended(msgspec.Struct, frozen=True, kw_only=True):
    """All coroutines of the step wait; the worker forgets it until one of `waits` is met: positions in its journal.

    `restarts`: its code begins anew instead, without its journal, when `writes` are made.
    """

    identity: StepIdentity
    holder: str
    waits: tuple[str, ...]
    restarts: bool = False
    writes: tuple[FieldWrite, ...] = ()
    used: dict[str, int] = {}


StepAnswer = (
    StepHeartbeat
    | StepSucceeded
    | StepFailed
    | StepReclaimed
    | StepReleased
    | StepRefused
    | StepNeedsState
    | StepJournaled
    | StepSuspended
)
