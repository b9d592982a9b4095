"""The state of a run at a revision, as the engine rebuilds it: values for programs. Pure."""

from typing import Any

import msgspec

from logkeel.client.building import plain_result, plain_value
from logkeel.payloads import PayloadChain
from logkeel.records import FieldValue, Payload
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.reading import field_value
from logkeel.runs.core.state import RunState


def state_json(state: RunState, plan: Plan) -> dict[str, Any]:
    """Everything that decides what a run does next. `fields` are those of the run; those that a branch, an element or
    an inner workflow has written for itself stand below `scopes`.
    """
    info, head = state.info, state.head
    scopes = sorted({scope for scope, _ in state.fields if scope})
    return {
        "run_id": info.run_id,
        "incarnation": info.incarnation,
        "revision": head.revision,
        "at_ms": head.last_ms,
        "workflow": f"{info.workflow}@{info.version}",
        "schema_version": info.schema_version,
        "status": head.status,
        "paused_at_ms": head.paused_at_ms,
        "origin": None if info.origin is None else msgspec.to_builtins(info.origin),
        "error": None if head.error is None else msgspec.to_builtins(head.error),
        "fields": {value.field: shown(value) for value in written(state, plan)},
        "scopes": {scope: sorted(name for where, name in state.fields if where == scope) for scope in scopes},
        "steps": {
            path: {"phase": step.phase, "attempt": step.attempt, "failures": step.failures, "due_ms": step.due_ms}
            for path, step in state.steps.items()
        },
        "waits": {path: msgspec.to_builtins(wait) for path, wait in state.waits.items()},
        "held": sorted(state.held),
        "signals": [
            {"name": signal.name, "received_ms": signal.received_ms, "payload": _plain(signal.payload)}
            for _, signal in sorted(state.signals.items())
        ],
    }


def written(state: RunState, plan: Plan) -> list[FieldValue]:
    """The run's fields that have been written, in the order of the state class."""
    names = [name for name in plan.fields if ("", name) in state.fields]
    values = (field_value(state, plan, name) for name in names)
    return [value for value in values if value is not None]


def values_of(state: RunState, plan: Plan, chain: PayloadChain) -> dict[str, Any]:
    """The values of these fields by name. Raises as `PayloadChain.unwrap`."""
    return plain_result(chain.unwrap_fields(written(state, plan)))


def shown(value: FieldValue) -> Any:
    """A field's value; what cannot be read here is told by encoding and size."""
    return plain_value(value, _plain)


def _plain(payload: Payload | None) -> Any:
    if payload is None:
        return None
    if payload.encoding == "json" and payload.data is not None:
        return msgspec.json.decode(payload.data)
    return {"encoding": payload.encoding, "bytes": None if payload.data is None else len(payload.data)}
