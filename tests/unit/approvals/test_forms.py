"""Which form an answer has to fit, and what is said of one that does not."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter
from tests.unit.runs.flows import plan_with
from tests.unit.runs.scripts import flow_of, step_block

from logkeel.approvals.forms import Form, form_of, problems_of, refuse_misfit
from logkeel.definitions import (
    EachBlock,
    FieldDefinition,
    HumanBlock,
    InlineBlock,
    LoopBlock,
    SleepBlock,
    encode_document,
)
from logkeel.errors import InvalidInput


class Reply(BaseModel):
    to: str
    copies: int = 1
    note: str | None = None


SCHEMA = TypeAdapter(Reply).json_schema()


def document(schema: str | None) -> bytes:
    """A loop with a question in it, and a sleep."""
    asked = HumanBlock(id="approve", question="?", writes="decision", answer="letter", answer_schema=schema)
    body = flow_of(step_block("a"), asked)
    flow = flow_of(LoopBlock(id="refine", body=body, max_rounds=3), SleepBlock(id="nap", duration_ms=1))
    return encode_document(plan_with(flow).document)


def test_the_form_is_that_of_the_question_in_any_round() -> None:
    data = document(json.dumps(SCHEMA))
    form = form_of(data, "refine[2]/approve")
    assert form.schema == SCHEMA
    assert form.defaults == {"verdict": None, "decision": None, "order": None, "total": 0}


def test_a_question_of_an_inner_workflow_has_the_defaults_of_its_own_fields() -> None:
    asked = HumanBlock(id="approve", question="?", writes="mood", answer_schema="{}")
    inner = InlineBlock(
        id="sub",
        workflow="inner",
        version="1",
        fields=(FieldDefinition(name="mood", control_type="string", default="calm"),),
        flow=asked,
    )
    form = form_of(encode_document(plan_with(flow_of(step_block("a"), inner)).document), "sub/approve")
    assert form == Form(schema={}, defaults={"mood": "calm"})


def test_a_question_about_an_element_has_its_form_whatever_the_key() -> None:
    asked = HumanBlock(id="approve", question="?", writes="decision", answer="letter", answer_schema="{}")
    block = EachBlock(id="docs", items="docs", item="doc", body=flow_of(step_block("a"), asked))
    form = form_of(encode_document(plan_with(flow_of(block)).document), "docs[a%2Fb.pdf]/approve")
    assert form.schema == {}


@pytest.mark.parametrize("path", ["nap", "refine", "approve", "nowhere[1]"])
def test_where_nobody_is_asked_there_is_no_form(path: str) -> None:
    assert form_of(document(json.dumps(SCHEMA)), path) == Form()


@pytest.mark.parametrize("schema", [None, "{", "7"])
def test_a_question_without_a_usable_schema_takes_any_answer(schema: str | None) -> None:
    assert form_of(document(schema), "refine[1]/approve").schema is None


@pytest.mark.parametrize("value", [{"to": "ada"}, {"to": "ada", "copies": 2, "note": None}])
def test_what_fits_passes(value: Any) -> None:
    assert problems_of(value, SCHEMA) == []
    refuse_misfit(value, SCHEMA, where="")
    refuse_misfit(value, None, where="")


def test_every_misfit_is_named_with_its_place() -> None:
    assert problems_of({"copies": "two", "note": 7}, SCHEMA) == [
        "'to' is a required property",
        "copies: 'two' is not of type 'integer'",
        "note: 7 is not of type 'string'",
        "note: 7 is not of type 'null'",
    ]
    with pytest.raises(InvalidInput, match=r"'to' is a required property; its form: logkeel approvals show r p"):
        refuse_misfit({}, SCHEMA, where="logkeel approvals show r p")


def test_within_alternatives_the_place_is_named() -> None:
    schema = TypeAdapter(Reply | None).json_schema()
    assert problems_of({"to": 7}, schema) == [
        "{'to': 7} is not of type 'null'",
        "to: 7 is not of type 'string'",
    ]


@pytest.mark.parametrize(
    "schema",
    [{"type": "nothing"}, {"$ref": "https://example.org/schema.json"}, {"$ref": "#/$defs/None"}, {"pattern": "("}],
)
def test_a_schema_that_cannot_be_used_refuses_nothing_and_fetches_nothing(schema: dict[str, Any]) -> None:
    assert problems_of("x", schema) == []
