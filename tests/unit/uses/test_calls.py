"""Calls of durable code that keep to limits and budgets (0034): asked for before each try, given back with its end."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.budgets.budgeted import account as account_of
from tests.unit.budgets.budgeted import of_run, shared
from tests.unit.runs.scripts import failed, reclaimed, released, succeeded
from tests.unit.runs.test_forking import begun as forked
from tests.unit.uses.calls import CALLS, MODEL, MOST, Calls, account, asking, outcome

from logkeel.definitions import BudgetDefinition
from logkeel.projection.projection import fold
from logkeel.records import CallLimit, CancelRun, JournalEntry, LimitAnswered, PauseRun, StepAnswer, StepFailed
from logkeel.runs.core import pausing, requests
from logkeel.runs.core.actions import RevokeStep
from logkeel.runs.core.limit_uses import uses_of_call

A, B, C = "0.0.0", "0.1.0", "0.2.0"
ONE = CallLimit(kind="concurrency", name="model", limit=1)


def begun(*budgets: BudgetDefinition, **needs: Any) -> Calls:
    """Its first call has been granted what it needs, and the step is executed by a journal that says so."""
    life = Calls(*budgets)
    life._note(life.turn)
    life.say(asking(A, **needs))
    life.suspend()
    life.settle()
    assert life.journal[f"{A}.s"].state == "done"
    return life


def test_a_try_waits_in_line_and_the_step_is_executed_when_it_may_begin() -> None:
    life = Calls()
    life._note(life.turn)
    assert life.say(asking(A, limits=(ONE,))) == ["step_journaled", "limit_asked"]
    assert life.suspend() == ["step_suspended"]
    life.settle()
    assert [event.kind for event in life.history[-3:]] == ["limit_granted", "step_resumed", "step_dispatched"]
    assert [(e.position, e.state, e.waits_for) for e in life.journal.values()] == [(f"{A}.s", "done", "limit")]
    view = fold(life.history)
    assert [slot.limit.name for slot in view.slots[f"a?{A}.s"]] == ["model"]
    assert life.say(outcome(A)) == ["step_journaled"]
    assert fold(life.history).slots == {}
    life.settle()
    assert life.lines["concurrency", "model", ""].is_forgotten
    assert [position for (_, position), _ in life.state.journal.items()] == [A]


def test_the_second_call_is_served_when_the_first_has_its_outcome() -> None:
    life = begun(limits=(ONE,))
    assert life.say(asking(B, limits=(ONE,))) == ["step_journaled", "limit_asked"]
    life.settle()
    assert fold(life.history).waits[f"a?{B}.s"].kind == "limit"
    life.say(outcome(A))
    life.settle()
    assert life.history[-1].kind == "step_resumed", "the worker is at work: it hears of it when its code waits"
    assert life.suspend() == ["step_suspended", "step_dispatched"]
    assert life.journal[f"{B}.s"].state == "done"


def test_several_limits_are_asked_in_the_order_of_everybody() -> None:
    life = Calls()
    life._note(life.turn)
    life.say(asking(A, limits=(CALLS, MODEL)))
    life.settle()
    asked = [event.attributes["kind"] for event in life.history if event.kind == "limit_asked"]
    assert asked == ["concurrency", "rate"]


ENDS: dict[str, Callable[[Calls], StepAnswer]] = {
    "lost": lambda life: reclaimed(life.state, "a", holder_dead=True),
    "given back": lambda life: released(life.state, "a", was_started=True),
    "failed": lambda life: failed(life.state, "a"),
    "in doubt": lambda life: failed(life.state, "a", "in_doubt", in_doubt=True),
    "succeeded": lambda life: succeeded(life.state, "a"),
}


@pytest.mark.parametrize("end", ENDS)
def test_whatever_ends_the_execution_gives_back_and_counts_in_full(end: str) -> None:
    life = begun(of_run(100), shared(90), limits=(ONE,), uses={"tokens": MOST})
    assert account(life) == (0, MOST)
    life.hear(ENDS[end](life))
    assert account(life) == (MOST, 0)
    assert life.state.claims == {}
    assert f"{A}.s" not in life.journal or end in ("failed", "in doubt", "succeeded")
    assert not [key for key, _ in life.state.journal.items() if key[1].endswith(".s")]
    life.settle()
    assert life.ended == [("model", None), ("work/tokens", MOST)]
    assert fold(life.history).accounts["tokens"].reserved == {}
    assert life.lines["concurrency", "model", ""].is_forgotten


def test_a_successor_asks_anew_for_a_call_whose_worker_died() -> None:
    life = begun(limits=(ONE,))
    assert life.hear(reclaimed(life.state, "a", holder_dead=True)) == ["step_reclaimed", "step_dispatched"]
    assert f"{A}.s" not in life.journal, "nobody finds a try that somebody else may have begun"
    assert life.say(asking(A, limits=(ONE,))) == ["step_journaled", "limit_asked"]
    life.settle()
    assert life.suspend() == ["step_suspended", "step_dispatched"]


def test_an_execution_that_was_given_back_unbegun_keeps_all() -> None:
    life = begun(of_run(100), limits=(ONE,), uses={"tokens": MOST})
    assert life.hear(released(life.state, "a", was_started=False)) == ["step_released", "step_dispatched"]
    assert life.journal[f"{A}.s"].state == "done"
    assert account(life) == (0, MOST)


def test_who_waits_in_line_leaves_it_with_its_execution_and_has_used_nothing() -> None:
    life = begun(of_run(100), limits=(ONE,), uses={"tokens": MOST})
    life.say(asking(B, limits=(ONE,), uses={"tokens": MOST}))
    life.settle()
    assert account(life) == (0, 2 * MOST)
    life.hear(reclaimed(life.state, "a", holder_dead=True))
    assert account(life) == (MOST, 0)
    life.settle()
    assert life.lines["concurrency", "model", ""].is_forgotten


def test_each_try_is_asked_for_and_counts_with_what_it_has_used() -> None:
    life = begun(of_run(100), shared(90), limits=(ONE,), uses={"tokens": MOST})
    life.say(asking(A, 1, used=7, limits=(ONE,), uses={"tokens": MOST}))
    assert account(life) == (7, MOST)
    life.suspend()
    life.settle()
    life.say(outcome(A, used=11))
    assert account(life) == (18, 0)
    life.settle()
    assert life.ended == [("model", None), ("work/tokens", 7), ("model", None), ("work/tokens", 11)]


def test_the_same_word_twice_takes_no_second_slot_and_settles_once() -> None:
    life = begun(of_run(100), limits=(ONE,), uses={"tokens": MOST})
    again = asking(A, limits=(ONE,), uses={"tokens": MOST})
    assert life.say(again) == [], "granted already"
    assert life.say(outcome(A, used=3)) == ["step_journaled"]
    assert life.say(outcome(A, used=3)) == []
    assert life.say(again) == [], "the call is over"
    assert account(life) == (3, 0)
    assert life.say(asking(A, 1, used=3, limits=(ONE,), uses={"tokens": MOST})) == []


def test_a_zombie_takes_nothing() -> None:
    life = begun(limits=(ONE,))
    life.hear(reclaimed(life.state, "a", holder_dead=True))
    stale = life.state.steps["a"].dispatch - 1
    assert life.say(asking(B, limits=(ONE,)), dispatch=stale) == ["answer_ignored"]
    assert life.say(outcome(A), dispatch=stale) == ["answer_ignored"]
    assert life.state.claims == {}


def test_a_run_that_is_cancelled_while_it_waits_gives_back() -> None:
    life = Calls(of_run(100))
    life._note(life.turn)
    life.say(asking(A, limits=(ONE,), uses={"tokens": MOST}))
    life.suspend()
    requests.cancel(life.next(), CancelRun(run_id="r"), "q")
    assert not [action for action in life.turn.actions if isinstance(action, RevokeStep)]
    life.over()
    assert (life.state.claims, account(life)) == ({}, (0, 0))
    life.settle()
    assert life.lines["concurrency", "model", ""].is_forgotten, "a slot that nobody waits for is given back"


def test_a_grant_that_comes_while_the_run_is_paused_is_given_back_and_asked_for_anew() -> None:
    life = Calls()
    life._note(life.turn)
    life.say(asking(A, limits=(ONE,)))
    life.suspend()
    pausing.pause(life.next(), PauseRun(run_id="r"), "q")
    life.over()
    life.settle()
    assert [event.kind for event in life.history[-3:]] == ["limit_granted", "step_resumed", "step_held"]
    assert life.lines["concurrency", "model", ""].is_forgotten
    assert len(life.state.journal) == 0


def test_a_call_that_finds_too_little_left_fails_and_others_reservations_are_waited_for() -> None:
    life = begun(of_run(70), uses={"tokens": MOST})
    assert life.say(asking(B, uses={"tokens": MOST})) == ["step_journaled"], "only what is reserved is in the way"
    assert life.say(outcome(A, used=5)) == ["step_journaled", "step_resumed"], "settled, so the next may begin"
    assert account(life) == (5, MOST)
    life.suspend()
    life.say(outcome(B))
    assert account(life) == (45, 0)
    assert life.say(asking(C, uses={"tokens": MOST})) == ["step_journaled", "step_resumed"]
    refused = life.state.journal["a", f"{C}.s"]
    assert refused.error is not None
    assert (refused.state, refused.error.code) == ("failed", "budget_exhausted")
    assert "call 'model' of a may use 40 tokens, and of the 70 of this run 25 are left" in refused.error.message
    assert life.say(replace(outcome(C, "failed"), error=refused.error)) == ["step_journaled"]
    assert life.state.claims == {}


def test_a_human_may_give_more() -> None:
    life = begun(replace(of_run(40), on_exhausted="ask"), uses={"tokens": MOST})
    life.say(outcome(A))
    assert life.say(asking(B, uses={"tokens": MOST})) == ["step_journaled", "question_asked"]
    assert life.state.waits["budget:tokens"].kind == "question"


def test_a_shared_budget_that_is_used_up_refuses() -> None:
    life = begun(shared(50), uses={"tokens": MOST})
    life.say(outcome(A, used=30))
    life.say(asking(B, uses={"tokens": MOST}))
    life.suspend()
    life.settle()
    refused = life.journal[f"{B}.s"]
    assert refused.error is not None
    assert (refused.state, refused.error.code) == ("failed", "budget_exhausted")


def test_what_its_step_reserves_or_no_budget_knows_is_not_reserved_again() -> None:
    life = begun(of_run(100), uses={"dollars": 3})
    assert life.state.claims[f"a?{A}.s"].uses == {}
    assert life.state.head.accounts == {}


def test_limits_have_the_keys_of_the_state() -> None:
    life = begun()
    keyed = replace(ONE, key="tenant")
    (use,) = uses_of_call(life.state, life.plan, "a", (keyed,), {})
    assert use.key == "tenant=acme"


def test_an_entry_of_the_engine_is_taken_from_no_worker() -> None:
    life = begun(limits=(ONE,))
    for entry in (replace(asking(B), state="done"), replace(asking(B), position=B)):
        assert isinstance(entry, JournalEntry)
        assert life.say(entry) == []


def test_a_slot_of_a_claim_that_is_over_goes_back() -> None:
    life = begun(limits=(ONE,))
    number = life.state.claims[f"a?{A}.s"].number
    life.say(outcome(A))
    life.settle()
    told = LimitAnswered(
        kind="concurrency", name="model", key="", run_id="r", incarnation=life.state.info.incarnation,
        path=f"a?{A}.s", number=number,
    )  # fmt: skip
    life.to_run.append(told)
    life.carry()
    assert [word.number for word in life.to_lines] == [number]


def test_a_call_in_doubt_gives_back_and_asks_again_when_a_human_lets_it() -> None:
    life = begun(of_run(100), limits=(ONE,), uses={"tokens": MOST})
    life.say(replace(outcome(A, "intent"), effect="ONCE"))
    assert account(life) == (0, MOST), "an intent is no outcome: it holds on"
    doubt = failed(life.state, "a", "in_doubt", in_doubt=True)
    assert isinstance(doubt, StepFailed)
    life.hear(replace(doubt, position=A))
    assert (life.state.claims, account(life)) == ({}, (MOST, 0))


def test_a_fork_asks_anew() -> None:
    life = begun(of_run(100), limits=(ONE,), uses={"tokens": MOST})
    life.say(asking(B, limits=(ONE,), uses={"tokens": MOST}))
    turn = forked(life.history, life.plan)
    assert account_of(turn.state) == (0, 0)
    assert (dict(turn.state.claims), turn.state.head.claims, len(turn.state.journal)) == ({}, 0, 0)
    assert [event.kind for event in turn.events[-2:]] == ["run_forked", "step_dispatched"]
