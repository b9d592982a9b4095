"""From a dispatched step to its command: inputs by the scopes it can see, key, limits. Pure.

A branch of a fork reads the state at the fork plus its own writes (AUTHORING, visibility): the innermost scope that has
the field gives it.
"""

from hashlib import blake2b

from logkeel.records import FieldValue, StepCommand, StepIdentity
from logkeel.runs.core.plan import ROOT_SCOPE, PlacedStep, Plan
from logkeel.runs.core.state import RunInfo, RunState


def command_of(state: RunState, plan: Plan, path: str, *, partition: int, details: bytes | None) -> StepCommand:
    """The command of the step as it stands: dispatched."""
    info, step, placed = state.info, state.steps[path], plan.steps[path]
    definition = placed.definition
    return StepCommand(
        identity=StepIdentity(
            run_id=info.run_id,
            incarnation=info.incarnation,
            path=path,
            step=definition.name,
            attempt=step.attempt,
            dispatch=step.dispatch,
        ),
        workflow=info.workflow,
        version=info.version,
        definition_digest=info.digest,
        routing_key=info.routing_key,
        home_partition=partition,
        effect=definition.effect,
        idempotency_key=idempotency_key(info, path),
        revision=state.head.revision,
        dispatched_at_ms=step.dispatched_ms,
        timeout_ms=definition.timeout_ms,
        max_attempts=definition.retry.max_attempts,
        inputs=inputs_of(state, plan, placed),
        check_first=step.check_first,
        check_not_before_ms=step.check_not_before_ms,
        heartbeat_details=details,
        trace=info.trace,
    )


def inputs_of(state: RunState, plan: Plan, placed: PlacedStep) -> tuple[FieldValue, ...]:
    """The fields the step reads, as it sees them. Fields never written and without a control default are left out."""
    scopes = (*reversed(placed.scopes), ROOT_SCOPE)
    values = (field_value(state, plan, name, scopes) for name in placed.definition.reads)
    return tuple(value for value in values if value is not None)


def field_value(state: RunState, plan: Plan, name: str, scopes: tuple[str, ...] = (ROOT_SCOPE,)) -> FieldValue | None:
    """One field, as the first of `scopes` has it."""
    for scope in scopes:
        pointer = state.fields.get((scope, name))
        if pointer is None:
            continue
        if pointer.is_control:
            return FieldValue(field=name, revision=pointer.revision, is_control=True, control=pointer.control)
        payload = pointer.payload or state.values.get((name, pointer.revision))
        return FieldValue(field=name, revision=pointer.revision, payload=payload)
    field = plan.fields[name]
    if field.control_type is None or field.required:
        return None
    return FieldValue(field=name, revision=0, is_control=True, control=field.default)


def idempotency_key(info: RunInfo, path: str) -> str:
    """From run, incarnation and step path; the same over attempts, another one for another occurrence (P30)."""
    identity = f"{info.run_id}\x00{info.incarnation}\x00{path}".encode()
    return f"lk-{blake2b(identity, digest_size=16).hexdigest()}"


def command_key(info: RunInfo, placed: PlacedStep) -> bytes:
    """The record key: the routing key, and inside a fork the path, so that branches spread over the workers."""
    return f"{info.routing_key}/{placed.path}".encode() if placed.scopes else info.routing_key.encode()
