"""The run core, input by input: exact events and actions."""

from typing import get_args

import pytest
from tests.unit.runs.scripts import (
    T0,
    failed,
    flow_of,
    heartbeat,
    identity,
    plan_of,
    reclaimed,
    released,
    started,
    step_block,
    succeeded,
    text,
)

from logkeel.definitions import ParallelBlock, RetryPolicy
from logkeel.errors import InvariantViolation
from logkeel.records import (
    CancelRun,
    Effect,
    JournalEntry,
    ResolveStep,
    SignalRun,
    StartRun,
    StepAnswer,
    StepHeartbeat,
    StepJournaled,
    StepRefused,
)
from logkeel.runs.core import requests, waking
from logkeel.runs.core.actions import DispatchStep, EndLease, HoldLease, Ignored, Reject, RevokeStep, SetTimer
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.answers import answer
from logkeel.runs.core.apply import apply
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.replay import replay
from logkeel.runs.core.state import RunState

ONE = flow_of(step_block("a"), step_block("b"))
FORK = flow_of(
    ParallelBlock(id="fork", branches=(step_block("a"), flow_of(step_block("b"), step_block("c"), block_id="s"))),
    step_block("d"),
)


def kinds(turn: Activation) -> list[str]:
    return [event.kind for event in turn.events]


def next_turn(turn: Activation, message: StepAnswer | None = None, *, after_ms: int = 1_000) -> Activation:
    """The next activation of the same run."""
    following = Activation(turn.state, turn.plan, turn.now_ms + after_ms)
    if message is not None:
        answer(following, message)
    return following


def one_step(effect: Effect, **options: int | None) -> tuple[Activation, RunState]:
    turn = started(plan_of(flow_of(step_block("a")), effects={"a": effect}, limits=options))
    return turn, turn.state


def test_a_sequence_runs_to_its_end() -> None:
    turn = started(plan_of(ONE))
    assert kinds(turn) == ["run_started", "step_dispatched"]
    assert turn.actions == [DispatchStep("a")]
    turn = next_turn(turn, succeeded(turn.state, "a"))
    assert kinds(turn) == ["step_succeeded", "step_dispatched"]
    turn = next_turn(turn, succeeded(turn.state, "b"))
    assert kinds(turn) == ["step_succeeded", "run_completed"]
    assert turn.state.head.status == "succeeded"
    assert turn.state.head.steps_completed == 2
    assert turn.state.head.open_steps == 0


def test_branches_join_in_whatever_order_they_end() -> None:
    turn = started(plan_of(FORK))
    assert kinds(turn) == ["run_started", "block_entered", "step_dispatched", "step_dispatched"]
    turn = next_turn(turn, succeeded(turn.state, "fork/b"))
    turn = next_turn(turn, succeeded(turn.state, "fork/c"))
    assert kinds(turn) == ["step_succeeded"]
    assert ("", "b") not in turn.state.fields
    turn = next_turn(turn, succeeded(turn.state, "fork/a"))
    assert kinds(turn) == ["step_succeeded", "block_left", "step_dispatched"]
    assert {field for scope, field in turn.state.fields if scope == ""} == {"topic", "a", "b", "c"}
    assert not turn.state.forks


def test_a_late_or_duplicate_answer_changes_nothing() -> None:
    turn = started(plan_of(ONE))
    once = succeeded(turn.state, "a")
    turn = next_turn(turn, once)
    again = next_turn(turn, once)
    assert again.events == []
    assert again.actions == [Ignored("duplicate")]


def test_another_word_on_a_superseded_execution_is_an_orphan() -> None:
    turn = started(plan_of(ONE))
    turn = next_turn(turn, failed(turn.state, "a"))
    waking.step_due(turn := next_turn(turn, after_ms=60_000), "a", 1)
    turn = next_turn(turn, succeeded(turn.state, "a", dispatch=1))
    assert kinds(turn) == ["answer_ignored"]
    assert turn.state.steps["a"].phase == "dispatched"


def test_failures_are_retried_then_fail_the_run() -> None:
    turn = started(plan_of(ONE, retry=RetryPolicy(max_attempts=2, initial_ms=1_000)))
    turn = next_turn(turn, failed(turn.state, "a"))
    assert kinds(turn) == ["step_failed", "step_retry_scheduled"]
    (timer,) = (action for action in turn.actions if isinstance(action, SetTimer))
    assert 0 <= timer.due_ms - turn.now_ms <= 1_000
    waking.step_due(turn := next_turn(turn), "a", 1)
    assert kinds(turn) == ["step_dispatched"]
    assert turn.state.steps["a"].attempt == 2
    turn = next_turn(turn, failed(turn.state, "a"))
    assert kinds(turn) == ["step_failed", "run_completed"]
    assert turn.state.head.status == "failed"


def test_a_fatal_error_is_never_retried() -> None:
    turn = started(plan_of(ONE))
    turn = next_turn(turn, failed(turn.state, "a", "fatal"))
    assert kinds(turn) == ["step_failed", "run_completed"]


@pytest.mark.parametrize("effect", ["NONE", "IDEMPOTENT", "KEYED", "CHECKED"])
def test_a_policy_for_what_is_not_done_repeats_nothing_else(effect: Effect) -> None:
    plan = plan_of(ONE, effects={"a": effect}, retry=RetryPolicy(on="not_done"))
    turn = started(plan)
    turn = next_turn(turn, failed(turn.state, "a", "not_done"))
    assert kinds(turn) == ["step_failed", "step_retry_scheduled"]
    waking.step_due(turn := next_turn(turn), "a", 1)
    turn = next_turn(turn, failed(turn.state, "a", "timeout"))
    assert kinds(turn) == ["step_failed", "run_completed"]
    turn = started(plan_of(ONE, effects={"a": effect}))
    assert kinds(next_turn(turn, failed(turn.state, "a"))) == ["step_failed", "step_retry_scheduled"]


def test_a_once_step_cut_off_before_its_call_is_repeated() -> None:
    turn = started(plan_of(ONE, effects={"a": "ONCE"}, retry=RetryPolicy(on="not_done")))
    turn = next_turn(turn, failed(turn.state, "a", "timeout"))
    assert kinds(turn) == ["step_failed", "step_retry_scheduled"]


def test_retries_stop_when_giving_up_is_due() -> None:
    turn = started(plan_of(ONE, retry=RetryPolicy(max_attempts=9, initial_ms=1, give_up_after_ms=5_000)))
    turn = next_turn(turn, failed(turn.state, "a"), after_ms=6_000)
    assert kinds(turn) == ["step_failed", "run_completed"]


def test_a_failing_branch_revokes_its_siblings() -> None:
    turn = started(plan_of(FORK, effects={"b": "KEYED"}))
    turn = next_turn(turn, failed(turn.state, "fork/a", "fatal"))
    assert kinds(turn) == ["step_failed", "step_revoked", "run_completed"]
    assert [action for action in turn.actions if isinstance(action, RevokeStep)]
    assert turn.state.steps["fork/b"].effect_unknown
    turn = next_turn(turn, succeeded(turn.state, "fork/b"))
    assert kinds(turn) == ["answer_ignored"]
    assert not turn.state.steps["fork/b"].effect_unknown
    assert next_turn(turn, succeeded(turn.state, "fork/b")).events == []


@pytest.mark.parametrize("effect", ["NONE", "IDEMPOTENT", "KEYED"])
def test_a_dead_holder_of_a_repeatable_step_is_replaced_at_once(effect: Effect) -> None:
    turn, state = one_step(effect)
    turn = next_turn(turn, reclaimed(state, "a", holder_dead=True))
    assert kinds(turn) == ["step_reclaimed", "step_dispatched"]
    assert (state.steps["a"].attempt, state.steps["a"].dispatch, state.steps["a"].failures) == (2, 2, 0)


def test_a_checked_step_waits_for_its_deadline_and_its_settle_time() -> None:
    turn, state = one_step("CHECKED", settle_ms=5_000)
    turn = next_turn(turn, reclaimed(state, "a", holder_dead=True))
    assert kinds(turn) == ["step_reclaimed", "step_in_doubt"]
    (timer,) = (action for action in turn.actions if isinstance(action, SetTimer))
    assert timer.due_ms == turn.now_ms + 65_000
    waking.step_due(turn := next_turn(turn, after_ms=65_000), "a", 1)
    assert state.steps["a"].check_first
    assert turn.actions[-1] == DispatchStep("a")


@pytest.mark.parametrize("clock_off_ms", [-3_600_000, 0, 3_600_000])
def test_a_check_waits_by_the_engines_clock_whatever_the_workers_says(clock_off_ms: int) -> None:
    turn, state = one_step("CHECKED", settle_ms=5_000)
    beat = StepHeartbeat(identity=identity(state, "a"), holder="w", started_at_ms=turn.now_ms + clock_off_ms)
    turn = next_turn(turn, beat)
    heard_ms = turn.now_ms
    turn = next_turn(turn, beat, after_ms=20_000)
    turn = next_turn(turn, reclaimed(state, "a", holder_dead=True))
    (timer,) = (action for action in turn.actions if isinstance(action, SetTimer))
    assert timer.due_ms == heard_ms + 65_000


def test_a_once_step_in_doubt_waits_for_a_human() -> None:
    turn, state = one_step("ONCE")
    turn = next_turn(turn, reclaimed(state, "a", holder_dead=True))
    assert state.steps["a"].phase == "in_doubt"
    assert not [action for action in turn.actions if isinstance(action, DispatchStep | SetTimer)]
    did = ResolveStep(run_id="r", path="a", decision="did", decided_by="ann")
    requests.resolve(turn := next_turn(turn), did, "q2", (text("a", "paid"),))
    assert kinds(turn) == ["step_resolved", "step_succeeded", "run_completed"]
    requests.resolve(turn := next_turn(turn), did, "q3", ())
    assert isinstance(turn.actions[-1], Reject)


@pytest.mark.parametrize("decision", ["did_not", "retry"])
def test_a_human_may_have_it_run_again(decision: str) -> None:
    turn, state = one_step("ONCE")
    turn = next_turn(turn, failed(state, "a", "timeout", in_doubt=True))
    assert kinds(turn) == ["step_in_doubt"]
    request = ResolveStep(run_id="r", path="a", decision=decision)
    requests.resolve(turn := next_turn(turn), request, "q2", ())
    assert kinds(turn) == ["step_resolved", "step_dispatched"]
    assert state.steps["a"].attempt == 2


def test_the_holder_may_still_answer_while_a_human_is_asked() -> None:
    turn, state = one_step("ONCE")
    turn = next_turn(turn, reclaimed(state, "a", holder_dead=True))
    turn = next_turn(turn, succeeded(state, "a"))
    assert kinds(turn) == ["step_succeeded", "run_completed"]


def test_an_expired_key_counts_as_once() -> None:
    turn, state = one_step("KEYED", key_valid_for_ms=1_000)
    turn = next_turn(turn, reclaimed(state, "a", holder_dead=True), after_ms=1_000)
    assert state.steps["a"].phase == "in_doubt"


def test_the_failure_that_had_a_human_asked_decides_nothing_when_it_is_said_again() -> None:
    """As a worker's successor may, which cannot know what of it is on the log."""
    turn, state = one_step("KEYED", key_valid_for_ms=1_000)
    said = failed(state, "a")
    turn = next_turn(turn, said, after_ms=2_000)
    assert kinds(turn) == ["step_failed", "step_in_doubt"]
    turn = next_turn(turn, said)
    assert kinds(turn) == []
    assert turn.actions == [Ignored("the step is in_doubt")]
    assert state.steps["a"].failures == 1
    assert kinds(next_turn(turn, succeeded(state, "a"))) == ["step_succeeded", "run_completed"]


def test_a_failure_nobody_knew_of_still_answers_what_a_human_is_asked() -> None:
    turn, state = one_step("KEYED", key_valid_for_ms=1_000)
    turn = next_turn(turn, reclaimed(state, "a", holder_dead=True), after_ms=1_000)
    assert state.steps["a"].phase == "in_doubt"
    assert kinds(next_turn(turn, failed(state, "a", "fatal")))[0] == "step_failed"


@pytest.mark.parametrize("effect", get_args(Effect))
@pytest.mark.parametrize("kind", ["retryable", "fatal", "not_done", "timeout"])
@pytest.mark.parametrize("in_doubt", [False, True])
@pytest.mark.parametrize("after_ms", [10, 2_000])
def test_a_failure_said_twice_is_as_said_once(effect: Effect, kind: str, after_ms: int, *, in_doubt: bool) -> None:
    turn, state = one_step(effect, key_valid_for_ms=1_000 if effect == "KEYED" else None)
    said = failed(state, "a", kind, in_doubt=in_doubt)
    turn = next_turn(turn, said, after_ms=after_ms)
    step = state.steps["a"]
    again = next_turn(turn, said)
    assert {event.kind for event in again.events} <= {"answer_ignored"}
    assert state.steps["a"] == step


def test_a_question_waits_while_the_holder_may_live() -> None:
    turn, state = one_step("IDEMPOTENT", heartbeat_timeout_ms=10_000)
    turn = next_turn(turn, reclaimed(state, "a"))
    assert kinds(turn) == ["step_reclaimed"]
    assert turn.actions[-1] == HoldLease("a", turn.now_ms + 10_000)
    assert next_turn(turn, reclaimed(state, "a")).events == []
    turn = next_turn(turn, heartbeat(state, "a"))
    assert kinds(turn) == ["step_started"]
    turn = next_turn(turn, succeeded(state, "a"))
    assert EndLease("a") in turn.actions
    assert state.head.status == "succeeded"


def test_a_silent_holder_is_lost() -> None:
    turn, state = one_step("IDEMPOTENT")
    turn = next_turn(turn, heartbeat(state, "a"))
    assert kinds(turn) == ["step_started"]
    assert kinds(next_turn(turn, heartbeat(state, "a"))) == []
    waking.lease_over(turn := next_turn(turn, after_ms=10_000), "a")
    assert kinds(turn) == ["step_reclaimed", "step_dispatched"]


def test_a_step_that_kills_its_workers_does_not_loop_for_ever() -> None:
    turn, state = one_step("IDEMPOTENT")
    for _ in range(4):
        turn = next_turn(turn, reclaimed(state, "a", holder_dead=True))
        assert state.running
    turn = next_turn(turn, reclaimed(state, "a", holder_dead=True))
    assert state.head.error is not None
    assert state.head.error.code == "worker_lost"


def give_back(turn: Activation, times: int) -> Activation:
    for _ in range(times):
        turn = next_turn(turn, released(turn.state, "a", was_started=False))
    return turn


def test_a_step_that_kills_its_workers_in_its_start_does_not_loop_for_ever() -> None:
    turn, state = one_step("KEYED")
    assert give_back(turn, 24).state.running
    turn = give_back(turn, 1)
    assert state.head.error is not None
    assert state.head.error.code == "worker_lost"


def test_what_was_claimed_is_given_back_as_often_as_it_takes() -> None:
    turn, state = one_step("ONCE")
    assert give_back(turn, 40).state.running
    assert state.steps["a"].phase == "dispatched"


def test_a_step_that_shows_progress_was_not_what_killed_its_workers() -> None:
    turn, state = one_step("IDEMPOTENT")
    turn = next_turn(give_back(turn, 23), heartbeat(state, "a", b"page 1"))
    assert give_back(turn, 24).state.running


def lose(turn: Activation, times: int) -> Activation:
    for _ in range(times):
        turn = next_turn(turn, reclaimed(turn.state, "a", holder_dead=True))
    return turn


def test_losses_with_progress_between_them_do_not_add_up() -> None:
    turn, state = one_step("IDEMPOTENT")
    turn = next_turn(lose(turn, 4), heartbeat(state, "a", b"page 1"))
    assert kinds(turn) == ["step_started"]
    assert kinds(next_turn(turn, heartbeat(state, "a", b"page 2"))) == []
    turn = next_turn(lose(turn, 4), heartbeat(state, "a", b"page 2"))
    assert state.steps["a"].reclaims == 0
    turn = next_turn(lose(turn, 4), failed(state, "a"))
    waking.step_due(turn := next_turn(turn, after_ms=60_000), "a", state.steps["a"].dispatch)
    assert lose(turn, 4).state.running


def test_the_same_details_once_more_are_no_progress() -> None:
    turn, state = one_step("IDEMPOTENT")
    for _ in range(3):
        turn = next_turn(lose(turn, 2), heartbeat(state, "a", b"page 1"))
    assert state.running
    turn = lose(turn, 1)
    assert state.head.error is not None
    assert state.head.error.code == "worker_lost"


def test_a_question_does_not_prolong_the_lease_of_a_holder_that_was_heard_of() -> None:
    turn, state = one_step("IDEMPOTENT")
    turn = next_turn(turn, heartbeat(state, "a"))
    turn = next_turn(turn, reclaimed(state, "a"), after_ms=9_000)
    assert kinds(turn) == ["step_reclaimed"]
    assert not [action for action in turn.actions if isinstance(action, HoldLease | EndLease)]
    waking.lease_over(turn := next_turn(turn), "a")
    assert kinds(turn) == ["step_reclaimed", "step_dispatched"]
    assert EndLease("a") in turn.actions


def test_a_released_step_that_was_not_started_uses_no_attempt() -> None:
    turn, state = one_step("ONCE")
    turn = next_turn(turn, released(state, "a", was_started=False))
    assert (state.steps["a"].attempt, state.steps["a"].dispatch) == (1, 2)
    turn = next_turn(turn, released(state, "a", was_started=True))
    assert state.steps["a"].phase == "in_doubt"


def test_a_refused_step_is_offered_again() -> None:
    turn, state = one_step("ONCE")
    turn = next_turn(turn, StepRefused(identity=identity(state, "a"), holder="w", reason="no such version"))
    assert kinds(turn) == ["step_refused"]
    assert state.steps["a"].phase == "waiting"
    waking.step_due(turn := next_turn(turn), "a", 1)
    assert (state.steps["a"].attempt, state.steps["a"].dispatch) == (1, 2)


def test_cancel_revokes_what_is_open() -> None:
    turn = started(plan_of(FORK))
    requests.cancel(turn := next_turn(turn), CancelRun(run_id="r", reason="not needed"), "q2")
    assert kinds(turn) == ["cancel_requested", "step_revoked", "step_revoked", "run_completed"]
    assert turn.state.head.status == "cancelled"
    requests.cancel(turn := next_turn(turn), CancelRun(run_id="r"), "q3")
    assert isinstance(turn.actions[-1], Reject)


def test_a_run_has_a_deadline() -> None:
    plan = plan_of(ONE)
    request = StartRun(workflow="work", inputs=(text("topic", "x"),), run_timeout_ms=5_000)
    turn = started(plan, request=request)
    assert SetTimer("run_deadline", T0 + 5_000) in turn.actions
    waking.run_deadline_over(turn := next_turn(turn, after_ms=5_000))
    assert turn.state.head.status == "timed_out"


def test_an_unstarted_step_has_its_limit() -> None:
    turn, state = one_step("NONE", schedule_to_start_ms=500)
    assert SetTimer("start_deadline", T0 + 3_500, "a", 1) in turn.actions
    waking.start_deadline_over(turn := next_turn(turn), "a", 1)
    assert state.head.error is not None
    assert state.head.error.code == "not_started_in_time"
    assert [action for action in turn.actions if isinstance(action, RevokeStep)] == [
        RevokeStep("a", 1, "step a failed")
    ]


def test_signals_are_stored_and_in_the_history() -> None:
    turn = started(plan_of(ONE))
    requests.signal(turn := next_turn(turn), SignalRun(run_id="r", name="go"), "q2")
    assert kinds(turn) == ["signal_received"]
    assert [signal.name for signal in turn.state.signals.values()] == ["go"]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ((), "topic: is required"),
        ((text("topic", "x"), text("nothing", "x")), "nothing: is no field"),
        ((text("topic", "x"), text("topic", "y")), "given twice"),
    ],
)
def test_an_input_that_does_not_fit_ends_the_run(inputs: tuple[object, ...], said: str) -> None:
    turn = started(plan_of(ONE), request=StartRun(workflow="work", inputs=inputs))  # type: ignore[arg-type]
    assert kinds(turn) == ["run_started", "run_completed"]
    assert turn.state.head.status == "invalid_input"
    assert turn.state.head.error is not None
    assert said in turn.state.head.error.message


@pytest.mark.parametrize("effect", ["NONE", "IDEMPOTENT", "KEYED"])
def test_a_command_that_waits_too_long_is_sent_anew_if_it_may_run_twice(effect: Effect) -> None:
    turn, state = one_step(effect)
    waking.command_aged(turn := next_turn(turn), "a", forgotten=False)
    assert turn.actions == [RevokeStep("a", 1, "waits for too long"), DispatchStep("a")]
    assert (state.steps["a"].attempt, state.steps["a"].dispatch) == (1, 2)


@pytest.mark.parametrize("effect", ["CHECKED", "ONCE", "KEYED"])
def test_what_may_not_run_twice_is_left_to_the_log_until_the_log_has_forgotten_it(effect: Effect) -> None:
    turn, state = one_step(effect, key_valid_for_ms=1_000 if effect == "KEYED" else None)
    waking.command_aged(turn := next_turn(turn), "a", forgotten=False)
    assert turn.events == []
    assert isinstance(turn.actions[-1], Ignored)
    waking.command_aged(turn := next_turn(turn), "a", forgotten=True)
    assert kinds(turn) == ["step_released", "step_in_doubt"]
    assert turn.actions[0] == RevokeStep("a", 1, "waits for too long")
    assert not [action for action in turn.actions if isinstance(action, DispatchStep)]
    assert state.steps["a"].phase == ("waiting" if effect == "CHECKED" else "in_doubt")
    if effect == "CHECKED":
        waking.step_due(turn := next_turn(turn, after_ms=65_000), "a", 1)
        assert state.steps["a"].check_first


def test_time_never_goes_back() -> None:
    turn = started(plan_of(ONE))
    earlier = Activation(turn.state, turn.plan, T0 - 60_000)
    answer(earlier, succeeded(turn.state, "a"))
    assert [event.at_ms for event in earlier.events] == [T0, T0]


def test_a_gap_in_the_history_is_noticed() -> None:
    turn = started(plan_of(ONE))
    with pytest.raises(InvariantViolation, match="does not begin"):
        replay([turn.events[1]], turn.plan)
    with pytest.raises(InvariantViolation, match="revision 1 follows 1"):
        replay([turn.events[0], turn.events[0]], turn.plan)
    with pytest.raises(InvariantViolation):
        apply(turn.state, turn.events[0], turn.plan)


def test_two_blocks_with_one_path_are_refused() -> None:
    with pytest.raises(InvariantViolation, match="path a"):
        plan_of(flow_of(step_block("a"), step_block("a")))


def test_any_revision_can_be_rebuilt() -> None:
    plan: Plan = plan_of(FORK)
    turn = started(plan)
    history = list(turn.events)
    for path in ("fork/b", "fork/a", "fork/c", "d"):
        turn = next_turn(turn, succeeded(turn.state, path))
        history += turn.events
    assert replay(history, plan) == turn.state
    assert replay(history, plan, revision=2).head.status == "running"
    assert not replay(history, plan, revision=2).steps


def test_a_journal_entry_is_not_for_a_workflow_without_journals() -> None:
    turn = started(plan_of(ONE))
    entry = JournalEntry(name="x", ordinal=0, state="done")
    turn = next_turn(turn, StepJournaled(identity=identity(turn.state, "a"), holder="w", entry=entry))
    assert turn.events == []
    assert isinstance(turn.actions[-1], Ignored)
