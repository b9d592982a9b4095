"""What the engine tells the world: history (`run-events`), completions and rejections, definitions."""

from typing import Literal

import msgspec

from logkeel.records.steps import JournalEntry
from logkeel.records.values import (
    ErrorInfo,
    FieldReference,
    FieldValue,
    FieldWrite,
    Origin,
    Parent,
    Payload,
    TraceContext,
)

RunStatus = Literal["running", "succeeded", "failed", "cancelled", "timed_out", "invalid_input"]

EventKind = Literal[
    "run_started",
    "step_dispatched",
    "step_started",
    "step_succeeded",
    "step_failed",
    "step_retry_scheduled",
    "step_in_doubt",
    "step_resolved",
    "step_reclaimed",
    "step_released",
    "step_refused",
    "step_revoked",
    "step_journaled",
    "step_suspended",
    "step_resumed",
    "step_restarted",
    "block_entered",
    "block_left",
    "block_rescued",
    "block_timed_out",
    "undo_started",
    "undo_ended",
    "wait_started",
    "wait_ended",
    "question_asked",
    "question_answered",
    "question_reassigned",
    "question_reminded",
    "signal_received",
    "cancel_requested",
    "run_paused",
    "run_resumed",
    "run_retried",
    "step_held",
    "run_forked",
    "child_started",
    "child_ended",
    "limit_asked",
    "limit_granted",
    "answer_ignored",
    "run_completed",
    "child_settled",
    "other",
]
"""`other`: a kind that this reader is too old to know. Nobody writes it."""


class RunEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one run. Events of an incarnation are numbered 1, 2, 3 … by `revision` without a gap; replaying

    them in order rebuilds the state at any revision. Fields that do not belong to `kind` are empty. `opens_turn`: the
    first event of what one input led to; the state between two turns is one in which the run stood. `amounts`: of
    budgets, by unit: of a step_dispatched what is reserved for it, else what counts as used.
    """

    run_id: str
    incarnation: str
    revision: int
    kind: EventKind
    at_ms: int
    workflow: str
    version: str
    definition_digest: str
    schema_version: int = 1
    logic: int = 1
    routing_key: str | None = None
    conversation_id: str | None = None
    path: str | None = None
    step: str | None = None
    attempt: int | None = None
    dispatch: int | None = None
    holder: str | None = None
    started_at_ms: int | None = None
    due_ms: int | None = None
    writes: tuple[FieldWrite, ...] = ()
    reads: tuple[FieldReference, ...] = ()
    error: ErrorInfo | None = None
    status: RunStatus | None = None
    reason: str | None = None
    actor: str | None = None
    name: str | None = None
    payload: Payload | None = None
    request_id: str | None = None
    input_digest: str | None = None
    attributes: dict[str, str] = {}
    origin: Origin | None = None
    trace: TraceContext | None = None
    journal: JournalEntry | None = None
    parent: Parent | None = None
    former_revisions: int | None = None
    opens_turn: bool = False
    amounts: dict[str, int] = {}


class RunCompleted(msgspec.Struct, frozen=True, kw_only=True):
    """A run has ended; `reannounced` answers a duplicate start of a finished run (P28).

    Of an incarnation there is one for each time it ended: `retries` says how often it had been retried before. The one
    with the most counts.
    """

    run_id: str
    incarnation: str
    workflow: str
    version: str
    definition_digest: str
    status: RunStatus
    revision: int
    started_at_ms: int
    finished_at_ms: int
    result: tuple[FieldValue, ...] = ()
    error: ErrorInfo | None = None
    steps_completed: int = 0
    attempts: int = 0
    request_id: str | None = None
    conversation_id: str | None = None
    attributes: dict[str, str] = {}
    origin: Origin | None = None
    reannounced: bool = False
    trace: TraceContext | None = None
    retries: int = 0


class ChildCompleted(msgspec.Struct, frozen=True, kw_only=True):
    """On step-results, at the home of the parent: its child has ended, or could not be started (P29).

    `run_id`, `incarnation`, `path` and `number` are the parent's, as they stood in the child's start.
    `child_incarnation` None: its start was refused. `descendants`: how many child runs there were below it. `used`:
    what all of them have used of budgets of the parent, by unit; a unit that is missing counts in full.
    """

    run_id: str
    incarnation: str
    path: str
    number: int
    child_run_id: str
    status: RunStatus
    child_incarnation: str | None = None
    result: tuple[FieldValue, ...] = ()
    error: ErrorInfo | None = None
    descendants: int = 0
    used: dict[str, int] = {}


class RequestRejected(msgspec.Struct, frozen=True, kw_only=True):
    """A request was refused before it was accepted (P28)."""

    request_id: str
    run_id: str | None
    code: str
    reason: str
    rejected_at_ms: int
    request_type: str
    trace: TraceContext | None = None


class WorkflowDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A published workflow: data, no code. `document` is canonical JSON, `digest` its SHA-256."""

    name: str
    version: str
    digest: str
    schema_version: int
    document: bytes
    published_at_ms: int
