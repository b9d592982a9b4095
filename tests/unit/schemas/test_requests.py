"""Requests in JSON: split by top-level keys, values left as they were written, everything wrong named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeel.definitions import ControlType, FieldDefinition
from logkeel.errors import InvalidInput, UndecodableRecord, UnknownSchema
from logkeel.records import (
    AnswerQuestion,
    CancelRun,
    FieldWrite,
    Payload,
    ResolveStep,
    RetryRun,
    SignalRun,
    StartRun,
    TraceContext,
)
from logkeel.wire import control_from_json, decode_request
from logkeel.wire.requests import MAX_JSON_BYTES, MAX_JSON_FIELDS

TEXTS = st.text(st.characters(codec="utf-8"), max_size=10)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)


def written(field: str, text: str) -> FieldWrite:
    return FieldWrite(field=field, payload=Payload(encoding="json", data=text.encode()))


def test_a_start_without_type() -> None:
    request = decode_request(
        b'{"workflow": "research", "run_id": "r-1", "input": {"query": "caf\\u00e9", "n": [1, 2]}}'
    )
    assert request == StartRun(
        workflow="research", run_id="r-1", inputs=(written("query", '"caf\\u00e9"'), written("n", "[1, 2]"))
    )


def test_every_key_of_a_start() -> None:
    given_keys: dict[str, Any] = {
        "workflow": "w",
        "run_id": "r",
        "request_id": "q",
        "version": "3",
        "routing_key": "k",
        "conversation_id": "c",
        "input_digest": "d",
        "run_timeout_ms": 5,
        "attributes": {"team": "red"},
        "trace": {"traceparent": "00-a-b-01"},
    }
    expected = StartRun(**{**given_keys, "trace": TraceContext(traceparent="00-a-b-01")})
    assert decode_request(json.dumps({"type": "StartRun", **given_keys}).encode()) == expected


def test_the_other_requests() -> None:
    assert decode_request(b'{"type": "SignalRun", "run_id": "r", "name": "go", "payload": {"a": 1.50}}') == SignalRun(
        run_id="r", name="go", payload=Payload(encoding="json", data=b'{"a": 1.50}')
    )
    assert decode_request(b'{"type": "SignalRun", "run_id": "r", "name": "go"}') == SignalRun(run_id="r", name="go")
    assert decode_request(b'{"type": "RetryRun", "run_id": "r", "request_id": "q"}') == RetryRun(
        run_id="r", request_id="q"
    )
    assert decode_request(b'{"type": "CancelRun", "run_id": "r", "reason": "late"}') == CancelRun(
        run_id="r", reason="late"
    )
    assert decode_request(
        b'{"type": "ResolveStep", "run_id": "r", "path": "main/pay", "decision": "did", "writes": {"receipt": null}}'
    ) == ResolveStep(run_id="r", path="main/pay", decision="did", writes=(written("receipt", "null"),))
    assert decode_request(
        b'{"type": "AnswerQuestion", "run_id": "r", "path": "ok", "verb": "edit", "payload": {"a": 1}}'
    ) == AnswerQuestion(run_id="r", path="ok", verb="edit", payload=Payload(encoding="json", data=b'{"a": 1}'))


@given(st.dictionaries(TEXTS, JSON, max_size=5))
def test_values_stay_the_bytes_they_are(fields: dict[str, Any]) -> None:
    texts = {name: json.dumps(value) for name, value in fields.items()}
    members = ", ".join(f"{json.dumps(name)}: {text}" for name, text in texts.items())
    request = decode_request(f'{{"workflow": "w", "input": {{{members}}}}}'.encode())
    assert isinstance(request, StartRun)
    assert request.inputs == tuple(written(name, text) for name, text in texts.items())


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "neither"),
        (b"hello", "neither"),
        (b"[]", "object"),
        (b"{}", "needs a `type`"),
        (b'{"type": "StopRun"}', "needs a `type`"),
        (b'{"type": 7}', "Expected `str`"),
        (b'{"type": "CancelRun"}', "run_id"),
        (b'{"workflow": 1}', "Expected `str`"),
        (b'{"workflow": "w", "inputs": {}}', "unknown field `inputs`"),
        (b'{"workflow": "w", "input": []}', "Expected `object`"),
        (b'{"workflow": "w", "input": {"a": 1}} tail', "trailing"),
        (b'{"workflow": "w", "input": {"a": "\xff"}}', "utf-8"),
        (b'\xef\xbb\xbf{"workflow": "w"}', "neither"),
        (b'{"workflow": "w", "input": {"a": ' + b"[" * 5_000 + b"]" * 5_000 + b"}}", "at most 200 deep"),
        (b'{"workflow": "w", "run_timeout_ms": 1.5}', "Expected `int"),
        (b'{"workflow": "w", "run_timeout_ms": 0}', ">= 1"),
        (b'{"workflow": "w", "run_timeout_ms": 9223372036854775808}', "<= 9223372036854775807"),
        (b'{"workflow": "w", "run_id": "\\ud800, which is half a pair"}', "escape"),
    ],
    ids=range(18),
)
def test_what_is_no_request_says_why(data: bytes, says: str) -> None:
    with pytest.raises(UndecodableRecord, match=says):
        decode_request(data)


def test_the_size_is_limited() -> None:
    blank = b'{"workflow": "w", "input": {"a": "%s"}}'
    fits = blank % (b"x" * (MAX_JSON_BYTES - len(blank) + 2))
    assert len(fits) == MAX_JSON_BYTES
    decode_request(fits)
    with pytest.raises(UndecodableRecord, match=f"at most {MAX_JSON_BYTES} bytes"):
        decode_request(fits + b" ")


def test_the_number_of_fields_is_limited() -> None:
    fields = {f"f{index}": index for index in range(MAX_JSON_FIELDS)}
    decode_request(json.dumps({"workflow": "w", "input": fields}).encode())
    with pytest.raises(UndecodableRecord, match=f"at most {MAX_JSON_FIELDS} fields"):
        decode_request(json.dumps({"workflow": "w", "input": {**fields, "one_more": 1}}).encode())


@given(JSON)
def test_any_json_value_is_a_request_or_a_named_error(value: Any) -> None:
    for data in (value, {"type": "StartRun", "workflow": value}, {"workflow": "w", "input": value}):
        try:
            decode_request(json.dumps(data).encode())
        except (UndecodableRecord, UnknownSchema):
            continue


def field(kind: ControlType | None, **more: Any) -> FieldDefinition:
    return FieldDefinition(name="verdict", control_type=kind, **more)


@pytest.mark.parametrize(
    ("raw", "kind", "value"),
    [
        (b"true", "bool", True),
        (b" 7 ", "int", 7),
        (b"-9223372036854775808", "int", -(2**63)),
        (b"7", "float", 7.0),
        (b"0.5", "float", 0.5),
        (b'"good"', "string", "good"),
        (b'""', "string", ""),
    ],
)
def test_control_values(raw: bytes, kind: ControlType, value: Any) -> None:
    control = control_from_json(raw, field(kind))
    assert (type(control), control) == (type(value), value)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"1", "bool"),
        (b"true", "int"),
        (b"1.0", "int"),
        (b"9223372036854775808", "int"),
        (b"true", "float"),
        (b"1" * 400, "float"),
        (b"1e999", "float"),
        (b"7", "string"),
        (b"{}", "string"),
        (b"null", "string"),
        (b"nonsense", "string"),
        (b"", "int"),
        (b"[" * 100_000, "int"),
        (b'"\xff"', "string"),
        (b'"x"', None),
    ],
)
def test_what_is_no_control_value_is_invalid_input(raw: bytes, kind: ControlType | None) -> None:
    with pytest.raises(InvalidInput, match="'verdict'") as caught:
        control_from_json(raw, field(kind))
    assert caught.value.field == "verdict"


def test_choices_and_null() -> None:
    verdict = field("string", choices=("good", "poor"), nullable=True)
    assert control_from_json(b'"poor"', verdict) == "poor"
    assert control_from_json(b"null", verdict) is None
    with pytest.raises(InvalidInput, match="must be one of 'good', 'poor'"):
        control_from_json(b'"bad"', verdict)


def test_a_choice_of_one_is_not_true() -> None:
    with pytest.raises(InvalidInput):
        control_from_json(b"true", field("bool", choices=(1,)))


@given(JSON, st.sampled_from(["bool", "int", "float", "string"]))
def test_any_json_is_a_control_of_the_type_or_invalid(value: Any, kind: ControlType) -> None:
    wanted = {"bool": bool, "int": int, "float": float, "string": str}[kind]
    try:
        control = control_from_json(json.dumps(value).encode(), field(kind))
    except InvalidInput:
        return
    assert type(control) is wanted
    assert control == value


def test_brackets_inside_of_strings_are_no_levels() -> None:
    text = json.dumps("[{" * 300 + '"\\"')
    request = decode_request(f'{{"workflow": "w", "input": {{"a": {text}, "b": {"[" * 190 + "]" * 190}}}}}'.encode())
    assert isinstance(request, StartRun)
    assert request.inputs[0] == written("a", text)
