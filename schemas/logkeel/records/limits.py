"""How much fits into one record. Who makes a record keeps to it, so that the engine can always go on. Pure.

| limit | bytes | why |
|---|---|---|
| `MAX_RECORD_BYTES` | 1 000 000 | Kafka takes batches of 1 048 588 by default; key, headers and batch need room |
| `MAX_FIELDS_BYTES` | 900 000 | all fields of one record together; the rest is the envelope's |
| `MAX_PAYLOAD_BYTES` | 262 144 | one field's payload; three of them are within `MAX_FIELDS_BYTES`, four are not |
| `MAX_HEARTBEAT_DETAILS_BYTES` | 16 384 | travel in the next attempt's command, beside its fields |
| `MAX_RUN_SUMMARY_BYTES` | 16 384 | travels in the command of a step that asks for it, beside its fields and details |
| `MAX_EMITTED_BYTES` | 65 536 | one emitted value; two fill a record of `run-streams` |
| `MAX_ATTRIBUTES_BYTES` | 16 384 | of a run, with its trace, origin and names; travel in its completion |

The envelope is at most some 90 000 bytes: an error (12 000 characters), ids of 512 characters, details, attributes,
the summary of the run.
A record with fields is the input of a run, the result of a step, the command of a step (all it reads) or a completion
(all of `returns`).
"""

from collections.abc import Iterable
from typing import Final

from logkeel.records.requests import StartRun
from logkeel.records.steps import JournalEntry
from logkeel.records.values import ElementValue, FieldValue, FieldWrite, Payload

MAX_RECORD_BYTES: Final = 1_000_000
MAX_FIELDS_BYTES: Final = 900_000
MAX_PAYLOAD_BYTES: Final = 256 * 1024
MAX_HEARTBEAT_DETAILS_BYTES: Final = 16 * 1024
MAX_RUN_SUMMARY_BYTES: Final = 16 * 1024
MAX_EMITTED_BYTES: Final = 64 * 1024
MAX_ATTRIBUTES_BYTES: Final = 16 * 1024

MAX_AMOUNT: Final = 10**15
"""Of one unit of a budget: a thousand of them add up to less than 64 bits hold."""

_FRAME_BYTES = 48
"""Lengths, union branches and numbers of one field in Avro are fewer."""

_ELEMENT_BYTES = 16
"""Those of one element are fewer: three lengths of at most four bytes, three branches."""


def field_bytes(field: FieldWrite | FieldValue) -> int:
    """An upper bound of what `field` takes on the wire."""
    size = _FRAME_BYTES + _text_bytes(field.field)
    if isinstance(field, FieldWrite) and field.element_key is not None:
        size += _text_bytes(field.element_key)
    if isinstance(field.control, str):
        size += _text_bytes(field.control)
    if field.payload is not None:
        size += _payload_bytes(field.payload)
    if isinstance(field, FieldValue):
        size += field.base_bytes
        for element in field.elements:
            size += element_bytes(element)
    return size


def element_bytes(element: ElementValue) -> int:
    """An upper bound of what one element of a field takes on the wire."""
    return _ELEMENT_BYTES + _text_bytes(element.key or "") + _payload_bytes(element.payload)


def _payload_bytes(payload: Payload) -> int:
    size = _text_bytes(payload.encoding) + len(payload.data or b"")
    if payload.blob is not None:
        size += _FRAME_BYTES + _text_bytes(payload.blob.uri) + _text_bytes(payload.blob.sha256)
    return size


def fields_bytes(fields: Iterable[FieldWrite | FieldValue]) -> int:
    """An upper bound of what all of them take together: to be compared with `MAX_FIELDS_BYTES`."""
    return sum(map(field_bytes, fields))


def journal_bytes(entries: Iterable[JournalEntry]) -> int:
    """An upper bound of what these entries take; beside the fields of a command they are to be compared with
    `MAX_FIELDS_BYTES`.
    """
    return sum(map(_entry_bytes, entries))


def _entry_bytes(entry: JournalEntry) -> int:
    size = _FRAME_BYTES + _text_bytes(entry.name) + _text_bytes(entry.position) + fields_bytes(entry.writes)
    if entry.child is not None:
        names = (entry.child.workflow, entry.child.version, entry.child.run_id or "")
        size += _FRAME_BYTES + sum(map(_text_bytes, names)) + fields_bytes(entry.child.result)
    size += sum(_FRAME_BYTES + _text_bytes(each.name) + _text_bytes(each.key or "") for each in entry.limits)
    size += sum(_FRAME_BYTES + _text_bytes(unit) for amounts in (entry.uses, entry.used) for unit in amounts)
    error = entry.error
    if error is None:
        return size
    texts = (error.code, error.message, error.type_name or "", error.stack or "")
    return size + _FRAME_BYTES + sum(map(_text_bytes, texts))


def largest_first(fields: Iterable[FieldWrite | FieldValue]) -> str:
    """The fields with their sizes, for an error that says which ones to make smaller."""
    sizes = sorted(((field_bytes(field), field.field) for field in fields), reverse=True)
    return ", ".join(f"{name} ({size} bytes)" for size, name in sizes[:5])


def attributes_bytes(request: StartRun) -> int:
    """An upper bound of what a run carries beside its fields, from its start to its completion."""
    texts = [text for pair in request.attributes.items() for text in pair]
    texts += [
        text for text in (request.workflow, request.version, request.conversation_id, request.input_digest) if text
    ]
    if request.trace is not None:
        texts += [request.trace.traceparent, request.trace.tracestate or ""]
    if request.origin is not None:
        texts += [request.origin.run_id, request.origin.incarnation]
    return sum(_text_bytes(text) + 10 for text in texts)


def _text_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
