"""Waits and questions in words."""

from typing import Any

import pytest
from tests.unit.projection.histories import HOUR_MS, T0, Told

from logkeel.approvals import documents as approval_documents
from logkeel.approvals.forms import Form
from logkeel.cli import approval_views, run_views, wait_views
from logkeel.cli.approval_choice import with_remedy
from logkeel.cli.texts import one_line, readable
from logkeel.errors import RequestWasRejected
from logkeel.projection import documents
from logkeel.records import FieldReference, FieldWrite, Payload

NOW_MS = T0 + 2 * HOUR_MS


@pytest.mark.parametrize(
    ("details", "said"),
    [
        ({"name": "sleep", "due_ms": NOW_MS + HOUR_MS}, "sleeps: wait, for 1h 59m, due in 1h 00m"),
        ({"name": "signal", "reason": "paid"}, "waits for the signal 'paid': wait, for 1h 59m"),
        (
            {"name": "signal", "reason": "paid", "attributes": {"correlation": "7"}, "due_ms": NOW_MS - 3_000},
            "waits for the signal 'paid' of '7': wait, for 1h 59m, was due 3.0s ago",
        ),
        ({"name": "within", "due_ms": NOW_MS}, "has limited time: wait, for 1h 59m, due in 0ms"),
    ],
)
def test_a_wait_is_said_in_a_sentence(details: dict[str, Any], said: str) -> None:
    told = Told()
    told.tell("wait_started", "wait", **details)
    (wait,) = told.view.waits.values()
    assert wait_views.sentence(wait, NOW_MS) == said


def test_a_question_is_said_in_a_sentence() -> None:
    told = Told()
    told.ask(due_ms=NOW_MS + 46 * HOUR_MS)
    told.tell("block_entered", "soon", due_ms=NOW_MS)
    assert (
        run_views.current(told.view, NOW_MS)
        == "waits for a human: approve, asked 1h 59m ago, due in 1d 22h, of editors"
    )
    (value, limit) = documents.summary(told.view, NOW_MS)["waits"]
    assert (value["kind"], value["number"], value["allow"]) == ("human", 2, ("approve", "edit", "reject"))
    assert (limit["kind"], limit["path"]) == ("within", "soon")


def test_a_question_shows_values_defaults_and_what_cannot_be_read() -> None:
    told = Told(writes=(FieldWrite(field="good", is_control=True, control=True),))
    secret = Payload(encoding="json+aesgcm:k", data=b"\x00\x01")
    told.tell("step_succeeded", "w", step="w", writes=(FieldWrite(field="secret", payload=secret),))
    reads = (FieldReference(field="good", revision=1), FieldReference(field="secret", revision=2))
    attributes = {"allow": "approve", "shows": "good,secret,round,report"}
    told.ask(attributes=attributes, reads=(*reads, FieldReference(field="round", revision=0)), due_ms=None, actor=None)
    (asked,) = told.projection.questions()
    form = Form(defaults={"round": 7})
    assert approval_documents.question_json(asked, form, NOW_MS)["shown"] == {
        "good": True,
        "secret": {"encoding": "json+aesgcm:k", "bytes": 2},
        "round": 7,
        "report": None,
    }
    text = "\n".join(approval_views.lines(asked, form, NOW_MS))
    assert "good:\n  true\n" in text
    assert "report:\n  (not written)" in text
    assert approval_views.row(asked, NOW_MS)[-3:] == (None, "1h 59m ago", "never")


def test_who_is_asked_after_an_escalation_is_said() -> None:
    told = Told()
    told.ask()
    told.tell("question_reassigned", "approve", name="boss", reason="escalated")
    (asked,) = told.projection.questions()
    assert any(line.endswith("escalated to boss") for line in approval_views.lines(asked, Form(), NOW_MS))


def test_no_text_moves_the_cursor_of_a_terminal() -> None:
    told = Told()
    told.ask(reason="Pay 1 EUR?\x1b[2K\rPay 9 EUR?", actor="ada\x9b\n")
    (asked,) = told.projection.questions()
    lines = [*approval_views.lines(asked, Form(), NOW_MS), *map(str, approval_views.row(asked, NOW_MS))]
    assert all(line.isprintable() for line in lines)
    assert readable("é\t\n\x1b\u202e") == "é\t\n\\x1b\\u202e"
    assert one_line(" a\n b\x00") == "a b\\x00"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("question_not_open", "over; see: logkeel approvals list"),
        ("verb_not_allowed", "over; see: logkeel approvals show r"),
        ("run_finished", "over; see: logkeel run show r"),
        ("answer_missing", "over"),
    ],
)
def test_a_rejection_names_the_command_that_tells_more(code: str, said: str) -> None:
    error = with_remedy(RequestWasRejected("over", rejection=code, run_id="r"), "r")
    assert (error.message, error.rejection) == (said, code)


def test_events_of_questions_say_who_and_what() -> None:
    told = Told()
    told.ask()
    told.tell("question_reassigned", "approve", name="bob", actor="ada")
    told.tell("question_answered", "approve", name="reject", actor="bob", reason="too\x1blong", request_id="q")
    assert [run_views.event_text(event, T0).split("  ")[-1] for event in told.history[1:]] == [
        "approve: Publish it? (of editors)",
        "approve: to bob, by ada",
        "approve: reject by bob (too\\x1blong)",
    ]
