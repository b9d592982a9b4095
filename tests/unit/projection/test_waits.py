"""What a run waits for, read from its history."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.projection.histories import HOUR_MS, T0, Told, json_write, projected
from tests.unit.runs.flows import Flow
from tests.unit.runs.test_block_laws import MOVES, happen, plans

from logkeel.errors import RunNotFound
from logkeel.projection import AnswerView, RunView, WaitView
from logkeel.projection.projection import fold
from logkeel.records import FieldReference, FieldValue, Payload, RunCompleted
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.state import RunState


@pytest.fixture
def asked() -> Told:
    """A report is written at revision 2, and a human is asked about it at revision 3."""
    told = Told()
    told.tell("step_succeeded", "write", step="write", writes=(json_write("report", '"first"'),))
    told.ask()
    return told


def test_a_sleep_is_open_until_it_ends() -> None:
    told = Told()
    told.tell("wait_started", "nap", name="sleep", due_ms=T0 + HOUR_MS)
    assert told.view.waits == {
        "nap": WaitView(path="nap", kind="sleep", number=2, since_ms=T0 + 1_000, due_ms=T0 + HOUR_MS),
    }
    told.tell("wait_ended", "nap", name="sleep", reason="due")
    assert told.view.waits == {}


def test_a_signal_that_comes_ends_its_wait_and_writes_its_field() -> None:
    told = Told()
    told.tell("wait_started", "wait", name="signal", reason="paid", attributes={"correlation": "7"})
    wait = told.view.waits["wait"]
    assert (wait.kind, wait.name, wait.correlation, wait.due_ms) == ("signal", "paid", "7", None)
    told.tell("wait_ended", "wait", name="paid", reason="signal", writes=(json_write("receipt", "1"),))
    assert told.view.waits == {}
    assert (told.view.fields["receipt"].revision, told.view.fields["receipt"].path) == (3, "wait")


def test_a_question_says_what_is_asked_of_whom_until_when_and_what_may_be_answered(asked: Told) -> None:
    (question,) = asked.view.questions
    assert question == WaitView(
        path="approve",
        kind="human",
        number=3,
        question="Publish it?",
        since_ms=T0 + 2_000,
        due_ms=T0 + 2_000 + 48 * HOUR_MS,
        allow=("approve", "edit", "reject"),
        writes="decision",
        answer="report",
        assignee="editors",
        shows=("report",),
        reads=(FieldReference(field="report", revision=2),),
    )


def test_an_answer_closes_the_question_and_is_kept_with_who_gave_it(asked: Told) -> None:
    writes = (json_write("report", '"better"'),)
    asked.tell("question_answered", "approve", name="edit", actor="ada", reason="typos", writes=writes, request_id="q")
    view = asked.view
    assert view.questions == []
    assert view.answers == [AnswerView(path="approve", verb="edit", at_ms=T0 + 3_000, by="ada", comment="typos")]
    assert view.fields["report"].revision == 4


def test_an_answer_of_the_policy_is_nobodys_and_a_human_may_still_use_its_words(asked: Told) -> None:
    asked.tell("question_answered", "approve", name="reject", reason="no answer in time")
    asked.tell("question_answered", "again", name="reject", reason="no answer in time", request_id="q")
    policy, human = asked.view.answers
    assert (policy.in_time, policy.by, policy.comment) == (False, None, None)
    assert (human.in_time, human.comment) == (True, "no answer in time")


def test_a_question_is_handed_on_reminded_of_and_escalated(asked: Told) -> None:
    due_ms = asked.view.questions[0].due_ms
    asked.tell("question_reassigned", "approve", name="bob", actor="ada", reason="on leave", due_ms=due_ms)
    asked.tell("question_reminded", "approve", actor="bob", due_ms=T0)
    (question,) = asked.view.questions
    assert (question.assignee, question.reassigned_by, question.escalated) == ("bob", "ada", False)
    assert (question.due_ms, question.reminders, question.number) == (due_ms, 1, 3)
    asked.tell("question_reassigned", "approve", name="boss", reason="escalated", due_ms=T0 + 99 * HOUR_MS)
    (question,) = asked.view.questions
    assert (question.assignee, question.reassigned_by, question.escalated) == ("boss", None, True)
    assert question.due_ms == T0 + 99 * HOUR_MS


def test_a_block_with_limited_time_has_a_due_time_until_it_ends() -> None:
    told = Told()
    told.tell("block_entered", "soon", due_ms=T0 + HOUR_MS)
    told.tell("block_entered", "soon/fork")
    assert [(wait.path, wait.due_ms) for wait in told.view.waits.values()] == [("soon", T0 + HOUR_MS)]
    told.tell("block_left", "soon")
    assert told.view.waits == {}


@pytest.mark.parametrize("kind", ["block_left", "block_rescued", "block_timed_out"])
def test_what_waits_inside_of_a_block_that_ends_is_gone_and_nothing_else(kind: str) -> None:
    told = Told()
    for path in ("body/nap", "body[2]/nap", "bodyguard", "body"):
        told.tell("wait_started", path, name="sleep", due_ms=T0)
    told.ask("body/fork/approve")
    told.tell(kind, "body")  # type: ignore[arg-type]  # one of the three
    assert set(told.view.waits) == {"body[2]/nap", "bodyguard"}


def test_the_end_of_a_run_ends_every_wait(asked: Told) -> None:
    projection = asked.projection
    completed = RunCompleted(
        run_id="r",
        incarnation="0-0-0",
        workflow="work",
        version="1",
        definition_digest="digest",
        status="cancelled",
        revision=4,
        started_at_ms=T0,
        finished_at_ms=T0 + 9,
    )
    projection.apply(completed)
    assert projection.questions() == []
    asked.tell("run_completed", status="cancelled")
    assert asked.view.waits == {}


def test_the_human_sees_the_fields_as_they_stood_when_the_question_was_asked(asked: Told) -> None:
    asked.tell("step_succeeded", "improve", step="improve", writes=(json_write("report", '"second"'),))
    (question,) = asked.projection.questions()
    payload = Payload(encoding="json", data=b'"first"')
    assert question.shown == (FieldValue(field="report", revision=2, payload=payload),)
    assert (question.run_id, question.incarnation, question.definition_digest) == ("r", "0-0-0", "digest")


def test_a_field_without_a_value_is_shown_empty_and_one_from_before_the_history_not_at_all(asked: Told) -> None:
    asked.ask("other", attributes={"allow": "approve", "shows": "critique,report"})
    without, other = asked.projection.questions()
    assert [value.field for value in without.shown] == ["report"]
    assert other.shown[0] == FieldValue(field="critique", revision=0)
    later = Told()
    later.history = asked.history[2:]
    assert [question.shown for question in later.projection.questions()] == [(), other.shown[:1]]


def test_open_questions_of_all_runs_come_oldest_first_and_by_assignee() -> None:
    first, second = Told("s"), Told("a")
    first.ask("one", actor="ada")
    second.now_ms += HOUR_MS
    second.ask("two", actor="bob")
    first.now_ms += 2 * HOUR_MS
    first.ask("three", actor=None)
    projection = projected(second, first)
    assert [each.path for each in projection.questions()] == ["one", "two", "three"]
    assert [each.path for each in projection.questions(assignee="bob")] == ["two"]
    assert [each.path for each in projection.questions(run_id="s")] == ["one", "three"]
    with pytest.raises(RunNotFound):
        projection.questions(run_id="nobody")


def assert_waits_agree(view: RunView, state: RunState) -> None:
    """The view's waits are the engine's."""
    assert {path: (wait.since_ms, wait.due_ms) for path, wait in view.waits.items()} == {
        path: (wait.since_ms, wait.due_ms) for path, wait in state.waits.items()
    }
    kinds = {path: "question" if wait.kind == "human" else wait.kind for path, wait in view.waits.items()}
    assert kinds == {path: wait.kind for path, wait in state.waits.items()}
    assert {path: wait.number for path, wait in view.waits.items()} == {p: w.number for p, w in state.waits.items()}
    for question in view.questions:
        wait = state.waits[question.path]
        assert (question.number, question.assignee, question.escalated) == (wait.number, wait.assignee, wait.escalated)


@settings(max_examples=150, deadline=None)
@given(plan=plans(), data=st.data())
def test_whatever_happens_the_view_waits_for_what_the_engine_waits_for(plan: Plan, data: st.DataObject) -> None:
    flow = Flow(plan)
    assert_waits_agree(fold(flow.history), flow.state)
    for move in data.draw(st.lists(st.sampled_from(MOVES), max_size=12)):
        if flow.state.running:
            happen(flow, move, data)
            assert_waits_agree(fold(flow.history), flow.state)
