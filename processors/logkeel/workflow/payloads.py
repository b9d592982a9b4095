"""Field values as they travel: control values as primitives, everything else as JSON bytes. Pure.

Validation is pydantic's, by the type of the state field. What is compressed, encrypted or too large for a record is the
business of `logkeel.payloads`, before decoding and after encoding.
"""

from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import replace
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from logkeel.errors import UndecodableRecord
from logkeel.payloads import JSON_ENCODING
from logkeel.records import ElementValue, FieldValue, FieldWrite, Operation, Payload
from logkeel.workflow.annotations import ControlShape
from logkeel.workflow.state import StateField

MAX_KEY_CHARACTERS: Final = 256
"""Of an element: it stands in the paths of the steps that work on it, and those in many records."""


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


def encode_write(field: StateField, value: Any, operation: Operation) -> tuple[FieldWrite, ...]:
    """The writes that change `field` by `value`: one, or one per element. Raises ValueError (also pydantic's)."""
    if field.elements is None or field.element is None:
        return (replace(encode_field(field, value), operation=operation),)
    if operation == "remove":
        return tuple(FieldWrite(field=field.name, operation="remove", element_key=key) for key in _keys(value))
    valid = field.adapter.validate_python(value)
    begin = (FieldWrite(field=field.name),) if operation == "replace" else ()
    if field.elements == "list":
        return (*begin, *(_element(field, field.element, None, each) for each in valid))
    return (*begin, *(_element(field, field.element, key, valid[key]) for key in _keys(list(valid))))


def _element(field: StateField, adapter: TypeAdapter[Any], key: str | None, value: Any) -> FieldWrite:
    operation: Operation = "append" if key is None else "put"
    try:
        data = adapter.dump_json(value, warnings="error")
    except PydanticSerializationError as error:
        raise ValueError(str(error)) from error
    payload = Payload(encoding=JSON_ENCODING, data=data)
    return FieldWrite(field=field.name, operation=operation, element_key=key, payload=payload)


def _keys(value: Any) -> list[str]:
    if not isinstance(value, list | tuple | set | frozenset) or not all(isinstance(key, str) for key in value):
        raise ValueError("is no list of keys")
    long = next((key for key in value if len(key) > MAX_KEY_CHARACTERS), None)
    if long is not None:
        raise ValueError(f"has a key of {len(long)} characters; at most {MAX_KEY_CHARACTERS} are taken")
    return sorted(value) if isinstance(value, set | frozenset) else list(value)


def decode_elements(field: StateField, elements: Sequence[ElementValue]) -> Any:
    """The list or dict of `elements`. Raises ValueError (also pydantic's) and `UndecodableRecord`."""
    texts = [inline_json(field.name, each.payload) for each in elements]
    if field.elements == "map":
        keys = [to_json(each.key) for each in elements]
        return field.adapter.validate_json(
            b"{" + b",".join(key + b":" + text for key, text in zip(keys, texts, strict=True)) + b"}"
        )
    return field.adapter.validate_json(b"[" + b",".join(texts) + b"]")


def inline_json(name: str, payload: Payload | None) -> bytes:
    """The JSON text of a payload that was unwrapped. Raises `UndecodableRecord`."""
    if payload is None or payload.data is None or payload.encoding != JSON_ENCODING:
        encoding = "nothing" if payload is None else payload.encoding
        raise UndecodableRecord(
            f"field {name!r} comes as {encoding}, where {JSON_ENCODING!r} is read: it was not unwrapped",
            field=name,
            encoding=encoding,
        )
    return payload.data


def decode_field(field: StateField, value: FieldValue) -> Any:
    """The value of `field` in `value`. Raises ValueError (also pydantic's) and `UndecodableRecord`."""
    if field.elements is not None and value.payload is None:
        return decode_elements(field, value.elements)
    if value.is_control:
        return field.adapter.validate_python(value.control)
    return field.adapter.validate_json(inline_json(field.name, value.payload))


def is_absent(value: FieldValue) -> bool:
    """Whether the field was never written."""
    return value.payload is None and not value.is_control and not value.elements


def reasons(error: ValueError) -> list[str]:
    """What a validation found wrong, one line each."""
    if not isinstance(error, ValidationError):
        return [str(error)]
    return [
        f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" if item["loc"] else item["msg"]
        for item in error.errors(include_url=False)
    ]
