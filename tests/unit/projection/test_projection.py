"""The read model says of every history what the engine's own state says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.runs.scripts import flow_of, plan_of, step_block
from tests.unit.runs.test_core_laws import MOVES, World, plans

from logkeel.definitions import RetryPolicy
from logkeel.errors import RunNotFound
from logkeel.projection import Projection, RunView
from logkeel.records import RunEvent
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.replay import replay
from logkeel.runs.core.state import RunState


def projected(history: list[RunEvent]) -> Projection:
    projection = Projection()
    for event in history:
        projection.apply(event)
    return projection


def assert_agrees(view: RunView, state: RunState) -> None:
    head = state.head
    assert (view.status, view.revision, view.error) == (head.status, head.revision, head.error)
    assert (view.finished_at_ms, len(view.completed_steps)) == (head.finished_at_ms, head.steps_completed)
    seen = {path: (s.phase, s.attempt, s.dispatch, s.due_ms) for path, s in view.steps.items() if s.is_open}
    kept = {path: (s.phase, s.attempt, s.dispatch, s.due_ms) for path, s in state.steps.items() if s.is_open}
    assert seen == kept
    assert {p for p, s in view.steps.items() if not s.is_open} == {p for p, s in state.steps.items() if not s.is_open}
    assert {name: field.revision for name, field in view.fields.items()} == {
        name: pointer.revision for (_, name), pointer in state.fields.items()
    }
    assert view.complete


@settings(max_examples=200, deadline=None)
@given(plan=plans(), data=st.data())
def test_it_agrees_with_the_core_at_every_revision(plan: Plan, data: st.DataObject) -> None:
    world = World(plan)
    for _ in range(data.draw(st.integers(0, 12))):
        path = data.draw(st.sampled_from(sorted(world.state.steps)))
        world.move(data.draw(st.sampled_from(MOVES)), path, stale=data.draw(st.booleans()))
    if data.draw(st.booleans()):
        world.cancel()
    projection = projected(world.history)
    assert_agrees(projection.get("r"), world.state)
    revision = data.draw(st.integers(1, len(world.history)))
    assert_agrees(projection.state_at("r", revision), replay(world.history, plan, revision=revision))


@pytest.fixture
def history() -> list[RunEvent]:
    """A step fails once and succeeds."""
    world = World(plan_of(flow_of(step_block("a"), step_block("b")), retry=RetryPolicy(max_attempts=2)))
    for move in ("beat", "fail", "due", "succeed"):
        world.move(move, "a")
    return world.history


def test_it_tells_where_a_run_is_and_what_went_wrong(history: list[RunEvent]) -> None:
    view = projected(history).get("r")
    assert view.completed_steps == ["a"]
    assert [(step.path, step.phase, step.attempt) for step in view.current_steps] == [("b", "dispatched", 1)]
    assert [(failure.path, failure.attempt, failure.error.code) for failure in view.errors] == [("a", 1, "boom")]
    assert (view.steps["a"].attempt, view.steps["a"].holder) == (2, "w")
    assert view.fields["a"].path == "a"
    assert view.fields["topic"].path is None


def test_events_that_come_again_change_nothing(history: list[RunEvent]) -> None:
    once, twice = projected(history), projected(history + history)
    assert once.get("r") == twice.get("r")
    assert once.history("r") == twice.history("r")


def test_a_history_whose_beginning_is_gone_says_so(history: list[RunEvent]) -> None:
    view = projected(history[2:]).get("r")
    assert not view.complete
    assert view.revision == history[-1].revision
    with pytest.raises(RunNotFound):
        projected(history[2:]).state_at("r", 1)


def test_a_younger_incarnation_replaces_the_older_one_for_good(history: list[RunEvent]) -> None:
    later = replace(history[0], incarnation="0-9-9", at_ms=history[-1].at_ms + 1)
    projection = projected([*history, later, *history])
    assert projection.get("r").incarnation == "0-9-9"
    assert projection.history("r") == (later,)


def test_runs_are_found_by_what_they_are_the_youngest_first(history: list[RunEvent]) -> None:
    first = history[0]
    others = [
        replace(first, run_id="s", at_ms=first.at_ms + 1, attributes={"team": "red"}),
        replace(first, run_id="t", at_ms=first.at_ms + 2, workflow="other"),
    ]
    projection = projected([*history, *others])
    assert [view.run_id for view in projection.runs()] == ["t", "s", "r"]
    assert [view.run_id for view in projection.runs(workflow="work")] == ["s", "r"]
    assert [view.run_id for view in projection.runs(attributes={"team": "red"})] == ["s"]
    assert not projection.runs(status="failed")
    assert not projection.runs(in_doubt=True)


def test_an_unknown_run_is_not_found() -> None:
    with pytest.raises(RunNotFound, match="no run 'x'"):
        Projection().get("x")
