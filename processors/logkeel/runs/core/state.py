"""What a run is: an immutable part, a head that each event changes, and maps of what it is made of. Values only.

Phases of a step, and the events that lead there:

    ── step_dispatched ──► DISPATCHED ── step_started ──► STARTED
       WAITING    a timer is set: retry, check after the former attempt's deadline, refused by a worker
       IN_DOUBT   a human decides
       SUSPENDED  its code waits for a time, a signal or an answer, and no worker holds it
       DONE · FAILED · REVOKED     terminal

Maps are given by the shell: dictionaries in tests and replays, rows of a table in the engine. All of them together with
`info` and `head` are the fold of the run's events; nothing else is (leases and heartbeat details are not).
"""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import msgspec

from logkeel.records import (
    Allowance,
    Control,
    ErrorInfo,
    JournalEntry,
    Operation,
    Origin,
    Parent,
    Payload,
    RunStatus,
    TraceContext,
    WaitKind,
)
from logkeel.runs.core.by_path import ByPath, PathDict
from logkeel.runs.core.limit_claims import LimitClaim

LOGIC = 1
"""Number of the fold's behaviour; chosen when a run starts and kept (ARCHITECTURE section 5)."""

Phase = Literal["dispatched", "started", "waiting", "in_doubt", "suspended", "done", "failed", "revoked"]
OPEN_PHASES: frozenset[Phase] = frozenset({"dispatched", "started", "waiting", "in_doubt", "suspended"})

RETRYABLE: frozenset[RunStatus] = frozenset({"failed", "timed_out"})
"""Ends of runs that may be taken back (`retrying`)."""

EndCause = Literal["wait", "within", "child", "element", "undo"]


class Account(msgspec.Struct, frozen=True, array_like=True):
    """Of one unit: what the run has used up, and what its open steps may use beyond that.

    `granted`: what a human has given on top of the budget; `refused`: a human has said that there is no more.
    """

    spent: int = 0
    reserved: int = 0
    granted: int = 0
    refused: bool = False


class RunInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is fixed when a run is accepted.

    Of a turn of a conversation, `former_revisions` says how many revisions the turns before it had, and `kept` which
    fields are the conversation's.
    """

    run_id: str
    incarnation: str
    workflow: str
    version: str
    digest: str
    schema_version: int
    logic: int
    routing_key: str
    started_at_ms: int
    request_id: str | None = None
    input_digest: str | None = None
    conversation_id: str | None = None
    deadline_ms: int | None = None
    attributes: Mapping[str, str] = {}
    origin: Origin | None = None
    trace: TraceContext | None = None
    parent: Parent | None = None
    former_revisions: int | None = None
    kept: tuple[str, ...] = ()

    @property
    def allowances(self) -> tuple[Allowance, ...]:
        """What its parent lets it use."""
        return () if self.parent is None else self.parent.budget


class BlockEnd(msgspec.Struct, frozen=True, array_like=True):
    """Where a block has failed last: a wait in time, a limit, a child, an element; or what was undone. A run that ends

    with the next events ends because of it. `child`: the run that has failed, if it had begun.
    """

    cause: EndCause
    path: str
    revision: int
    child: str | None = None


class CutOff(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What waited when the run, or an element, failed, or (None) was about to be sent for the first time: kept for a

    retry. `at_ms`: when its element failed; None: when the run did.
    """

    wait: "WaitState | None" = None
    at_ms: int | None = None


class RunHead(msgspec.Struct, kw_only=True, array_like=True):
    """What every event changes. `open_steps` counts steps in an open phase; `open_waits`, `held_steps`, `stale` and

    `claims` the items of what they are called after. `paused_at_ms`: since when it sends no commands. `descendants`:
    child runs that have been started below it, and those that its open children may start yet. `open_sagas` and
    `open_undos`: items of `waits` that are sagas, or regions that are being undone. `accounts`: of budgets, by unit.
    `failed_elements` counts items of `failed_elements` and `again`.
    `cancelled_by`: who has asked for its cancel. `parent`: of a child that its parent has told to go on, as that said.
    `forked`: it began from another one's history, and within the flow.
    `unjoined`: of a turn, its end has dropped what open branches wrote to kept fields.
    `retries`: how often it was retried after it had ended; `deadline_ms`: that of the run since. `ended_revision`: of
    the event that ended it last.
    """

    status: RunStatus = "running"
    revision: int = 0
    last_ms: int = 0
    open_steps: int = 0
    steps_completed: int = 0
    attempts: int = 0
    finished_at_ms: int | None = None
    error: ErrorInfo | None = None
    open_waits: int = 0
    paused_at_ms: int | None = None
    held_steps: int = 0
    stale: int = 0
    descendants: int = 0
    open_sagas: int = 0
    open_undos: int = 0
    claims: int = 0
    accounts: dict[str, Account] = {}
    retries: int = 0
    deadline_ms: int | None = None
    block_end: BlockEnd | None = None
    ended_revision: int = 0
    failed_elements: int = 0
    unjoined: bool = False
    cancelled_by: str | None = None
    parent: Parent | None = None
    forked: bool = False


class StepState(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One step occurrence.

    `dispatch` is the fence, `attempt` numbers executions, `failures` counts against `max_attempts`, `reclaims` against
    `worker_lost`: losses since the step showed progress, failed by itself, or was decided about. `due_ms`: when a
    waiting step goes on. `reclaimed`: somebody asks, and the holder's lease still runs. `scheduled_ms`: when this
    attempt was first dispatched. `effect_since_ms`: since when an execution may have had its effect; None: surely none
    has. `progress`: digest of the heartbeat details that showed progress last.
    `heard_ms`: when the engine, by its own clock, first heard that this execution had started. `given_back`: how often
    it was returned as not started, which a death within its first 200 ms looks like; reset as `reclaims` is.
    `suspended_since_ms`, `suspended_ms`: since when it is suspended, and how long it was before. `doubt`: position of
    the journaled call that is in doubt; None: the step itself is. `ended_revision`: of the event that ended it.
    `restarts`: how often its code has begun anew; each time what it calls for has other keys. `reserved`: of budgets,
    by unit, what may be used yet; `counted`: what failed attempts of code with a journal have used.
    `forgiven`: failures from before the run was retried, which do not count any more.
    `begun`: child runs that its code had waited for before that, by the position of the call: they are told to go on.
    `failed_dispatch`: the last one that is known to have failed, 0: none is.
    """

    step: str
    phase: Phase
    attempt: int
    dispatch: int
    first_dispatched_ms: int
    dispatched_ms: int
    next_attempt: int = 1
    failures: int = 0
    reclaims: int = 0
    refusals: int = 0
    due_ms: int | None = None
    check_first: bool = False
    check_not_before_ms: int | None = None
    reclaimed: bool = False
    holder: str | None = None
    started_at_ms: int | None = None
    finished_at_ms: int | None = None
    effect_unknown: bool = False
    error: ErrorInfo | None = None
    scheduled_ms: int = 0
    effect_since_ms: int | None = None
    progress: str | None = None
    heard_ms: int | None = None
    given_back: int = 0
    suspended_since_ms: int | None = None
    suspended_ms: int = 0
    doubt: str | None = None
    ended_revision: int = 0
    restarts: int = 0
    reserved: Mapping[str, int] = {}
    counted: Mapping[str, int] = {}
    forgiven: int = 0
    begun: Mapping[str, str] = {}
    failed_dispatch: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it may still bring the run forward."""
        return self.phase in OPEN_PHASES


class ScopeState(msgspec.Struct, frozen=True):
    """An open fork: how many branches have not ended, and the indexes of those that have."""

    remaining: int
    arrived: tuple[int, ...] = ()


class Deferred(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What follows once sagas are undone: the failure of what is at `path`, the end of the run with this status, a

    block whose time is over, a fork that has enough branches, a loop that is left.
    """

    kind: Literal["fail", "end", "timeout", "join", "leave"]
    path: str
    error: ErrorInfo | None = None
    reason: str | None = None
    status: RunStatus | None = None


BlockWaitKind = Literal["sleep", "signal", "question", "within", "child", "saga", "undo"]


class WaitState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An open wait, a block whose time is limited, an open saga, or a region that is being undone.

    `number`: the revision at which it began; the id of a question.

    `due_ms`: when its time is over. A signal's `name` and `correlation` are what it waits for. `assignee`: whom a
    question is for; `escalated`: its first deadline is behind it. Of a child, `name` is its run id, and `reserved` how
    many runs it counts for as long as it is open: itself, and those that it may start. `sagas` are being undone here,
    then follows `then`.
    """

    kind: BlockWaitKind
    number: int
    since_ms: int
    due_ms: int | None = None
    remind_ms: int | None = None
    name: str = ""
    correlation: str | None = None
    assignee: str | None = None
    escalated: bool = False
    reserved: int = 0
    sagas: tuple[str, ...] = ()
    then: Deferred | None = None


class FieldPointer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a field stands: the revision that wrote it. A control value and a small payload stand here; a larger
    payload stands in `values`, where a pointer that moves does not copy it.

    `generation`: its elements stand in `elements`, `count` of them at positions below `end`. `extends`: it adds to what
    the scopes around it have, by this operation.
    """

    revision: int
    is_control: bool = False
    control: Control = None
    payload: Payload | None = None
    generation: int | None = None
    end: int = 0
    count: int = 0
    extends: Operation | None = None


class ElementRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One element; `key` None: of a list. Without payload it hides the element of that key in the scopes around it."""

    key: str | None = None
    payload: Payload | None = None


class StaleRows(msgspec.Struct, frozen=True, array_like=True):
    """Positions of elements that nothing points at any more."""

    start: int
    end: int


class KeptList(msgspec.Struct, frozen=True, array_like=True):
    """The list that a worker of `queue` keeps: the first `count` elements of the one that began with `generation`.

    `size_bytes`: an upper bound of what they take in a command.
    """

    generation: int
    count: int
    size_bytes: int
    queue: str


class EachState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An open each block: its elements as they were at its begin, and how far it is.

    `layers`: what the value is made of. `layer` and `position`: where the next element is looked for. Results and
    failures have places of their own, in the order of the elements, from `collect_from` and `failed_from` on. In a
    block that reduces `total` counts groups, `count` their elements, and `level` how often values were gone through.
    `again`: elements that have failed and are to begin again.
    """

    layers: tuple[FieldPointer, ...]
    total: int
    collect_from: int = 0
    failed_from: int = 0
    layer: int = 0
    position: int = 0
    entered: int = 0
    open: int = 0
    failed: int = 0
    level: int = 0
    count: int = 0
    again: int = 0


class OpenElement(msgspec.Struct, frozen=True, array_like=True):
    """An element that has begun; the how-manieth it is, from 0."""

    key: str
    ordinal: int


class FailedElement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An element that has failed: what it wrote, and how far it was, is kept for a retry (decision 0035).

    `revision`, `at_ms`: of the event that closed it. `end`: where a block had failed last by then. `code`: of the
    error.
    """

    key: str
    ordinal: int
    revision: int
    at_ms: int
    code: str
    end: BlockEnd | None = None


class StoredSignal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A signal that waits for a block to consume it."""

    name: str
    received_ms: int
    payload: Payload | None = None
    sent_by: str | None = None
    correlation: str | None = None


class JournalWait(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What code inside a step waits for. `revision`: of the event that said so; the oldest is served first.

    `reserved`: of a child run that was asked for, how many runs it counts for: itself, and those it may start.
    """

    kind: WaitKind
    name: str
    revision: int
    due_ms: int | None = None
    reserved: int = 0


class Milestone(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A step that was completed (`number` 0), or its failure of that number. `revision`: of the event that said so."""

    revision: int
    attempt: int
    number: int = 0
    code: str = ""
    message: str = ""


FieldKey: TypeAlias = tuple[str, str]
"""(scope, field)"""

ValueKey: TypeAlias = tuple[str, int]
"""(field, revision)"""


ElementKey: TypeAlias = tuple[str, int, int]
"""(field, generation, position)"""

PositionKey: TypeAlias = tuple[str, int, str]
"""(field, generation, key of the element)"""

MilestoneKey: TypeAlias = tuple[str, int]
"""(step path, 0 for its completion or the place of one of its failures)"""


@dataclass(slots=True)
class RunState:
    """A run in hand. The maps are read and written item by item; only cancelling and showing iterate.

    `milestones` is kept only where the definition asks for it. `journal` has the entries of steps that have not
    succeeded, by (step path, position), `journal_waits` those of them that are waits and not over. `held`: steps that
    would have been dispatched while the run is paused, with the revision that said so. `kept`: by field, what the
    worker of its last reader keeps. `claims`: slots of limits that
    steps (by path) and the run ("") ask for or hold; `freed`: those that have ended since somebody looked, no state.
    `cut`: what waited when the run, or an element, failed. `again`: failed elements that are to begin again.
    `ended_eaches`: each blocks that have ended with failed elements, as they were.
    """

    info: RunInfo
    head: RunHead = field(default_factory=RunHead)
    steps: MutableMapping[str, StepState] = field(default_factory=dict)
    forks: MutableMapping[str, ScopeState] = field(default_factory=dict)
    fields: MutableMapping[FieldKey, FieldPointer] = field(default_factory=dict)
    values: MutableMapping[ValueKey, Payload] = field(default_factory=dict)
    signals: MutableMapping[int, StoredSignal] = field(default_factory=dict)
    milestones: MutableMapping[MilestoneKey, Milestone] = field(default_factory=dict)
    waits: MutableMapping[str, WaitState] = field(default_factory=dict)
    held: MutableMapping[str, int] = field(default_factory=dict)
    kept: MutableMapping[str, KeptList] = field(default_factory=dict)
    journal: ByPath[JournalEntry] = field(default_factory=PathDict)
    journal_waits: ByPath[JournalWait] = field(default_factory=PathDict)
    elements: MutableMapping[ElementKey, ElementRow] = field(default_factory=dict)
    positions: MutableMapping[PositionKey, int] = field(default_factory=dict)
    stale: MutableMapping[ValueKey, StaleRows] = field(default_factory=dict)
    eaches: MutableMapping[str, EachState] = field(default_factory=dict)
    items: MutableMapping[str, OpenElement] = field(default_factory=dict)
    claims: MutableMapping[str, LimitClaim] = field(default_factory=dict)
    cut: MutableMapping[str, CutOff] = field(default_factory=dict)
    failed_elements: MutableMapping[str, FailedElement] = field(default_factory=dict)
    again: MutableMapping[str, FailedElement] = field(default_factory=dict)
    ended_eaches: MutableMapping[str, EachState] = field(default_factory=dict)
    freed: list[tuple[str, LimitClaim]] = field(default_factory=list, compare=False, repr=False)

    @property
    def parent(self) -> Parent | None:
        """The run that it answers to, as that was heard of last."""
        return self.head.parent or self.info.parent

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.head.status == "running"

    @property
    def deadline_ms(self) -> int | None:
        """When it has taken too long."""
        return self.info.deadline_ms if self.head.deadline_ms is None else self.head.deadline_ms

    @property
    def sends_nothing(self) -> bool:
        """Whether what is to be sent is held back: it is paused, or goes on and has not the slots of its limits yet."""
        if self.head.paused_at_ms is not None:
            return True
        goes_on = self.head.retries or self.head.forked
        claim = self.claims.get("") if goes_on and self.head.claims else None
        return claim is not None and not claim.is_whole
