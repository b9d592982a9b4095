"""What a StartRun brings: whether it asks for the same as another one, and its input as field writes (P28). Pure."""

from msgspec import UnsetType
from msgspec.structs import replace

from logkeel.definitions import StepDefinition
from logkeel.errors import InvalidInput
from logkeel.records import FieldWrite, StartRun
from logkeel.records.combining import COMBINING_OPERATIONS
from logkeel.runs.core.plan import Plan
from logkeel.runs.processor.identity import digest_of_input
from logkeel.wire import control_from_json, element_writes


def same_input(request: StartRun, known_digest: str | None) -> bool:
    """Whether a second StartRun of a run asks for the same (P28)."""
    return input_digest(request) == known_digest


def input_digest(request: StartRun) -> str:
    """The client's digest; without one, ours of the payload bytes."""
    return request.input_digest or digest_of_input(request.inputs)


def as_fields(plan: Plan, writes: tuple[FieldWrite, ...]) -> tuple[FieldWrite, ...]:
    """Control fields that came as JSON text become control values, and what is kept element by element is taken apart.

    What does not fit stays as it is, and is reported later.
    """
    return tuple(each for write in writes for each in _as_field(plan, write))


def _as_field(plan: Plan, write: FieldWrite) -> tuple[FieldWrite, ...]:
    field = plan.fields.get(write.field)
    payload = write.payload
    if field is None or write.is_control or payload is None or payload.encoding != "json" or payload.data is None:
        return (write,)
    try:
        if not isinstance(field.elements, UnsetType):
            return element_writes(write, field.elements, whole=True)
        if field.control_type is not None:
            return (replace(write, payload=None, is_control=True, control=control_from_json(payload.data, field)),)
    except InvalidInput:
        pass
    return (write,)


def as_result(plan: Plan, step: StepDefinition | None, writes: tuple[FieldWrite, ...]) -> tuple[FieldWrite, ...]:
    """What a human says that a step has returned: each value changes its field as the step would have changed it."""
    operations = {} if step is None else {each.field: each.operation for each in step.writes}
    result: list[FieldWrite] = []
    for write in writes:
        operation, changes = operations.get(write.field, "replace"), _as_field(plan, write)
        if operation in ("append", "put") and len(changes) > 0 and changes[0].payload is None:
            result += changes[1:]
        elif operation in COMBINING_OPERATIONS:
            result += (replace(change, operation=operation) for change in changes)
        else:
            result += changes
    return tuple(result)
