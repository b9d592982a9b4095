"""Budgets of single runs (0031): reserved before a step is sent, settled once by whatever ends its execution."""

import pytest
from tests.unit.budgets.budgeted import account, broke, budgeted, done, hear, journaled, of_run
from tests.unit.runs.scripts import T0, failed, flow_of, reclaimed, released, started, step_block

from logkeel.definitions import Handler, ParallelBlock, RescueBlock, RetryPolicy
from logkeel.records import CancelRun, PauseRun, ResumeRun, StepNeedsState, StepRefused, StepSuspended
from logkeel.runs.core import pausing, requests, waking
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.answers import answer
from logkeel.runs.core.budgeting import go_on
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.replay import replay

a, b, c = step_block("a"), step_block("b"), step_block("c")
USES = {"a": {"tokens": 40}, "b": {"tokens": 40}, "c": {"tokens": 40}}


def one(limit: int = 100, *, max_attempts: int = 3) -> Plan:
    """A run of three steps, each of which uses 40 at most."""
    retry = RetryPolicy(max_attempts=max_attempts, initial_ms=500)
    return budgeted(flow_of(a, b, c), [of_run(limit)], USES, retry=retry)


def test_what_a_step_may_use_is_reserved_and_what_it_says_it_used_counts() -> None:
    turn = started(one())
    assert account(turn.state) == (0, 40)
    assert turn.events[-1].amounts == {"tokens": 40}
    turn = hear(turn, done(turn.state, "a", tokens=31))
    assert [event.amounts for event in turn.events] == [{"tokens": 31}, {"tokens": 40}]
    assert account(turn.state) == (31, 40)


def test_a_step_that_says_nothing_counts_with_all_that_was_reserved() -> None:
    turn = started(one())
    turn = hear(turn, done(turn.state, "a"))
    assert account(turn.state) == (40, 40)


def test_the_step_that_finds_too_little_left_is_not_sent_and_the_run_fails() -> None:
    turn = started(one())
    turn = hear(turn, done(turn.state, "a", tokens=40))
    turn = hear(turn, done(turn.state, "b", tokens=40))
    assert turn.state.head.status == "failed"
    assert turn.state.head.error is not None
    assert turn.state.head.error.code == "budget_exhausted"
    assert "c may use 40 tokens, and of the 100 of this run 20 are left" in turn.state.head.error.message
    assert account(turn.state) == (80, 0)
    assert "c" not in turn.state.steps


def test_a_step_that_used_more_than_it_said_counts_in_full() -> None:
    turn = started(one())
    turn = hear(turn, done(turn.state, "a", tokens=90))
    assert account(turn.state) == (90, 0)
    assert turn.state.head.status == "failed"


def test_rescue_catches_it() -> None:
    guarded = RescueBlock(id="rescue", body=b, handlers=(Handler(on="budget_exhausted", block=step_block("d")),))
    turn = started(budgeted(flow_of(a, guarded), [of_run(60)], USES))
    turn = hear(turn, done(turn.state, "a", tokens=40))
    assert turn.state.running
    assert [event.kind for event in turn.events] == ["step_succeeded", "block_rescued", "step_dispatched"]


def test_a_failed_attempt_costs_too_and_the_next_one_reserves_anew() -> None:
    turn = started(one())
    turn = hear(turn, broke(turn.state, "a", tokens=10))
    assert account(turn.state) == (10, 0)
    turn = Activation(turn.state, turn.plan, turn.now_ms + 60_000)
    waking.step_due(turn, "a", turn.state.steps["a"].dispatch)
    assert account(turn.state) == (10, 40)
    turn = hear(turn, broke(turn.state, "a"))
    assert account(turn.state) == (50, 0)


def test_a_retry_that_finds_too_little_left_ends_the_run() -> None:
    turn = started(one(60))
    turn = hear(turn, broke(turn.state, "a"))
    turn = Activation(turn.state, turn.plan, turn.now_ms + 60_000)
    waking.step_due(turn, "a", turn.state.steps["a"].dispatch)
    assert turn.state.head.error is not None
    assert turn.state.head.error.code == "budget_exhausted"
    assert account(turn.state) == (40, 0)
    assert turn.state.head.open_steps == 0


def test_the_same_answer_twice_settles_once() -> None:
    turn = started(one())
    message = done(turn.state, "a", tokens=31)
    turn = hear(turn, message)
    before = account(turn.state)
    turn = hear(turn, message)
    assert (turn.events, account(turn.state)) == ([], before)


@pytest.mark.parametrize("how", ["dead", "given back started", "lease over"])
def test_an_execution_that_was_lost_counts_in_full_and_the_next_one_reserves_anew(how: str) -> None:
    turn = started(one())
    late = done(turn.state, "a", tokens=1)
    turn = Activation(turn.state, turn.plan, turn.now_ms + 1_000)
    if how == "dead":
        answer(turn, reclaimed(turn.state, "a", holder_dead=True))
    elif how == "lease over":
        waking.lease_over(turn, "a")
    else:
        answer(turn, released(turn.state, "a", was_started=True))
    assert account(turn.state) == (40, 40)
    turn = hear(turn, late)
    assert account(turn.state) == (40, 40), "a zombie's word changes nothing"
    turn = hear(turn, done(turn.state, "a", tokens=5))
    assert account(turn.state) == (45, 40)


def test_what_was_surely_not_started_costs_nothing() -> None:
    turn = started(one())
    answer(turn, released(turn.state, "a", was_started=False))
    assert account(turn.state) == (0, 40), "it is sent anew at once, with what it has"
    turn = Activation(turn.state, turn.plan, turn.now_ms)
    answer(turn, StepNeedsState(identity=done(turn.state, "a").identity, holder="w", fields=("topic",)))
    assert account(turn.state) == (0, 40)
    turn = Activation(turn.state, turn.plan, turn.now_ms)
    refused = StepRefused(identity=done(turn.state, "a").identity, holder="w", reason="unknown")
    answer(turn, refused)
    assert account(turn.state) == (0, 0)


def test_a_step_that_is_cancelled_counts_in_full() -> None:
    turn = started(one())
    turn = Activation(turn.state, turn.plan, turn.now_ms)
    requests.cancel(turn, CancelRun(run_id="r"), "q")
    assert account(turn.state) == (40, 0)


def test_a_step_waits_for_what_others_have_reserved_and_may_not_use() -> None:
    plan = budgeted(flow_of(ParallelBlock(id="fork", branches=(a, b, c))), [of_run(100)], USES)
    turn = started(plan)
    assert [event.kind for event in turn.events][-1] == "step_held"
    assert turn.events[-1].attributes["limit"] == "tokens"
    assert account(turn.state) == (0, 80)
    turn = hear(turn, done(turn.state, "fork/a", tokens=20))
    assert [event.kind for event in turn.events] == ["step_succeeded", "step_dispatched"]
    assert account(turn.state) == (20, 80)
    turn = hear(turn, done(turn.state, "fork/b", tokens=40))
    turn = hear(turn, done(turn.state, "fork/c", tokens=40))
    assert turn.state.head.status == "succeeded"
    assert account(turn.state) == (100, 0)


def test_who_waits_in_vain_fails_once_that_is_sure() -> None:
    plan = budgeted(flow_of(ParallelBlock(id="fork", branches=(a, b, c))), [of_run(100)], USES)
    turn = started(plan)
    turn = hear(turn, done(turn.state, "fork/a", tokens=40))
    assert turn.state.running
    turn = hear(turn, done(turn.state, "fork/b", tokens=40))
    assert turn.state.head.error is not None
    assert turn.state.head.error.code == "budget_exhausted"


def test_a_paused_run_reserves_nothing_and_goes_on_with_what_waits() -> None:
    plan = budgeted(flow_of(ParallelBlock(id="fork", branches=(a, b, c))), [of_run(100)], USES)
    turn = started(plan)
    pausing.pause(turn, PauseRun(run_id="r"), "q1")
    turn = hear(turn, done(turn.state, "fork/a", tokens=20))
    assert account(turn.state) == (20, 40)
    turn = Activation(turn.state, turn.plan, turn.now_ms)
    pausing.resume(turn, ResumeRun(run_id="r"), "q2")
    go_on(turn)
    assert account(turn.state) == (20, 80)


def test_time_is_what_executions_take_and_the_timeout_is_reserved() -> None:
    turn = started(budgeted(flow_of(a, b), [of_run(90_000, "wall_ms")], {}))
    assert account(turn.state, "wall_ms") == (0, 60_000)
    turn = hear(turn, done(turn.state, "a"))
    assert account(turn.state, "wall_ms") == (1_000, 60_000), "from its start, which it tells, to the result"
    turn = Activation(turn.state, turn.plan, T0 + 500_000)
    answer(turn, failed(turn.state, "b", "fatal"))
    assert account(turn.state, "wall_ms") == (61_000, 0), "a clock that is wrong takes no more than was reserved"


def test_code_with_a_journal_keeps_what_it_reserved_and_tells_it_once() -> None:
    turn = started(journaled(one(90), "a"))
    turn = Activation(turn.state, turn.plan, turn.now_ms)
    identity = done(turn.state, "a").identity
    answer(turn, StepSuspended(identity=identity, holder="w", waits=()))
    assert account(turn.state) == (0, 40), "suspended, and sent on at once: the same step"
    answer(turn, reclaimed(turn.state, "a", holder_dead=True))
    assert account(turn.state) == (0, 40), "what its journal has is told again by the next execution"
    turn = hear(turn, broke(turn.state, "a", tokens=30))
    turn = Activation(turn.state, turn.plan, turn.now_ms + 60_000)
    waking.step_due(turn, "a", turn.state.steps["a"].dispatch)
    assert account(turn.state) == (30, 40)
    turn = hear(turn, done(turn.state, "a", tokens=35))
    assert account(turn.state) == (35, 40), "30 of the 35 were counted with the failure"


def test_code_that_begins_anew_settles_what_was_before() -> None:
    turn = started(journaled(one(), "a"))
    turn = Activation(turn.state, turn.plan, turn.now_ms)
    restart = StepSuspended(
        identity=done(turn.state, "a").identity, holder="w", waits=(), restarts=True, used={"tokens": 25}
    )
    answer(turn, restart)
    assert account(turn.state) == (25, 40)


def test_what_is_reported_without_a_budget_is_measured() -> None:
    turn = started(budgeted(flow_of(a), [], {}))
    turn = hear(turn, done(turn.state, "a", tokens=12))
    assert account(turn.state) == (12, 0)


def test_the_history_is_the_account() -> None:
    turn = started(one())
    events = list(turn.events)
    for message in (broke(turn.state, "a", tokens=7),):
        turn = hear(turn, message)
        events += turn.events
    assert replay(events, turn.plan).head.accounts == turn.state.head.accounts
