"""What a run has behind it: exact for those who ask, bounded, and nothing for those who do not."""

import msgspec
import pytest
from tests.unit.runs.engine import Engine, a_start
from tests.unit.runs.scripts import T0, failed, flow_of, plan_of, started, step_block, succeeded

from logkeel.definitions import ParallelBlock, RetryPolicy
from logkeel.records import RunSummary, StepAnswer, StepErrorSummary
from logkeel.records.limits import MAX_RUN_SUMMARY_BYTES
from logkeel.runs.core import waking
from logkeel.runs.core.actions import CompleteRun, DispatchStep
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.answers import answer
from logkeel.runs.core.milestones import KEPT_FAILURES
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.replay import replay
from logkeel.runs.core.state import Milestone, RunState
from logkeel.runs.core.summary import summary_of
from logkeel.wire.catalog import compose
from logkeel.wire.writing import compile_writer

FLOW = flow_of(ParallelBlock(id="both", branches=(step_block("a"), step_block("b"))), step_block("c"))
PLAN = plan_of(FLOW, asking="c", returns=("completed_steps", "error_log", "c", "schema_version"))
BOOM = StepErrorSummary(path="both/a", attempt=1, code="boom", message="it broke")


def told(state: RunState, plan: Plan, message: StepAnswer) -> Activation:
    turn = Activation(state, plan, T0)
    answer(turn, message)
    return turn


def failed_and_repeated(turn: Activation, path: str) -> Activation:
    told(turn.state, turn.plan, failed(turn.state, path))
    step = turn.state.steps[path]
    again = Activation(turn.state, turn.plan, step.due_ms or T0)
    waking.step_due(again, path, step.dispatch)
    return again


def test_a_step_that_asks_gets_what_was_completed_and_what_failed() -> None:
    turn = started(PLAN)
    assert turn.state.milestones == {}
    failed_and_repeated(turn, "both/a")
    told(turn.state, PLAN, succeeded(turn.state, "both/b"))
    last = told(turn.state, PLAN, succeeded(turn.state, "both/a"))
    (dispatch,) = (action for action in last.actions if isinstance(action, DispatchStep))
    assert dispatch.summary == RunSummary(
        schema_version=1, attempts=4, completed_steps=("both/b", "both/a"), errors=(BOOM,)
    )
    end = told(turn.state, PLAN, succeeded(turn.state, "c"))
    (complete,) = (action for action in end.actions if isinstance(action, CompleteRun))
    result = {
        value.field: msgspec.json.decode((value.payload and value.payload.data) or b"") for value in complete.result
    }
    assert result == {
        "completed_steps": ["both/b", "both/a", "c"],
        "error_log": [{"path": "both/a", "attempt": 1, "code": "boom", "message": "it broke"}],
        "c": "by c",
        "schema_version": 1,
    }


def test_where_nobody_asks_nothing_is_kept_and_nothing_travels() -> None:
    plan = plan_of(FLOW)
    turn = started(plan)
    again = failed_and_repeated(turn, "both/a")
    assert [action.summary for action in again.actions if isinstance(action, DispatchStep)] == [None]
    assert turn.state.milestones == {}


@pytest.mark.parametrize("size", [1, 5_000])
def test_a_summary_is_bounded_and_the_newest_stays(size: int) -> None:
    state = started(PLAN).state
    texts = {"code": "é" * 100, "message": "é" * 200}
    for number in range(size):
        state.milestones[f"completed/{number}", 0] = Milestone(revision=2 * number, attempt=1)
        state.milestones[f"failed/{number}", 1] = Milestone(revision=2 * number + 1, attempt=1, number=1, **texts)
    summary = summary_of(state)
    assert len(compile_writer(compose("RunSummary"))(summary)) <= MAX_RUN_SUMMARY_BYTES
    assert summary.completed_steps[-1] == f"completed/{size - 1}"
    assert summary.errors[-1].path == f"failed/{size - 1}"
    assert len(summary.completed_steps) + summary.omitted_steps == size
    assert len(summary.errors) + summary.omitted_errors == size
    assert bool(summary.omitted_steps) == bool(summary.omitted_errors) == (size > 1)


def test_a_step_that_fails_without_end_keeps_its_last_failures_and_counts_the_others() -> None:
    plan = plan_of(FLOW, asking="c", retry=RetryPolicy(max_attempts=100))
    turn = started(plan)
    history = list(turn.events)
    for _ in range(KEPT_FAILURES + 5):
        step = turn.state.steps["both/a"]
        history += told(turn.state, plan, failed(turn.state, "both/a")).events
        again = Activation(turn.state, plan, turn.state.steps["both/a"].due_ms or T0)
        waking.step_due(again, "both/a", step.dispatch)
        history += again.events
    summary = summary_of(turn.state)
    assert [error.attempt for error in summary.errors] == list(range(6, KEPT_FAILURES + 6))
    assert summary.omitted_errors == 5
    assert len(turn.state.milestones) == KEPT_FAILURES
    assert replay(history, plan) == turn.state


def test_the_engine_sends_it_from_its_rows_and_announces_it_again() -> None:
    plan = plan_of(flow_of(step_block("a"), step_block("b")), asking="b", returns=("completed_steps",))
    engine = Engine()
    engine.publish(plan)
    engine.ask(a_start())
    (first,) = engine.commands()
    assert first.run_summary is None
    engine.succeed(first)
    second = engine.commands()[-1]
    assert second.run_summary == RunSummary(schema_version=1, attempts=2, completed_steps=("a",))
    engine.succeed(second)
    engine.succeed(second)  # late: changes nothing
    engine.ask(a_start(request_id="again"))
    done, repeated = engine.completions()
    assert repeated.reannounced
    assert [field.payload and field.payload.data for field in done.result] == [b'["a","b"]']
    assert repeated.result == done.result
