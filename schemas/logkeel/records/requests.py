"""Requests: records on `run-requests`. Keyed by routing key; JSON with a `type` field is accepted as well.

Every request carries a request id; without one, topic-partition-offset stands in (P26).
"""

import msgspec

from logkeel.records.forks import ForkRun
from logkeel.records.values import FieldWrite, Origin, Parent, Payload, TraceContext


class StartRun(msgspec.Struct, frozen=True, kw_only=True):
    """Start a run. `run_id` None: the record key, else topic-partition-offset. `parent`: whose child it is (P29)."""

    workflow: str
    run_id: str | None = None
    request_id: str | None = None
    version: str | None = None
    routing_key: str | None = None
    conversation_id: str | None = None
    inputs: tuple[FieldWrite, ...] = ()
    input_digest: str | None = None
    run_timeout_ms: int | None = None
    attributes: dict[str, str] = {}
    origin: Origin | None = None
    trace: TraceContext | None = None
    parent: Parent | None = None


class SignalRun(msgspec.Struct, frozen=True, kw_only=True):
    """Send a signal to a run; it is stored and consumed by a block that waits for it."""

    run_id: str
    name: str
    request_id: str | None = None
    routing_key: str | None = None
    correlation: str | None = None
    payload: Payload | None = None
    sent_by: str | None = None
    trace: TraceContext | None = None


class CancelRun(msgspec.Struct, frozen=True, kw_only=True):
    """Cancel a run."""

    run_id: str
    request_id: str | None = None
    routing_key: str | None = None
    reason: str | None = None
    requested_by: str | None = None


class ResolveStep(msgspec.Struct, frozen=True, kw_only=True):
    """A human's decision about a step in doubt (P35). `decision`: did | did_not | retry; `did` may bring the result."""

    run_id: str
    path: str
    decision: str
    request_id: str | None = None
    routing_key: str | None = None
    incarnation: str | None = None
    dispatch: int | None = None
    writes: tuple[FieldWrite, ...] = ()
    decided_by: str | None = None
    comment: str | None = None


class AnswerQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A human's answer to an open question of a run (a `human` block, or a step that asks).

    `verb`: approve | edit | reject | respond, or delegate, which asks `assignee` instead. `payload`: the answer itself.
    `grant`: to the question of a budget that is used up, how much more there is to be; None: as much as at first.
    """

    run_id: str
    path: str
    verb: str
    request_id: str | None = None
    routing_key: str | None = None
    incarnation: str | None = None
    question: int | None = None
    payload: Payload | None = None
    answered_by: str | None = None
    assignee: str | None = None
    comment: str | None = None
    grant: int | None = None


class PauseRun(msgspec.Struct, frozen=True, kw_only=True):
    """Let a run send no more commands to workers; what they have is finished. Deadlines go on."""

    run_id: str
    request_id: str | None = None
    routing_key: str | None = None
    reason: str | None = None
    requested_by: str | None = None


class ResumeRun(msgspec.Struct, frozen=True, kw_only=True):
    """Let a paused run go on: what was held back is sent now."""

    run_id: str
    request_id: str | None = None
    routing_key: str | None = None
    reason: str | None = None
    requested_by: str | None = None


class RetryRun(msgspec.Struct, frozen=True, kw_only=True):
    """Let a run that failed or took too long go on in its incarnation: what failed, or was cut off by the end, gets

    another try under its old idempotency key; what is done stays done. Its end is announced once more.
    """

    run_id: str
    request_id: str | None = None
    routing_key: str | None = None
    reason: str | None = None
    requested_by: str | None = None


Request = StartRun | SignalRun | CancelRun | ResolveStep | AnswerQuestion | PauseRun | ResumeRun | RetryRun | ForkRun
