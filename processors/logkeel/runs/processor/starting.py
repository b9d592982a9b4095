"""What a StartRun brings: whether it asks for the same as another one, and its input as field writes (P28). Pure."""

from msgspec.structs import replace

from logkeel.errors import InvalidInput
from logkeel.records import FieldWrite, StartRun
from logkeel.runs.core.plan import Plan
from logkeel.runs.processor.identity import digest_of_input
from logkeel.wire import control_from_json


def same_input(request: StartRun, known_digest: str | None) -> bool:
    """Whether a second StartRun of a run asks for the same (P28)."""
    return input_digest(request) == known_digest


def input_digest(request: StartRun) -> str:
    """The client's digest; without one, ours of the payload bytes."""
    return request.input_digest or digest_of_input(request.inputs)


def as_fields(plan: Plan, writes: tuple[FieldWrite, ...]) -> tuple[FieldWrite, ...]:
    """Control fields that came as JSON text become control values; what does not fit stays, and is reported later."""
    return tuple(_as_field(plan, write) for write in writes)


def _as_field(plan: Plan, write: FieldWrite) -> FieldWrite:
    field = plan.fields.get(write.field)
    payload = write.payload
    if field is None or field.control_type is None or write.is_control or payload is None:
        return write
    if payload.encoding != "json" or payload.data is None:
        return write
    try:
        control = control_from_json(payload.data, field)
    except InvalidInput:
        return write
    return replace(write, payload=None, is_control=True, control=control)
