"""Runs, waits and events as JSON values, the same for commands and HTTP. Pure: views and times in, values out.

Times are milliseconds; `for_ms` and `age_ms` are as of `now_ms`.
"""

from typing import Any

import msgspec

from logkeel.projection.views import FieldView, RunView, StepView
from logkeel.projection.waits import WaitView
from logkeel.records import ErrorInfo, Payload, RunEvent


def run_json(view: RunView, now_ms: int) -> dict[str, Any]:
    """Everything a run is."""
    return {
        **summary(view, now_ms),
        "schema_version": view.schema_version,
        "conversation_id": view.conversation_id,
        "finished_at_ms": view.finished_at_ms,
        "deadline_ms": view.deadline_ms,
        "attributes": view.attributes,
        "error": _error(view.error),
        "completed_steps": view.completed_steps,
        "steps": [_step(step) for step in view.steps.values()],
        "fields": {name: {**_field(field), "value": value_of(field)} for name, field in view.fields.items()},
        "errors": [
            {"path": each.path, "attempt": each.attempt, "at_ms": each.at_ms, **(_error(each.error) or {})}
            for each in view.errors
        ],
        "signals": view.signals,
        "children": view.children,
        "parent_run_id": view.parent_run_id,
        "slots": {path: [msgspec.to_builtins(each) for each in held] for path, held in view.slots.items()},
        "accounts": {unit: msgspec.to_builtins(each) for unit, each in view.accounts.items()},
        "answers": [msgspec.to_builtins(answer) for answer in view.answers],
        "history_complete": view.complete,
    }


def summary(view: RunView, now_ms: int) -> dict[str, Any]:
    """A line of `run list`."""
    return {
        "run_id": view.run_id,
        "workflow": f"{view.workflow}@{view.version}",
        "status": view.status,
        "paused_at_ms": view.paused_at_ms,
        "revision": view.revision,
        "retries": view.retries,
        "started_at_ms": view.started_at_ms,
        "age_ms": (view.finished_at_ms or now_ms) - view.started_at_ms,
        "current_steps": [_step(step) | {"for_ms": now_ms - step.since_ms} for step in view.current_steps],
        "waits": [wait_json(wait, now_ms) for wait in view.waits.values()],
    }


def event_json(event: RunEvent) -> dict[str, Any]:
    """An event without payloads: what `run watch -o json` prints a line of."""
    return {
        "revision": event.revision,
        "at_ms": event.at_ms,
        "kind": event.kind,
        "path": event.path,
        "attempt": event.attempt,
        "dispatch": event.dispatch,
        "due_ms": event.due_ms,
        "name": event.name,
        "actor": event.actor,
        "reason": event.reason,
        "error": _error(event.error),
        "writes": [write.field for write in event.writes],
    }


def wait_json(wait: WaitView, now_ms: int) -> dict[str, Any]:
    """Everything a wait is; what it has not is left out."""
    known = {
        name: value
        for name, value in msgspec.to_builtins(wait).items()
        if name != "reads" and value not in (None, (), "")
    }
    return {**known, "for_ms": now_ms - wait.since_ms}


def value_of(field: FieldView) -> Any:
    """A field's value; of an encoding that cannot be read here, what is known of it."""
    if field.elements is not None:
        values = {key: _value(payload) for key, payload in field.elements.items()}
        return list(values.values()) if 0 in values else values
    return field.control if field.is_control or field.payload is None else _value(field.payload)


def _value(payload: Payload) -> Any:
    if payload.encoding == "json" and payload.data is not None:
        return msgspec.json.decode(payload.data)
    if payload.blob is not None:
        return {"encoding": payload.encoding, "bytes": payload.blob.size_bytes, "uri": payload.blob.uri}
    return {"encoding": payload.encoding, "bytes": None if payload.data is None else len(payload.data)}


def _step(step: StepView) -> dict[str, Any]:
    return {
        "path": step.path,
        "phase": step.phase,
        "attempt": step.attempt,
        "dispatch": step.dispatch,
        "since_ms": step.since_ms,
        "due_ms": step.due_ms,
        "holder": step.holder,
        "error": _error(step.error),
    }


def _field(field: FieldView) -> dict[str, Any]:
    return {"revision": field.revision, "written_by": field.path}


def _error(error: ErrorInfo | None) -> dict[str, Any] | None:
    return None if error is None else {"code": error.code, "kind": error.kind, "message": error.message}
