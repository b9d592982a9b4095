"""Requests as a sender may write them: Avro, or one JSON object, so that a person with `kcat` can start a run.

The JSON form is split by its top-level keys; the values of `input`, `writes` and `payload` stay the bytes they are and
are never decoded here. Which of them are control values is for the engine to say, with `control_from_json`.

Limits of the JSON form: UTF-8 without byte order mark, `MAX_JSON_BYTES` in all, `MAX_JSON_FIELDS` fields,
`MAX_JSON_DEPTH` levels, whole numbers of 64 bits outside of field values. A key that is not known is
an error; of a key given twice the last one counts.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from logkeel.errors import UndecodableRecord
from logkeel.records import (
    AnswerQuestion,
    CancelRun,
    FieldWrite,
    ForkRun,
    Origin,
    Parent,
    PauseRun,
    Payload,
    Request,
    ResolveStep,
    ResumeRun,
    RetryRun,
    SignalRun,
    StartRun,
    TraceContext,
)
from logkeel.wire.codec import CONFLUENT_MAGIC, MAGIC, decode_as

MAX_JSON_BYTES = 1_048_576
"""Kafka's default limit of a record (`message.max.bytes`)."""

MAX_JSON_FIELDS = 1_000
"""More fields than any state class has; bounds the rows that one request can make the engine write."""

MAX_JSON_DEPTH = 200
"""Deep enough for any data, and safe for every parser that meets the value later, whatever its interpreter's stack."""

JSON_ENCODING = "json"

_Positive = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class _JsonStart(msgspec.Struct, tag_field="type", tag="StartRun", forbid_unknown_fields=True):
    workflow: str
    run_id: str | None = None
    request_id: str | None = None
    version: str | None = None
    routing_key: str | None = None
    conversation_id: str | None = None
    input: dict[str, msgspec.Raw] = {}
    input_digest: str | None = None
    run_timeout_ms: _Positive | None = None
    attributes: dict[str, str] = {}
    origin: Origin | None = None
    trace: TraceContext | None = None
    parent: Parent | None = None

    def request(self) -> StartRun:
        return StartRun(inputs=_writes(self.input), **_same(self, "input"))


class _JsonSignal(msgspec.Struct, tag_field="type", tag="SignalRun", forbid_unknown_fields=True):
    run_id: str
    name: str
    request_id: str | None = None
    routing_key: str | None = None
    correlation: str | None = None
    payload: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    sent_by: str | None = None
    trace: TraceContext | None = None

    def request(self) -> SignalRun:
        return SignalRun(
            payload=None if self.payload is msgspec.UNSET else _payload(self.payload), **_same(self, "payload")
        )


class _JsonCancel(msgspec.Struct, tag_field="type", tag="CancelRun", forbid_unknown_fields=True):
    run_id: str
    request_id: str | None = None
    routing_key: str | None = None
    reason: str | None = None
    requested_by: str | None = None

    def request(self) -> CancelRun:
        return CancelRun(**_same(self))


class _JsonPause(msgspec.Struct, tag_field="type", tag="PauseRun", forbid_unknown_fields=True):
    run_id: str
    request_id: str | None = None
    routing_key: str | None = None
    reason: str | None = None
    requested_by: str | None = None

    def request(self) -> PauseRun:
        return PauseRun(**_same(self))


class _JsonResume(msgspec.Struct, tag_field="type", tag="ResumeRun", forbid_unknown_fields=True):
    run_id: str
    request_id: str | None = None
    routing_key: str | None = None
    reason: str | None = None
    requested_by: str | None = None

    def request(self) -> ResumeRun:
        return ResumeRun(**_same(self))


class _JsonRetry(msgspec.Struct, tag_field="type", tag="RetryRun", forbid_unknown_fields=True):
    run_id: str
    request_id: str | None = None
    routing_key: str | None = None
    reason: str | None = None
    requested_by: str | None = None

    def request(self) -> RetryRun:
        return RetryRun(**_same(self))


class _JsonResolve(msgspec.Struct, tag_field="type", tag="ResolveStep", forbid_unknown_fields=True):
    run_id: str
    path: str
    decision: str
    request_id: str | None = None
    routing_key: str | None = None
    incarnation: str | None = None
    dispatch: _Positive | None = None
    writes: dict[str, msgspec.Raw] = {}
    decided_by: str | None = None
    comment: str | None = None

    def request(self) -> ResolveStep:
        return ResolveStep(writes=_writes(self.writes), **_same(self, "writes"))


class _JsonAnswer(msgspec.Struct, tag_field="type", tag="AnswerQuestion", forbid_unknown_fields=True):
    run_id: str
    path: str
    verb: str
    request_id: str | None = None
    routing_key: str | None = None
    incarnation: str | None = None
    question: _Positive | None = None
    payload: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    answered_by: str | None = None
    assignee: str | None = None
    comment: str | None = None
    grant: int | None = None

    def request(self) -> AnswerQuestion:
        return AnswerQuestion(
            payload=None if self.payload is msgspec.UNSET else _payload(self.payload), **_same(self, "payload")
        )


class _TypeOf(msgspec.Struct):
    type: str | msgspec.UnsetType = msgspec.UNSET
    workflow: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_JsonRequest = (
    _JsonStart | _JsonSignal | _JsonCancel | _JsonResolve | _JsonAnswer | _JsonPause | _JsonResume | _JsonRetry
)
_FORMS: dict[str, msgspec.json.Decoder[_JsonRequest]] = {
    "StartRun": msgspec.json.Decoder(_JsonStart),
    "SignalRun": msgspec.json.Decoder(_JsonSignal),
    "CancelRun": msgspec.json.Decoder(_JsonCancel),
    "ResolveStep": msgspec.json.Decoder(_JsonResolve),
    "AnswerQuestion": msgspec.json.Decoder(_JsonAnswer),
    "PauseRun": msgspec.json.Decoder(_JsonPause),
    "ResumeRun": msgspec.json.Decoder(_JsonResume),
    "RetryRun": msgspec.json.Decoder(_JsonRetry),
}
_REQUESTS: tuple[type[Request], ...] = (
    StartRun,
    SignalRun,
    CancelRun,
    ResolveStep,
    AnswerQuestion,
    PauseRun,
    ResumeRun,
    RetryRun,
    ForkRun,
)
_TYPE_OF = msgspec.json.Decoder(_TypeOf)
_BRACKETS = re.compile(rb'[\[{\]}]|"(?:[^"\\]|\\.)*"', re.DOTALL)


def decode_request(data: bytes) -> Request:
    """The request in `data`, Avro or JSON by its first bytes.

    Raises `UnknownSchema` and `UndecodableRecord`, as `decode` does, and nothing else whatever the bytes.
    """
    if data[:2] == MAGIC or data[:1] == CONFLUENT_MAGIC:
        return decode_as(data, *_REQUESTS)
    return _decode_json(data)


def _decode_json(data: bytes) -> Request:
    if len(data) > MAX_JSON_BYTES:
        raise UndecodableRecord(f"a JSON request has at most {MAX_JSON_BYTES} bytes, this one {len(data)}")
    try:
        _check_depth(data)
        data.decode("utf-8")  # the parser skips over field values without looking at their encoding
        return _FORMS[_type_of(data)].decode(data).request()
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise UndecodableRecord(f"the record is neither an Avro record nor a JSON request: {error}") from error


def _check_depth(data: bytes) -> None:
    """Counts brackets outside of strings: parsers differ in how deep they go, by version and by platform."""
    depth = 0
    for bracket in _BRACKETS.findall(data):
        depth += 1 if bracket in b"[{" else -1 if bracket in b"]}" else 0
        if depth > MAX_JSON_DEPTH:
            raise UndecodableRecord(f"a JSON request is nested at most {MAX_JSON_DEPTH} deep; this one goes deeper")


def _type_of(data: bytes) -> str:
    head = _TYPE_OF.decode(data)
    if head.type is msgspec.UNSET and head.workflow is not msgspec.UNSET:
        return "StartRun"
    if head.type in _FORMS:
        return str(head.type)
    raise UndecodableRecord(f"a JSON request needs a `type` out of {', '.join(_FORMS)}, or a `workflow` to start")


def _same(form: msgspec.Struct, *split: str) -> dict[str, Any]:
    return {name: getattr(form, name) for name in form.__struct_fields__ if name not in split}


def _writes(fields: Mapping[str, msgspec.Raw]) -> tuple[FieldWrite, ...]:
    if len(fields) > MAX_JSON_FIELDS:
        raise UndecodableRecord(f"a JSON request has at most {MAX_JSON_FIELDS} fields, this one {len(fields)}")
    return tuple(FieldWrite(field=name, payload=_payload(raw)) for name, raw in fields.items())


def _payload(raw: msgspec.Raw) -> Payload:
    return Payload(encoding=JSON_ENCODING, data=bytes(raw))
