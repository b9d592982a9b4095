"""Which values a step or a completion gets to see, and whether they fit into one record. Pure.

A branch of a fork reads the state at the fork plus its own writes (AUTHORING, visibility): the innermost scope that has
the field gives it.
"""

from logkeel.records import ErrorInfo, FieldValue, FieldWrite
from logkeel.records.limits import MAX_FIELDS_BYTES, fields_bytes, largest_first
from logkeel.runs.core.places import ROOT_SCOPE, PlacedStep
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.state import RunState
from logkeel.runs.core.summary import view_value

_REMEDY = (
    "Name fewer fields, or let large values go by reference: give clients and workers a --blob-store, and a lower"
    " --blob-above where many fields of middle size come together"
)


def inputs_of(state: RunState, plan: Plan, placed: PlacedStep) -> tuple[FieldValue, ...]:
    """The fields the step reads, as it sees them. Fields never written and without a control default are left out."""
    scopes = placed.reading
    values = (field_value(state, plan, name, scopes) for name in placed.definition.reads)
    return tuple(value for value in values if value is not None)


def result_of(state: RunState, plan: Plan) -> tuple[FieldValue, ...]:
    """The fields that the completion carries."""
    values = (
        field_value(state, plan, name) if name in plan.fields else view_value(state, name)
        for name in plan.document.returns
    )
    return tuple(value for value in values if value is not None)


def field_value(state: RunState, plan: Plan, name: str, scopes: tuple[str, ...] = (ROOT_SCOPE,)) -> FieldValue | None:
    """One field, as the first of `scopes` has it; the last one says whose field it is."""
    for scope in scopes:
        pointer = state.fields.get((scope, name))
        if pointer is None:
            continue
        if pointer.is_control:
            return FieldValue(field=name, revision=pointer.revision, is_control=True, control=pointer.control)
        payload = pointer.payload or state.values.get((name, pointer.revision))
        return FieldValue(field=name, revision=pointer.revision, payload=payload)
    field = plan.fields_at(scopes[-1])[name]
    if field.control_type is None or field.required:
        return None
    return FieldValue(field=name, revision=0, is_control=True, control=field.default)


def copied(state: RunState, plan: Plan, name: str, scopes: tuple[str, ...], target: str) -> FieldWrite | None:
    """A write of another field with the value of this one; None if it has none."""
    value = field_value(state, plan, name, scopes)
    if value is None:
        return None
    return FieldWrite(field=target, payload=value.payload, is_control=value.is_control, control=value.control)


def command_problem(path: str, inputs: tuple[FieldValue, ...]) -> ErrorInfo | None:
    """Why no command can carry these inputs; None if one can."""
    size_bytes = fields_bytes(inputs)
    if size_bytes <= MAX_FIELDS_BYTES:
        return None
    message = (
        f"step {path} reads {size_bytes} bytes, one command carries at most {MAX_FIELDS_BYTES}:"
        f" {largest_first(inputs)}. {_REMEDY}"
    )
    return ErrorInfo(code="command_too_large", kind="fatal", message=message)


def result_problem(result: tuple[FieldValue, ...]) -> ErrorInfo | None:
    """Why no completion can carry this result; None if one can."""
    size_bytes = fields_bytes(result)
    if size_bytes <= MAX_FIELDS_BYTES:
        return None
    message = (
        f"the result has {size_bytes} bytes, a completion carries at most {MAX_FIELDS_BYTES}: {largest_first(result)}."
        f" {_REMEDY}"
    )
    return ErrorInfo(code="result_too_large", kind="fatal", message=message)
