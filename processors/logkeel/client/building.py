"""What a call means as a request record. Pure: ids and times come in.

The digest of an input covers what the sender said, before anything is compressed or encrypted (P28). It is the engine's
own for inputs that are all JSON, and does not depend on whether the workflow was given as an object or by name.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic import BaseModel

from logkeel.errors import InvalidInput
from logkeel.payloads import JSON_ENCODING
from logkeel.records import FieldValue, FieldWrite, Payload
from logkeel.wire import texts_of
from logkeel.workflow import Workflow


@dataclass(frozen=True, slots=True)
class Readable:
    """A control field's value where only names are known and payloads are encrypted: it goes as it is.

    By name nobody knows which fields the engine has to read, so everything else is encrypted.
    """

    value: bool | int | float | str | None


def inputs_of(workflow: "Workflow[Any] | str", values: Mapping[str, Any]) -> tuple[FieldWrite, ...]:
    """The input as field writes; validated if the workflow is at hand. Raises `InvalidInput`."""
    if isinstance(workflow, Workflow):
        return workflow.encode_input(values)
    return plain_writes(values)


def plain_writes(values: Mapping[str, Any]) -> tuple[FieldWrite, ...]:
    """JSON-able values as field writes. Raises `InvalidInput`."""
    return tuple(_plain_write(name, value) for name, value in values.items())


def payload_of(name: str, value: Any) -> Payload:
    """A JSON-able value, or one with pydantic models in it, as payload. Raises `InvalidInput`."""
    try:
        data = msgspec.json.encode(value, enc_hook=_plain_model)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidInput(f"{name}: is not JSON: {error}", field=name, problems=[f"{name}: {error}"]) from error
    return Payload(encoding=JSON_ENCODING, data=data)


def _plain_model(value: Any) -> Any:
    """By field names, as a step's result is encoded."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"a {type(value).__name__} has no JSON form")


def input_digest(inputs: Sequence[FieldWrite]) -> str:
    """Hex SHA-256 over names and JSON texts, by name: what "same input" compares (P28)."""
    digest = hashlib.sha256()
    for name, text in texts_of(inputs, lambda write: msgspec.json.encode(write.control)):
        digest.update(b"%d:%s%d:%s" % (len(name), name.encode(), len(text), text))
    return digest.hexdigest()


def plain_result(fields: Sequence[FieldValue]) -> dict[str, Any]:
    """A completion's result by field name, without the workflow's types; bytes of other encodings stay bytes."""
    return {value.field: plain_value(value, _plain_payload) for value in fields}


def plain_value(value: FieldValue, plain: Callable[[Payload | None], Any]) -> Any:
    """A field's value; `plain` says what a payload is. Elements are a list, or a dictionary if they have keys."""
    if value.is_control:
        return value.control
    if value.elements:
        items = [(each.key, plain(each.payload)) for each in value.elements]
        return dict(items) if items[0][0] is not None else [item for _, item in items]
    return plain(value.payload)


def _plain_write(name: str, value: Any) -> FieldWrite:
    if isinstance(value, Readable):
        return FieldWrite(field=name, is_control=True, control=value.value)
    return FieldWrite(field=name, payload=payload_of(name, value))


def _plain_payload(payload: Payload | None) -> Any:
    if payload is None or payload.data is None:
        return None
    return msgspec.json.decode(payload.data) if payload.encoding == JSON_ENCODING else payload.data
