"""What a view is as rows: columns, and what a run is found by. Pure."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from logkeel.projection import RunView, StepView, WaitView
from logkeel.records import RunEvent

RUN_COLUMNS: Final = (
    *("run_id", "incarnation", "workflow", "version", "definition_digest", "schema_version", "routing_key"),
    *("conversation_id", "parent_run_id", "status", "revision", "started_at_ms", "updated_at_ms", "finished_at_ms"),
    *("deadline_ms", "paused_at_ms", "error_code", "error_message", "retries", "complete", "current_step"),
    *("current_path", "current_since_ms", "waiting_for", "attributes", "detail"),
)
STEP_COLUMNS: Final = (
    *("run", "path", "step", "phase", "is_open", "since_ms", "attempt", "dispatch", "first_dispatched_ms", "holder"),
    *("started_at_ms", "finished_at_ms", "due_ms", "reason", "error_code", "error_message"),
)
WAIT_COLUMNS: Final = (
    *("run", "path", "kind", "number", "since_ms", "due_ms", "name", "correlation", "question", "assignee"),
)
EVENT_COLUMNS: Final = (
    *("run", "revision", "kind", "at_ms", "path", "step", "attempt", "reason", "error_code", "error_message"),
    *("request_id", "partition", "log_offset", "record"),
)

WORKFLOW_AND_STATUS: Final = "workflow status"
"""The pair that is asked for most, as a facet of its own."""

Facet = tuple[str, str]
"""What a run is found by, and its value there."""


class Detail(NamedTuple):
    """What a line of a list shows beyond the columns."""

    open_steps: list[StepView]
    waits: list[WaitView]


_encode_detail = msgspec.msgpack.Encoder().encode
_decode_detail = msgspec.msgpack.Decoder(Detail).decode
_encode_view = msgspec.msgpack.Encoder().encode
_decode_view = msgspec.msgpack.Decoder(RunView).decode


def snapshot_of(view: RunView) -> bytes:
    """The whole view as bytes, for this version of the file only."""
    return _encode_view(view)


def view_from_snapshot(data: bytes) -> RunView:
    """The view of `snapshot_of`."""
    return _decode_view(data)


def run_row(view: RunView) -> tuple[Any, ...]:
    """By `RUN_COLUMNS`. `current_step`: of the open steps the one that has been in its phase for longest."""
    open_steps = view.current_steps
    current = min(open_steps, key=lambda step: step.since_ms, default=None)
    waits = list(view.waits.values())
    error = view.error
    return (
        *(view.run_id, view.incarnation, view.workflow, view.version, view.definition_digest, view.schema_version),
        *(view.routing_key, view.conversation_id, view.parent_run_id, view.status, view.revision, view.started_at_ms),
        *(view.updated_at_ms, view.finished_at_ms, view.deadline_ms, view.paused_at_ms),
        *((None, None) if error is None else (error.code, error.message)),
        *(view.retries, int(view.complete)),
        *((None, None, None) if current is None else (current.step, current.path, current.since_ms)),
        (",".join(sorted(_waited_for(view))) or None) if waits else None,
        msgspec.json.encode(view.attributes).decode(),
        _encode_detail(Detail(open_steps, waits)),
    )


def line_view(row: tuple[Any, ...]) -> RunView:
    """The run as a list shows it: without its fields, its closed steps and what it went through."""
    known = dict(zip(RUN_COLUMNS, row, strict=True))
    detail = _decode_detail(known["detail"])
    return RunView(
        run_id=known["run_id"],
        incarnation=known["incarnation"],
        workflow=known["workflow"],
        version=known["version"],
        definition_digest=known["definition_digest"],
        schema_version=known["schema_version"],
        routing_key=known["routing_key"],
        conversation_id=known["conversation_id"],
        parent_run_id=known["parent_run_id"],
        status=known["status"],
        revision=known["revision"],
        started_at_ms=known["started_at_ms"],
        updated_at_ms=known["updated_at_ms"],
        finished_at_ms=known["finished_at_ms"],
        deadline_ms=known["deadline_ms"],
        paused_at_ms=known["paused_at_ms"],
        retries=known["retries"],
        complete=bool(known["complete"]),
        attributes=msgspec.json.decode(known["attributes"]),
        steps={step.path: step for step in detail.open_steps},
        waits={wait.path: wait for wait in detail.waits},
    )


def step_row(run: int, step: StepView) -> tuple[Any, ...]:
    """By `STEP_COLUMNS`."""
    error = step.error
    return (
        *(run, step.path, step.step, step.phase, int(step.is_open), step.since_ms, step.attempt, step.dispatch),
        *(step.first_dispatched_ms, step.holder, step.started_at_ms, step.finished_at_ms, step.due_ms, step.reason),
        *((None, None) if error is None else (error.code, error.message)),
    )


def wait_row(run: int, wait: WaitView) -> tuple[Any, ...]:
    """By `WAIT_COLUMNS`."""
    return (
        *(run, wait.path, wait.kind, wait.number, wait.since_ms, wait.due_ms, wait.name, wait.correlation),
        *(wait.question, wait.assignee),
    )


def event_row(run: int, event: RunEvent, partition: int, offset: int, record: bytes) -> tuple[Any, ...]:
    """By `EVENT_COLUMNS`. `record`: the bytes that were read."""
    error = event.error
    return (
        *(run, event.revision, event.kind, event.at_ms, event.path, event.step, event.attempt, event.reason),
        *((None, None) if error is None else (error.code, error.message)),
        *(event.request_id, partition, offset, record),
    )


def facets_of(view: RunView) -> frozenset[Facet]:
    """Everything that the run is found by."""
    return frozenset(_facets(view))


def _facets(view: RunView) -> Iterator[Facet]:
    yield "workflow", view.workflow
    yield "status", view.status
    yield WORKFLOW_AND_STATUS, pair(view.workflow, view.status)
    for step in view.current_steps:
        yield "step", step.step
        if step.phase == "in_doubt":
            yield "in_doubt", "true"
    for wait in view.waits.values():
        if wait.kind != "within":
            yield "waiting_for", wait.kind
        if wait.kind == "human" and wait.assignee is not None:
            yield "assignee", wait.assignee
    if view.paused_at_ms is not None and view.status == "running":
        yield "paused", "true"
    for name, value in view.attributes.items():
        yield attribute_facet(name), value


def pair(workflow: str, status: str) -> str:
    """The value under `WORKFLOW_AND_STATUS`; no status has a space in it."""
    return f"{status} {workflow}"


def attribute_facet(name: str) -> str:
    """The facet of an attribute."""
    return f"attribute {name}"


def _waited_for(view: RunView) -> set[str]:
    """Kinds of what it waits for; a limited time is not waited for."""
    return {wait.kind for wait in view.waits.values() if wait.kind != "within"}
