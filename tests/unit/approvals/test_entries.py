"""Forms from schemas: the controls fit the schema, and what they hold comes back as it was."""

from enum import Enum
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from logkeel.approvals.entries import Entry, entries_for, refilled, takes_text, value_of
from logkeel.approvals.forms import problems_of
from logkeel.approvals.rendering import render
from logkeel.errors import InvalidInput


class Tone(Enum):
    WARM = "warm"
    COLD = "cold"


class Signature(BaseModel):
    name: str


class Letter(BaseModel):
    to: str
    copies: int = 1
    weight: float | None = None
    urgent: bool = False
    tone: Tone = Tone.WARM
    footer: str | None = None
    signed: Signature | None = None
    tags: list[str] = []


LETTER = Letter.model_json_schema()
TEXT = {"type": "string"}


def posted(entries: tuple[Entry, ...]) -> dict[str, str]:
    """As a browser posts them: its own line ends, and one line without any."""
    return {each.name: "\r\n".join(each.text.split("\n")) for each in entries}


def exact(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")


def test_an_object_gets_a_control_for_each_member() -> None:
    found = {each.name: (each.kind, each.empty) for each in entries_for(LETTER, "Letter")}
    assert found == {
        "value.to": ("lines", "text"),
        "value.copies": ("integer", "missing"),
        "value.weight": ("number", "null"),
        "value.urgent": ("choice", "missing"),
        "value.tone": ("choice", "missing"),
        "value.footer": ("lines", "null"),
        "value.signed": ("json", "null"),
        "value.tags": ("json", "missing"),
    }


def test_what_is_posted_is_read_by_its_kind() -> None:
    form = {
        "value.to": "Bob\r\nand Ada",
        "value.copies": " 2 ",
        "value.weight": "",
        "value.urgent": "true",
        "value.tone": '"cold"',
        "value.signed": '{"name": "E."}',
    }
    value = value_of(form, LETTER)
    assert value == {
        "to": "Bob\nand Ada",
        "copies": 2,
        "weight": None,
        "urgent": True,
        "tone": "cold",
        "footer": None,
        "signed": {"name": "E."},
    }
    assert problems_of(value, LETTER) == []


def test_everything_that_cannot_be_read_is_told_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        value_of({"value.to": "x", "value.copies": "two", "value.tags": "["}, LETTER)
    problems = caught.value.details["problems"]
    assert problems[0] == "copies: has to be a whole number"
    assert problems[1].startswith("tags: has to be JSON")
    kept = refilled(LETTER, "Letter", {"value.to": "x", "value.copies": "two"})
    assert [each.text for each in kept][:2] == ["x", "two"]


@pytest.mark.parametrize("schema", [TEXT, {"anyOf": [TEXT, {"type": "null"}]}, {"type": ["string", "null"]}])
def test_a_text_is_asked_for_without_quotes(schema: dict[str, Any]) -> None:
    assert takes_text(schema)
    (entry,) = entries_for(schema, "Answer", "as it is")
    assert (entry.name, entry.kind, entry.text) == ("value", "lines", "as it is")
    assert value_of({"value": "42"}, schema) == "42"


@pytest.mark.parametrize(
    ("answer", "form", "value"),
    [
        (Literal["yes", "no"], '"no"', "no"),
        (bool, "false", False),
        (int, "7", 7),
        (list[int], "[1, 2]", [1, 2]),
        (Tone, '"cold"', "cold"),
        (int | str, '"seven"', "seven"),
    ],
)
def test_answers_of_other_kinds(answer: Any, form: str, value: Any) -> None:
    schema = TypeAdapter(answer).json_schema()
    assert value_of({"value": form}, schema) == value
    assert [each.text for each in refilled(schema, "Answer", {"value": form})] == [form]
    with pytest.raises(InvalidInput, match="write what it is"):
        value_of({"value": " "}, schema)


def test_without_a_schema_who_answers_says_what_it_is() -> None:
    assert value_of({"value": "[1]"}, None) == "[1]"
    assert value_of({"value": "[1]", "json": "on"}, None) == [1]


@pytest.mark.parametrize(
    "current",
    [
        {"to": "Bob", "unknown": 1},  # a member that has no control
        {"to": "Bob\rand Ada"},  # a browser would write this line end another way
        {"to": 7},
        {"to": "Bob", "footer": ""},  # an empty control means null here
        ["not", "an", "object"],
    ],
)
def test_what_the_controls_would_lose_is_shown_as_json(current: Any) -> None:
    entries = entries_for(LETTER, "Letter", current)
    assert [(each.name, each.kind) for each in entries] == [("value", "json")]
    assert exact(value_of(posted(entries), LETTER)) == exact(current)


plain = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r"), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3),
    max_leaves=8,
)
letters = st.fixed_dictionaries(
    {"to": plain | values},
    optional={
        "copies": st.integers() | values,
        "weight": st.floats(allow_nan=False, allow_infinity=False) | st.none(),
        "urgent": st.booleans(),
        "tone": st.sampled_from(["warm", "cold", "cool"]),
        "footer": plain | st.none(),
        "signed": values,
        "tags": values,
    },
)


@given(letters | values)
def test_a_form_that_is_sent_back_untouched_changes_nothing(current: Any) -> None:
    back = value_of(posted(entries_for(LETTER, "Letter", current)), LETTER)
    if isinstance(back, dict) and isinstance(current, dict):
        back = {name: each for name, each in back.items() if each is not None or name in current}
    assert exact(back) == exact(current)


@given(st.recursive(st.none() | st.booleans() | plain, lambda x: st.dictionaries(plain, x) | st.lists(x), max_leaves=6))
def test_any_schema_gets_some_form(schema: Any) -> None:
    document = schema if isinstance(schema, dict) else {"type": schema, "properties": schema, "anyOf": schema}
    assert entries_for(document, "Answer")


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        {"$ref": "https://elsewhere.example.com/schema"},
        {"$ref": "#/$defs/nobody"},
        {"type": "object", "properties": {"a": {"$ref": "#"}}},
    ],
)
def test_references_end(schema: dict[str, Any]) -> None:
    assert [each.kind for each in entries_for(schema, "Answer")] == ["json"]


def test_foreign_words_are_escaped() -> None:
    evil = '"><script>alert(1)</script>'
    schema = {
        "type": "object",
        "properties": {evil: {"type": "string", "title": evil, "description": evil}, "b": {"enum": [evil]}},
    }
    page = render(
        "logkeel.notify",
        "page.html",
        title=evil,
        note="",
        facts=[],
        shown=[(evil, evil)],
        verbs=("edit",),
        ask_name=True,
        who="",
        entries=entries_for(schema, evil, {evil: evil}),
        schema="",
        ask_json=False,
        comment=evil,
    )
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 5
