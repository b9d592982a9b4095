"""Field values as they travel: control values as primitives, everything else as JSON bytes. Pure.

Validation is pydantic's, by the type of the state field. One payload is at most `MAX_PAYLOAD_BYTES`, all fields of one
record at most `MAX_FIELDS_BYTES` (logkeel.records.limits).
"""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from logkeel.errors import PayloadTooLarge, UndecodableRecord
from logkeel.records import FieldValue, FieldWrite, Payload
from logkeel.records.limits import MAX_FIELDS_BYTES, MAX_PAYLOAD_BYTES, fields_bytes, largest_first
from logkeel.workflow.annotations import ControlShape
from logkeel.workflow.state import StateField

JSON_ENCODING = "json"


def encode_field(field: StateField, value: Any) -> FieldWrite:
    """The write that puts `value` into `field`. Raises ValueError (also pydantic's) and `PayloadTooLarge`."""
    valid = field.adapter.validate_python(value)
    if field.definition.control_type is not None:
        return FieldWrite(field=field.name, is_control=True, control=ControlShape.as_control(valid))
    try:
        data = field.adapter.dump_json(valid, warnings="error")
    except PydanticSerializationError as error:
        raise ValueError(str(error)) from error
    if len(data) > MAX_PAYLOAD_BYTES:
        raise PayloadTooLarge(
            f"field {field.name!r} has {len(data)} bytes; a payload has at most {MAX_PAYLOAD_BYTES}."
            " Keep large values outside and store their address",
            field=field.name,
            size_bytes=len(data),
            limit_bytes=MAX_PAYLOAD_BYTES,
        )
    return FieldWrite(field=field.name, payload=Payload(encoding=JSON_ENCODING, data=data))


def refuse_too_many(writes: Sequence[FieldWrite], what: str) -> None:
    """Refuse fields that do not fit into one record together. Raises `PayloadTooLarge`."""
    size_bytes = fields_bytes(writes)
    if size_bytes > MAX_FIELDS_BYTES:
        raise PayloadTooLarge(
            f"{what} has {size_bytes} bytes; the fields of one record have at most {MAX_FIELDS_BYTES} together:"
            f" {largest_first(writes)}. Keep large values outside and store their address",
            size_bytes=size_bytes,
            limit_bytes=MAX_FIELDS_BYTES,
        )


def decode_field(field: StateField, value: FieldValue) -> Any:
    """The value of `field` in `value`. Raises ValueError (also pydantic's) and `UndecodableRecord`."""
    if value.is_control:
        return field.adapter.validate_python(value.control)
    payload = value.payload
    if payload is None or payload.data is None or payload.encoding != JSON_ENCODING:
        encoding = "nothing" if payload is None else payload.encoding
        raise UndecodableRecord(
            f"field {field.name!r} comes as {encoding}; this version reads inline {JSON_ENCODING!r} only",
            field=field.name,
            encoding=encoding,
        )
    return field.adapter.validate_json(payload.data)


def is_absent(value: FieldValue) -> bool:
    """Whether the field was never written."""
    return value.payload is None and not value.is_control


def reasons(error: ValueError) -> list[str]:
    """What a validation found wrong, one line each."""
    if not isinstance(error, ValidationError):
        return [str(error)]
    return [
        f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" if item["loc"] else item["msg"]
        for item in error.errors(include_url=False)
    ]
