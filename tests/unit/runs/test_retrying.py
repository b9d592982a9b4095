"""Retrying a run that failed: what runs again, what does not, and what is refused by name."""

import pytest
from msgspec.structs import replace
from tests.unit.runs.flows import Flow, child_end, plan_with
from tests.unit.runs.sagas import SagaFlow, saga_of
from tests.unit.runs.scripts import T0, failed, flow_of, heartbeat, plan_of, started, step_block, succeeded, text

from logkeel.definitions import (
    Block,
    ChildBlock,
    Handler,
    HumanBlock,
    LoopBlock,
    ParallelBlock,
    RescueBlock,
    RetryPolicy,
    SignalBlock,
    SleepBlock,
    WithinBlock,
)
from logkeel.records import Effect, Parent, RetryRun, StartRun
from logkeel.runs.core import retrying, waking
from logkeel.runs.core.actions import DispatchStep, Reject, ReopenRun, SetTimer
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.answers import answer
from logkeel.runs.core.redeciding import redecide
from logkeel.runs.core.replay import replay

HOUR_MS = 3_600_000
a, b, c, d = (step_block(name) for name in "abcd")


def run(*blocks: Block) -> Flow:
    """A run of these blocks, one after the other, that has begun."""
    return Flow(plan_with(flow_of(*blocks)))


def phases(flow: Flow) -> dict[str, str]:
    """Of all steps."""
    return {path: step.phase for path, step in flow.state.steps.items()}


def code(rejected: Reject | None) -> str | None:
    """Of a refusal."""
    return None if rejected is None else rejected.code


def test_only_what_failed_runs_again_and_the_run_ends_once_more() -> None:
    flow = run(a, b, c)
    flow.succeed("a")
    flow.fail("b")
    assert flow.status == "failed"
    flow.check()
    assert flow.retry() is None
    assert phases(flow) == {"a": "done", "b": "dispatched"}
    assert (flow.state.steps["b"].attempt, flow.state.steps["b"].dispatch) == (2, 2)
    flow.check()
    flow.succeed("b")
    flow.succeed("c")
    assert (flow.status, flow.completions, flow.state.head.retries) == ("succeeded", 2, 1)
    assert [event.path for event in flow.history if event.kind == "step_succeeded"] == ["a", "b", "c"]
    flow.check()


def test_a_retry_gives_a_new_budget_of_attempts_and_the_failures_of_before_are_kept() -> None:
    flow = run(a)
    for life in (1, 2, 3):
        flow.fail("a", "retryable")
        flow.fire_next()
        flow.check()
        flow.fail("a", "retryable")
        assert flow.status == "failed"
        assert flow.state.steps["a"].failures == 2 * life
        flow.check()
        flow.retry()
    assert flow.state.steps["a"].attempt == 7
    flow.check()


def test_what_the_end_has_cut_off_runs_again_too() -> None:
    question = HumanBlock(id="ok", question="?", writes="decision", timeout_ms=HOUR_MS)
    nap = SleepBlock(id="nap", duration_ms=9 * HOUR_MS)
    flow = run(ParallelBlock(id="all", branches=(a, b, question, c, nap)), d)
    flow.succeed("all/c")
    flow.fail("all/a")
    assert flow.revoked == ["all/b"]
    flow.check()
    asleep_until_ms = T0 + 9 * HOUR_MS
    flow.now_ms += 5 * HOUR_MS
    flow.retry()
    assert flow.open_steps == ["all/a", "all/b"]
    assert flow.waits == ["all/nap", "all/ok"]
    assert flow.state.waits["all/ok"].due_ms == flow.now_ms + HOUR_MS, "it is asked anew"
    assert flow.state.waits["all/nap"].due_ms == asleep_until_ms, "a sleep ends when it was to end"
    flow.check()
    for path in ("all/b", "all/a"):
        flow.succeed(path)
    flow.answer("all/ok", "approve")
    flow.fire_next()
    assert flow.open_steps == ["d"]
    assert all(flow.value(name) is not None for name in "abc")
    flow.check()


def test_what_a_rescue_or_a_race_has_cut_off_does_not_run_again() -> None:
    caught = RescueBlock(
        id="rescue", body=ParallelBlock(id="fork", branches=(a, b)), handlers=(Handler(on="*", block=c),)
    )
    flow = run(caught)
    flow.fail("rescue/fork/a")
    flow.fail("rescue/c")
    assert flow.status == "failed"
    flow.retry()
    assert flow.open_steps == ["rescue/c"]
    flow.check()
    race = run(ParallelBlock(id="race", wait="first", branches=(a, b)), c)
    race.succeed("race/a")
    race.fail("c")
    race.retry()
    assert race.open_steps == ["c"]
    race.check()


def test_a_question_nobody_answered_is_asked_again_and_the_answer_counts() -> None:
    flow = run(HumanBlock(id="ok", question="?", writes="decision", timeout_ms=HOUR_MS, on_timeout="fail"), b)
    flow.fire_next()
    assert flow.status == "failed"
    flow.check()
    old = flow.history[1].revision
    flow.retry()
    assert flow.waits == ["ok"]
    assert flow.state.waits["ok"].number > old, "another question, so that a late answer to the first one is told apart"
    flow.check()
    flow.answer("ok", "approve")
    flow.succeed("b")
    assert flow.status == "succeeded"
    flow.check()


def test_a_signal_that_did_not_come_is_waited_for_again() -> None:
    flow = run(SignalBlock(id="wait", name="paid", timeout_ms=HOUR_MS, on_timeout="fail"), b)
    flow.fire_next()
    assert flow.status == "failed"
    flow.retry()
    flow.signal("paid")
    assert flow.open_steps == ["b"]
    flow.check()


def test_a_limit_of_time_does_not_count_the_time_after_the_end() -> None:
    flow = run(WithinBlock(id="hour", timeout_ms=HOUR_MS, body=flow_of(a, b)))
    flow.succeed("hour/a")
    flow.now_ms += HOUR_MS // 2
    flow.fail("hour/b")
    flow.check()
    flow.now_ms += 5 * HOUR_MS
    flow.retry()
    assert flow.state.waits["hour"].due_ms == flow.now_ms + HOUR_MS // 2
    flow.check()
    flow.succeed("hour/b")
    assert flow.status == "succeeded"
    flow.check()


def test_a_run_that_took_too_long_gets_its_whole_time_again() -> None:
    plan = plan_of(flow_of(a, b))
    turn = started(plan, request=StartRun(workflow="work", inputs=(text("topic", "x"),), run_timeout_ms=1_000))
    turn.now_ms = T0 + 1_000
    waking.run_deadline_over(turn)
    assert turn.state.head.status == "timed_out"
    later = Activation(turn.state, plan, T0 + 5_000)
    retrying.retry(later, RetryRun(run_id="r"), "q")
    assert SetTimer("run_deadline", T0 + 6_000) in later.actions
    assert ReopenRun(T0 + 1_000) in later.actions
    assert later.state.deadline_ms == T0 + 6_000
    assert replay([*turn.events, *later.events], plan) == later.state


def test_a_run_that_was_paused_when_it_ended_goes_on() -> None:
    flow = run(ParallelBlock(id="all", branches=(flow_of(a, b), c)))
    flow.pause()
    flow.succeed("all/a")
    flow.fail("all/c")
    assert flow.status == "failed"
    flow.check()
    flow.retry()
    assert flow.open_steps == ["all/b", "all/c"]
    assert flow.state.head.paused_at_ms is None
    flow.check()


@pytest.mark.parametrize(
    ("effect", "kind", "phase"),
    [
        ("IDEMPOTENT", "fatal", "dispatched"),
        ("KEYED", "fatal", "dispatched"),
        ("CHECKED", "fatal", "waiting"),
        ("CHECKED", "not_done", "dispatched"),
        ("ONCE", "worker_lost", "in_doubt"),
        ("ONCE", "not_done", "dispatched"),
    ],
)
def test_an_effect_that_may_have_happened_is_not_repeated_blindly(effect: Effect, kind: str, phase: str) -> None:
    turn = started(plan_of(flow_of(a), effects={"a": effect}, retry=RetryPolicy(max_attempts=1)))
    answer(turn, heartbeat(turn.state, "a"))
    answer(turn, failed(turn.state, "a", kind))
    assert turn.state.head.status == "failed"
    retrying.retry(turn, RetryRun(run_id="r"), "q")
    step = turn.state.steps["a"]
    assert step.phase == phase
    assert step.check_first == (phase == "waiting")
    assert not turn.state.held


@pytest.mark.parametrize("is_late", [True, False])
def test_a_once_step_that_was_cut_off_is_decided_by_a_human(is_late: bool) -> None:
    """Also if its success was told after the end: the history does not have what it wrote."""
    flow = ParallelBlock(id="all", branches=(a, b))
    turn = started(plan_of(flow_of(flow), effects={"b": "ONCE"}))
    late = succeeded(turn.state, "all/b")
    answer(turn, failed(turn.state, "all/a", "fatal"))
    if is_late:
        answer(turn, late)
        assert turn.events[-1].kind == "answer_ignored"
    retrying.retry(turn, RetryRun(run_id="r"), "q")
    assert phase_of(turn, "all/b") == "in_doubt"
    assert DispatchStep("all/b") not in turn.actions[-3:]
    answer(turn, late)
    assert phase_of(turn, "all/b") == "done", "no newer command was sent, so the result counts"


def phase_of(turn: Activation, path: str) -> str:
    """Of a step."""
    return turn.state.steps[path].phase


def test_a_late_answer_to_the_failed_attempt_changes_nothing_after_a_retry() -> None:
    turn = started(plan_of(flow_of(a)))
    zombie = succeeded(turn.state, "a")
    answer(turn, failed(turn.state, "a", "fatal"))
    retrying.retry(turn, RetryRun(run_id="r"), "q")
    before = turn.state.steps["a"]
    answer(turn, zombie)
    assert turn.state.steps["a"] == before


def test_what_has_not_failed_says_so() -> None:
    ended = run(a)
    assert code(ended.retry()) == "run_not_ended"
    ended.succeed("a")
    assert code(ended.retry()) == "run_not_retryable"
    cancelled = run(a)
    cancelled.cancel()
    assert code(cancelled.retry()) == "run_not_retryable"
    failed_run = run(a)
    failed_run.fail("a")
    assert failed_run.retry() is None
    assert code(failed_run.retry()) == "run_not_ended", "it goes on already"
    failed_run.check()


def test_what_failed_at_no_step_says_so() -> None:
    exhausted = run(LoopBlock(id="loop", body=a, max_rounds=1, on_exhausted="fail"))
    exhausted.succeed("loop[1]/a")
    assert code(exhausted.retry()) == "nothing_to_retry"
    late = run(ParallelBlock(id="all", branches=(WithinBlock(id="hour", timeout_ms=HOUR_MS, body=a), b)))
    late.fire_next()
    assert late.status == "failed"
    assert code(late.retry()) == "nothing_to_retry"
    late.check()


KID = ChildBlock(id="kid", workflow="inner", version="1", returns="letter", writes="letter")


def test_a_child_that_the_run_failed_at_is_told_to_go_on() -> None:
    flow = run(KID, a)
    flow.end_child("kid", "failed")
    assert flow.status == "failed"
    flow.retry()
    flow.check()
    first, again = flow.started
    assert (again.run_id, again.parent is not None and again.parent.again) == (first.run_id, True)
    assert again.request_id != first.request_id, "it is no copy of the start"
    flow.hear(flow.former[0])
    assert flow.waits == ["kid"], "P29: word of its first end comes again, and is not for this wait"
    flow.end_child("kid")
    assert flow.open_steps == ["a"]
    flow.check()


def test_a_child_that_could_not_be_started_is_started() -> None:
    flow = run(KID)
    refused = replace(child_end(flow.state.waits["kid"], "kid", "failed"), child_incarnation=None)
    flow.hear(refused)
    assert flow.status == "failed"
    flow.retry()
    first, again = flow.started
    assert again.parent is not None
    assert not again.parent.again
    assert again.request_id != first.request_id, "the first one was refused, and its copies are"
    assert redecide(flow.history, flow.plan).divergence is None
    flow.check()


def test_children_that_the_end_has_cancelled_are_told_to_go_on_and_cancelled_again() -> None:
    flow = run(ParallelBlock(id="all", branches=(KID, a)), b)
    (kid,) = [request.run_id for request in flow.started]
    for life in (1, 2):
        flow.fail("all/a")
        assert flow.given_up == [kid] * life
        flow.retry()
        flow.check()
        assert flow.waits == ["all/kid"]
    assert flow.state.head.descendants == flow.state.waits["all/kid"].reserved, "its share is reserved once"
    ids = [request.request_id for request in flow.started]
    assert len(set(ids)) == len(ids) == 3
    flow.end_child("all/kid")
    flow.succeed("all/a")
    flow.succeed("b")
    assert flow.status == "succeeded"
    flow.check()


def test_what_answers_to_nobody_any_more_is_not_waited_for_again() -> None:
    kept = replace(KID, on_cancel="abandon")
    flow = run(ParallelBlock(id="all", branches=(kept, a)))
    flow.fail("all/a")
    assert code(flow.retry()) == "child_has_ended"
    flow.check()


def test_a_paused_run_that_ends_again_before_its_child_was_told_tells_it_later() -> None:
    flow = run(ParallelBlock(id="all", branches=(KID, a)))
    flow.end_child("all/kid", "failed")
    flow.retry()
    flow.fail("all/a")
    flow.retry()
    assert [request.parent is not None and request.parent.again for request in flow.started] == [False, True, True]
    flow.check()


@pytest.mark.parametrize("detached", [True, False])
def test_a_child_is_retried_unless_its_parent_was_told_of_its_end(detached: bool) -> None:
    parent = Parent(
        run_id="p", incarnation="1-1-1", path="kid", number=2, depth=1, max_depth=8, max_descendants=9,
        detached=detached,
    )  # fmt: skip
    request = StartRun(workflow="work", inputs=(text("topic", "x"),), parent=parent)
    turn = started(plan_of(flow_of(a)), request=request)
    answer(turn, failed(turn.state, "a", "fatal"))
    retrying.retry(turn, RetryRun(run_id="r"), "q")
    refused = [action.code for action in turn.actions if isinstance(action, Reject)]
    assert refused == ([] if detached else ["retry_of_a_child"])


def test_what_was_undone_is_not_taken_up_again() -> None:
    flow = SagaFlow(flow_of(saga_of(flow_of(a, b))))
    flow.succeed("saga/a")
    flow.fail("saga/b")
    flow.undo_all()
    assert flow.status == "failed"
    assert code(flow.retry()) == "run_was_undone"
    flow.check()


def test_a_saga_with_nothing_to_undo_goes_on_and_is_undone_when_it_fails_later() -> None:
    flow = SagaFlow(flow_of(saga_of(flow_of(a, b))))
    for _ in range(2):
        flow.fail("saga/a", "not_done")
        if flow.timers:
            flow.fire_next()
    assert flow.status == "failed"
    flow.check()
    assert flow.retry() is None
    flow.check()
    flow.succeed("saga/a")
    flow.fail("saga/b")
    assert flow.undo_all() == ["saga/b/undo", "saga/a/undo"]
    assert flow.status == "failed"
    flow.check()
