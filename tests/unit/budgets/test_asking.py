"""A budget that is used up, and a human who is asked whether there is to be more."""

from typing import Any

from msgspec.structs import replace
from tests.unit.budgets.budgeted import account, budgeted, done, hear, of_run
from tests.unit.budgets.test_used import Page, settled, tried_with
from tests.unit.runs.scripts import flow_of, started, step_block

from logkeel.definitions import Handler, ParallelBlock, RescueBlock
from logkeel.projection.projection import fold
from logkeel.records import AnswerQuestion, CancelRun, PauseRun, RunEvent
from logkeel.runs.core import pausing, questions, requests
from logkeel.runs.core.actions import Reject
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.budgeting import go_on
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.replay import replay
from logkeel.workflow import Budget, StepContext, Workflow

a, b, c = step_block("a"), step_block("b"), step_block("c")
USES = {"a": {"tokens": 40}, "b": {"tokens": 40}, "c": {"tokens": 40}}
PATH = "budget:tokens"


def asking(*flow: Any, limit: int = 60) -> Plan:
    """A human is asked when they are used up."""
    return budgeted(flow_of(*flow), [replace(of_run(limit), on_exhausted="ask")], USES)


def say(turn: Activation, verb: str, grant: int | None = None, **more: Any) -> Activation:
    """The next turn: a human answers."""
    following = Activation(turn.state, turn.plan, turn.now_ms + 1_000)
    request = AnswerQuestion(run_id="r", path=PATH, verb=verb, grant=grant, answered_by="ann", **more)
    questions.answer(following, request, "q9")
    go_on(following)
    return following


def refused(turn: Activation) -> list[str]:
    """Codes of what was refused in a turn."""
    return [each.code for each in turn.actions if isinstance(each, Reject)]


def in_question() -> tuple[Activation, list[RunEvent]]:
    """A run that has used up 40 of 60, and needs 40 more."""
    turn = started(asking(a, b))
    events = list(turn.events)
    turn = hear(turn, done(turn.state, "a", tokens=40))
    return turn, [*events, *turn.events]


def test_a_human_is_asked_once_and_the_step_goes_on_with_what_is_granted() -> None:
    turn, history = in_question()
    assert [event.kind for event in turn.events] == ["step_succeeded", "question_asked", "step_held"]
    assert turn.events[1].reason == "b may use 40 tokens, and of 60 20 are left. Is there to be more?"
    view = fold(history)
    assert [wait.kind for wait in view.waits.values()] == ["human", "limit"]
    turn = say(turn, "approve", 20)
    history += turn.events
    assert [event.kind for event in turn.events] == ["question_answered", "step_dispatched"]
    assert account(turn.state) == (40, 40)
    assert replay(history, turn.plan) == turn.state
    assert fold(history).accounts["tokens"].granted == 20


def test_too_little_is_granted_and_the_human_is_asked_again() -> None:
    turn, _ = in_question()
    turn = say(turn, "approve", 5)
    assert [event.kind for event in turn.events] == ["question_answered", "question_asked"]
    turn = say(turn, "approve", 15)
    assert [event.kind for event in turn.events] == ["question_answered", "step_dispatched"]


def test_unless_said_as_much_is_granted_as_there_was_at_first() -> None:
    turn, _ = in_question()
    turn = say(turn, "approve")
    assert turn.state.head.accounts["tokens"].granted == 60


def test_a_human_who_says_no_lets_the_step_fail_where_rescue_catches_it() -> None:
    guarded = RescueBlock(id="rescue", body=b, handlers=(Handler(on="budget_exhausted", block=step_block("d")),))
    turn = started(asking(a, guarded))
    turn = hear(turn, done(turn.state, "a", tokens=40))
    turn = say(turn, "reject")
    assert [event.kind for event in turn.events] == ["question_answered", "block_rescued", "step_dispatched"]
    turn, _ = in_question()
    turn = say(turn, "reject")
    assert turn.state.head.error is not None
    assert turn.state.head.error.code == "budget_exhausted"


def test_an_answer_that_comes_twice_or_means_nothing_is_refused() -> None:
    turn, _ = in_question()
    assert refused(say(turn, "approve", 0)) == ["answer_invalid"]
    assert refused(say(turn, "edit")) == ["verb_not_allowed"]
    assert refused(say(turn, "approve", question=1)) == ["question_not_open"]
    turn = say(turn, "delegate", assignee="bob")
    assert turn.state.waits[PATH].assignee == "bob"
    turn = say(turn, "approve", 20)
    turn = say(turn, "approve", 20)
    assert refused(turn) == ["question_not_open"]
    assert turn.state.head.accounts["tokens"].granted == 20


def test_two_that_lack_ask_once_and_a_cancelled_run_asks_no_more() -> None:
    turn = started(asking(a, ParallelBlock(id="fork", branches=(b, c))))
    turn = hear(turn, done(turn.state, "a", tokens=40))
    assert [event.kind for event in turn.events].count("question_asked") == 1
    requests.cancel(turn, CancelRun(run_id="r"), "q")
    assert turn.state.head.open_waits == 0
    assert refused(say(turn, "approve")) == ["run_finished"]


def test_a_paused_run_takes_the_answer_and_goes_on_when_it_is_resumed() -> None:
    turn, _ = in_question()
    pausing.pause(turn, PauseRun(run_id="r"), "q1")
    turn = say(turn, "approve")
    assert [event.kind for event in turn.events] == ["question_answered"]
    pausing.release(turn)
    assert "b" not in turn.state.steps
    turn.record("run_resumed")
    pausing.release(turn)
    assert account(turn.state) == (40, 40)


def test_people_are_faked_in_a_trial() -> None:
    wf = Workflow("dear", state=Page, budgets=[Budget("tokens", 50, on_exhausted="ask")], returns="second")

    async def write(topic: str, step: StepContext) -> str:
        step.used(tokens=30)
        return topic

    first = wf.step(writes=lambda s: s.first, uses={"tokens": 40}, name="first")(write)
    second = wf.step(writes=lambda s: s.second, uses={"tokens": 40}, name="second")(write)
    wf.flow(first, second)
    trial = tried_with(wf, {PATH: "approve"}, topic="logs")
    assert (trial.status, settled(trial)) == ("succeeded", {"tokens": 60})
    assert tried_with(wf, {PATH: "reject"}, topic="logs").status == "failed"
    assert tried_with(wf, {}, topic="logs").status == "running"
