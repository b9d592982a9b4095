"""Requests out of calls."""

import pytest

from logkeel.client.building import input_digest, inputs_of, plain_result, plain_writes
from logkeel.errors import InvalidInput, PayloadTooLarge
from logkeel.payloads import PLAIN
from logkeel.records import FieldValue, FieldWrite, Payload
from logkeel.records.limits import MAX_PAYLOAD_BYTES
from logkeel.runs.processor.identity import digest_of_input
from logkeel.workflow import State, Workflow


class Ask(State):
    question: str
    deep: bool = False


ask = Workflow("ask", state=Ask)


def test_a_workflow_object_validates_before_anything_is_sent() -> None:
    with pytest.raises(InvalidInput, match="question: is required"):
        inputs_of(ask, {"deep": True})


def test_a_name_takes_what_is_json() -> None:
    (write,) = inputs_of("ask", {"question": ["a", 1]})
    assert write == FieldWrite(field="question", payload=Payload(encoding="json", data=b'["a",1]'))
    with pytest.raises(InvalidInput, match="question: is not JSON"):
        inputs_of("ask", {"question": object()})


@pytest.mark.parametrize("workflow", [ask, "ask"])
def test_a_large_payload_is_refused(workflow: Workflow[Ask] | str) -> None:
    PLAIN.wrap_writes(inputs_of(workflow, {"question": "x" * (MAX_PAYLOAD_BYTES - 2)}), "the input")
    with pytest.raises(PayloadTooLarge, match="at most 262144"):
        PLAIN.wrap_writes(inputs_of(workflow, {"question": "x" * (MAX_PAYLOAD_BYTES - 1)}), "the input")


def test_the_digest_is_the_same_for_object_and_name_and_for_any_order() -> None:
    by_object = inputs_of(ask, {"question": "why?", "deep": True})
    by_name = inputs_of("ask", {"deep": True, "question": "why?"})
    assert by_object != by_name
    assert input_digest(by_object) == input_digest(by_name)
    assert input_digest(by_name) != input_digest(inputs_of("ask", {"deep": False, "question": "why?"}))


def test_the_digest_is_the_one_the_engine_makes_for_senders_without() -> None:
    writes = plain_writes({"question": "why?", "deep": True})
    assert input_digest(writes) == digest_of_input(writes)


def test_a_result_without_types_is_plain() -> None:
    fields = (
        FieldValue(field="report", revision=3, payload=Payload(encoding="json", data=b'{"a":1}')),
        FieldValue(field="good", revision=3, is_control=True, control=True),
        FieldValue(field="secret", revision=3, payload=Payload(encoding="json+aesgcm:k", data=b"\x00")),
        FieldValue(field="never", revision=0),
    )
    assert plain_result(fields) == {"report": {"a": 1}, "good": True, "secret": b"\x00", "never": None}
