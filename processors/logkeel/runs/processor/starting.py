"""What a StartRun brings: whether it asks for the same as another one, and its input as field writes (P28). Pure."""

from collections.abc import Iterable, Mapping

from msgspec import UnsetType
from msgspec.structs import replace

from logkeel.definitions import FieldDefinition
from logkeel.errors import InvalidInput
from logkeel.records import FieldWrite, Operation, StartRun
from logkeel.records.combining import COMBINING_OPERATIONS
from logkeel.runs.core.places import PlacedStep
from logkeel.runs.core.plan import Plan
from logkeel.runs.processor.identity import digest_of_input
from logkeel.wire import control_from_json, element_writes, removals


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
    return tuple(each for write in writes for each in _as_field(plan.fields, write))


def as_result(plan: Plan, placed: PlacedStep | None, writes: tuple[FieldWrite, ...]) -> tuple[FieldWrite, ...]:
    """What a human says that a step has returned: each value changes its field as the step would have changed it."""
    if placed is None:
        return writes
    operations = {each.field: each.operation for each in placed.definition.writes}
    fields = plan.fields_at(placed.root)
    return tuple(
        change for write in writes for change in _as_change(fields, write, operations.get(write.field, "replace"))
    )


def _as_change(fields: Mapping[str, FieldDefinition], write: FieldWrite, operation: Operation) -> Iterable[FieldWrite]:
    if operation == "remove":
        return removals(write)
    changes = _as_field(fields, write)
    if operation in COMBINING_OPERATIONS:
        return (replace(change, operation=operation) for change in changes)
    if operation == "replace" or len(changes) == 0 or changes[0].payload is not None:
        return changes
    return changes[1:]  # without what would empty the field


def _as_field(fields: Mapping[str, FieldDefinition], write: FieldWrite) -> tuple[FieldWrite, ...]:
    field = fields.get(write.field)
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
