"""Field values as they travel: control values as primitives, everything else as JSON bytes. Pure.

Validation is pydantic's, by the type of the state field. What is compressed, encrypted or too large for a record is the
business of `logkeel.payloads`, before decoding and after encoding.
"""

from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from logkeel.errors import UndecodableRecord
from logkeel.payloads import JSON_ENCODING
from logkeel.records import FieldValue, FieldWrite, Payload
from logkeel.workflow.annotations import ControlShape
from logkeel.workflow.state import StateField


def encode_field(field: StateField, value: Any) -> FieldWrite:
    """The write that puts `value` into `field`. Raises ValueError (also pydantic's)."""
    valid = field.adapter.validate_python(value)
    if field.definition.control_type is not None:
        return FieldWrite(field=field.name, is_control=True, control=ControlShape.as_control(valid))
    try:
        data = field.adapter.dump_json(valid, warnings="error")
    except PydanticSerializationError as error:
        raise ValueError(str(error)) from error
    return FieldWrite(field=field.name, payload=Payload(encoding=JSON_ENCODING, data=data))


def decode_field(field: StateField, value: FieldValue) -> Any:
    """The value of `field` in `value`. Raises ValueError (also pydantic's) and `UndecodableRecord`."""
    if value.is_control:
        return field.adapter.validate_python(value.control)
    payload = value.payload
    if payload is None or payload.data is None or payload.encoding != JSON_ENCODING:
        encoding = "nothing" if payload is None else payload.encoding
        raise UndecodableRecord(
            f"field {field.name!r} comes as {encoding}, where {JSON_ENCODING!r} is read: it was not unwrapped",
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
