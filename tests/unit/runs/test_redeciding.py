"""A recorded history held against the present code: what is found, what is not compared, and why."""

import pytest
from msgspec.structs import replace
from tests.unit.journals.scripts import Life, call, entry_sent, suspended, wait
from tests.unit.journals.test_code_children import begun as code_with_children
from tests.unit.journals.test_code_children import end, kid
from tests.unit.journals.test_restarts import restart, restarting_plan
from tests.unit.journals.test_updates import update, updating_plan
from tests.unit.runs.flows import Flow, inner, plan_with
from tests.unit.runs.scripts import T0, failed, flow_of, heartbeat, plan_of, reclaimed, started, step_block, text
from tests.unit.runs.test_conversations import talk
from tests.unit.runs.test_forking import begun
from tests.unit.runs.test_limit_laws import PLAN as LIMITED
from tests.unit.runs.test_limit_laws import Run as LimitedRun
from tests.unit.runs.test_turns import Speech

from logkeel.definitions import Block, ChildBlock, LoopBlock, ParallelBlock, RetryPolicy, WithinBlock
from logkeel.errors import InvariantViolation
from logkeel.records import CancelRun, ChildCompleted, ErrorInfo, LimitAnswered, RunEvent, StartRun
from logkeel.runs.core import child_ends, limiting, requests, waking
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.answers import answer
from logkeel.runs.core.flow import DEAD_LETTER, complete
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.redeciding import (
    OF_ANOTHER_RUN,
    UNMARKED,
    WITHOUT_FORMER_TURNS,
    Divergence,
    Redecided,
    redecide,
)
from logkeel.runs.core.starting import info_of, start
from logkeel.runs.core.state import RunState

a, b, c = (step_block(name) for name in "abc")


def compared(history: list[RunEvent], plan: Plan) -> int:
    """Turns; none diverges, and each is compared."""
    found = redecide(history, plan)
    assert found == Redecided(compared=found.compared)
    return found.compared


def divergence(history: list[RunEvent], plan: Plan) -> Divergence:
    found = redecide(history, plan).divergence
    assert found is not None
    return found


# What is found


def test_code_that_goes_another_way_is_found_at_the_first_event_that_differs() -> None:
    flow = Flow(plan_with(flow_of(a, b, c)))
    flow.succeed("a")
    flow.succeed("b")
    found = divergence(flow.history, plan_with(flow_of(a, c, b)))
    assert found.revision == 4
    assert found.recorded is not None
    assert found.decided is not None
    assert (found.recorded.path, found.decided.path) == ("b", "c")
    assert "path was 'b', is 'c'" in found.why


def test_code_that_decides_less_or_more_is_found() -> None:
    flow = Flow(plan_with(flow_of(a, b)))
    flow.succeed("a")
    found = divergence([*flow.history, replace(flow.history[-1], revision=5)], flow.plan)
    assert (found.revision, found.decided, found.why) == (5, None, "one event less")
    found = divergence(flow.history[:-1], flow.plan)
    assert (found.revision, found.recorded, found.why) == (4, None, "one event more")


def test_a_definition_that_lacks_a_step_is_a_divergence_and_no_crash() -> None:
    flow = Flow(plan_with(flow_of(a, b)))
    flow.succeed("a")
    flow.succeed("b")
    assert divergence(flow.history, plan_with(flow_of(a))).revision == 4


def test_an_event_that_does_not_fit_is_named() -> None:
    flow = Flow(plan_with(flow_of(a)))
    flow.succeed("a")
    late = replace(flow.history[2], revision=5, path="nowhere", opens_turn=True)
    found = divergence([*flow.history, late], flow.plan)
    assert (found.revision, found.decided) == (5, None)


def test_other_numbers_in_the_code_are_found() -> None:
    """A changed backoff is a changed decision."""
    flow = Flow(plan_with(flow_of(LoopBlock(id="loop", body=a, max_rounds=2, on_exhausted="continue"))))
    flow.fail("loop[1]/a", "retryable")
    slow = RetryPolicy(max_attempts=2, initial_ms=999_999)
    steps = tuple(replace(step, retry=slow) for step in flow.plan.document.steps)
    found = divergence(flow.history, Plan(replace(flow.plan.document, steps=steps), "digest"))
    assert "due_ms was" in found.why


def test_payloads_are_not_shown() -> None:
    flow = Flow(plan_with(flow_of(inner("w", a, returns="topic"))))
    flow.succeed("w/a")
    found = divergence(flow.history, plan_with(flow_of(inner("w", a, returns="letter"))))
    assert found.recorded is not None
    assert b"kafka" in (found.recorded.writes[0].payload.data or b"")  # type: ignore[union-attr]  # it has one
    assert found.why == "writes differ"


def test_of_inputs_that_may_have_been_it_the_one_that_goes_furthest_is_told() -> None:
    """Two limits are over at once: the one that fired is found, and held to what it led to."""
    flow = Flow(plan_with(flow_of(ParallelBlock(id="f", branches=(_hour("x", a), _hour("y", b))), c)))
    flow.now_ms += 4_000_000
    flow.fire(next(timer for timer in sorted(flow.timers) if timer[2] == "f/y"))
    assert flow.status == "failed"
    assert compared(flow.history, flow.plan) == 2
    shown = replace(flow.history[-1], reason="something else")
    found = divergence([*flow.history[:-1], shown], flow.plan)
    assert (found.revision, found.why[:10]) == (shown.revision, "reason was")


def _hour(name: str, body: Block) -> WithinBlock:
    return WithinBlock(id=name, timeout_ms=3_600_000, body=body)


# Inputs that laws do not bring about


def test_ends_that_only_shells_bring_about() -> None:
    plan = plan_of(flow_of(a), limits={"schedule_to_start_ms": 5_000})
    late = Life(plan)
    waking.start_deadline_over(late.next(after_ms=60_000), "a", 1)
    late.kept()
    dead = Life(plan)
    error = ErrorInfo(code="unprocessable", kind="fatal", message="no")
    complete(dead.next(), "failed", error, reason=DEAD_LETTER)
    dead.kept()
    overdue = Life(plan)
    waking.run_deadline_over(overdue.next())
    overdue.kept()
    for life in (late, dead, overdue):
        assert not life.state.running
        assert compared(life.history, plan) == 2


def test_a_cancel_that_came_before_its_run() -> None:
    plan = plan_of(flow_of(a))
    request = StartRun(workflow="work", run_id="r", inputs=(text("topic", "x"),))
    info = info_of(request, plan, run_id="r", request_id="q", incarnation="0-0-0", now_ms=T0)
    turn = Activation(RunState(info), plan, T0)
    start(turn, request, request.inputs, early_cancel=(CancelRun(run_id="r", reason="never mind"), "c"))
    assert compared(turn.events, plan) == 1


def test_a_slot_that_will_never_be_granted() -> None:
    run = LimitedRun()
    asked = run.asked[0]
    turn = Activation(run.state, LIMITED, run.now_ms)
    error = ErrorInfo(code="limit_refused", kind="fatal", message="another limit of this name")
    message = LimitAnswered(
        run_id="r", incarnation="0-0-0", path=asked.path, number=asked.number, kind=asked.kind, name=asked.name,
        key=asked.key, error=error,
    )  # fmt: skip
    limiting.answered(turn, message)
    assert [event.kind for event in turn.events] == ["run_completed"]
    assert compared([*run.history, *turn.events], LIMITED) == 2


def test_children_of_blocks_and_what_they_leave() -> None:
    for status in ("succeeded", "failed", "timed_out"):
        block = ChildBlock(id="kid", workflow="other", version="1", returns="letter", writes="letter")
        flow = Flow(plan_with(flow_of(block, a)))
        flow.end_child("kid", status, descendants=3)
        assert compared(flow.history, flow.plan) == 2
    elements = ChildBlock(id="kid", workflow="other", version="1", returns="notes", writes="notes")
    flow = Flow(plan_with(flow_of(elements, a)))
    assert compared(flow.history, flow.plan) == 1


def test_children_of_code_their_results_failures_and_limits() -> None:
    for status in ("succeeded", "failed"):
        life, (request,) = code_with_children(kid(due_ms=T0 + 9_000_000))
        answer(life.next(), suspended(life.state, "0"))
        life.kept()
        error = None if status == "succeeded" else ErrorInfo(code="boom", kind="fatal", message="a: b")
        child_ends.ended(life.next(), end(request, status, error=error, descendants=1))
        assert life.kept() == ["child_ended", "step_dispatched"]
        assert compared(life.history, life.plan) == 4
    life, _ = code_with_children(kid(due_ms=T0 + 9_000_000))
    waking.journal_wait_due(life.next(after_ms=10_000_000), "a", "0")
    life.kept()
    assert compared(life.history, life.plan) == 3


def test_code_that_begins_anew_and_writes_on_its_way() -> None:
    life = Life(restarting_plan())
    answer(life.next(), entry_sent(life.state, call()))
    life.kept()
    answer(life.next(), restart(life))
    life.kept()
    assert compared(life.history, life.plan) == 3
    life = Life(updating_plan())
    answer(life.next(), entry_sent(life.state, update()))
    assert life.kept() == ["step_journaled"]
    assert compared(life.history, life.plan) == 2


def test_waits_that_are_called_alike_or_by_words_with_commas() -> None:
    life = Life()
    for position, name in (("0", "a, b"), ("1", "a"), ("2", "a"), ("3", "b")):
        answer(life.next(), entry_sent(life.state, wait("sleep", position, name=name, due_ms=T0 + 9_000_000)))
        life.kept()
    answer(life.next(), suspended(life.state, "2", "0", "1"))
    assert life.kept() == ["step_suspended"]
    assert life.turn.events[0].reason == "a, a, b, a"
    assert compared(life.history, life.plan) == 6


# What is not compared


def test_progress_is_in_the_history_as_a_digest() -> None:
    life = Life(plan_of(flow_of(a)))
    answer(life.next(), reclaimed(life.state, "a", holder_dead=True))
    life.kept()
    answer(life.next(), heartbeat(life.state, "a", b"half"))
    assert life.kept() == ["step_started"]
    found = redecide(life.history, life.plan)
    assert found == Redecided(compared=2, not_compared={"step_started": 1})
    assert found.state == life.state


def test_a_forked_history_is_compared_from_its_fork_on() -> None:
    flow = Flow(plan_with(flow_of(a, b)))
    flow.succeed("a")
    turn = begun(flow.history, flow.plan, edits=(text("topic", "rabbits"),))
    assert redecide(turn.events, flow.plan) == Redecided(compared=1, not_compared={OF_ANOTHER_RUN: 2})


def test_a_turn_of_a_conversation_needs_its_former_turns() -> None:
    speech = Speech(talk())
    speech.begin()
    speech.turn(lambda turn: requests.cancel(turn, CancelRun(run_id="t1"), "q"))
    speech.end()
    speech.begin()
    assert redecide(speech.history, speech.plan) == Redecided(0, {WITHOUT_FORMER_TURNS: 1})
    assert redecide(speech.history, speech.plan, before=speech.before) == Redecided(1)


def test_a_history_from_before_turns_were_marked_is_applied_only() -> None:
    flow = Flow(plan_with(flow_of(a, b)))
    flow.succeed("a")
    unmarked = [replace(event, opens_turn=False) for event in flow.history]
    flow.succeed("b")
    found = redecide([*unmarked, *flow.history[len(unmarked) :]], flow.plan)
    assert found == Redecided(compared=1, not_compared={UNMARKED: 1})


def test_an_empty_history_is_an_error() -> None:
    with pytest.raises(InvariantViolation, match="empty"):
        redecide([], plan_with(flow_of(a)))


# What decisions must not depend on


def test_what_is_cancelled_comes_in_the_order_of_paths_wherever_the_state_is_kept() -> None:
    """Rows of a table are sorted, a dictionary is as it was filled: both shells have to decide alike."""
    plan = plan_of(ParallelBlock(id="f", branches=(b, flow_of(a), c)))
    turn = started(plan)
    turn.state.steps = dict(sorted(turn.state.steps.items(), reverse=True))
    requests.cancel(turn, CancelRun(run_id="r"), "q")
    assert [event.path for event in turn.events if event.kind == "step_revoked"] == ["f/a", "f/b", "f/c"]


def test_what_failed_in_doubt_and_late_words_are_told_apart() -> None:
    life = Life(plan_of(flow_of(a), effects={"a": "ONCE"}))
    answer(life.next(), reclaimed(life.state, "a", holder_dead=True))
    assert life.kept() == ["step_reclaimed", "step_in_doubt"]
    answer(life.next(), failed(life.state, "a", "timeout", in_doubt=True))
    assert life.kept() == []
    assert compared(life.history, life.plan) == 2


def test_the_word_of_a_child_without_a_result_is_made_again() -> None:
    block = ChildBlock(id="kid", workflow="other", version="1")
    flow = Flow(plan_with(flow_of(block)))
    number = flow.state.waits["kid"].number
    flow.hear(
        ChildCompleted(
            run_id="r", incarnation="0-0-0", path="kid", number=number, child_run_id=flow.state.waits["kid"].name,
            child_incarnation="1", status="cancelled",
        )
    )  # fmt: skip
    assert compared(flow.history, flow.plan) == 2
