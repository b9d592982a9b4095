"""A run from the history of another one: its state, its times, its keys, and what is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.runs.flows import Flow, plan_with
from tests.unit.runs.scripts import T0, flow_of, step_block, succeeded, text
from tests.unit.runs.test_block_laws import MOVES, happen, plans
from tests.unit.runs.test_children import child

from logkeel.definitions import Block, Conversation, HumanBlock, LimitDefinition, ParallelBlock, SleepBlock
from logkeel.records import FieldWrite, ForkRun, LimitAnswered, Origin, Parent, RunEvent, StepCommand
from logkeel.records.turns import dispatch_of, turn_end, turns
from logkeel.runs.core import forking
from logkeel.runs.core.actions import AcquireSlot, CompleteRun, DispatchStep, Reject, ReleaseSlot, SetTimer, StartChild
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.answers import answer
from logkeel.runs.core.limiting import answered
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.replay import info_from, replay
from logkeel.runs.core.state import RunState
from logkeel.runs.processor.commands import command_of, idempotency_key

a, b, c = (step_block(name) for name in "abc")
LATER = T0 + 1_000_000
ORIGIN = Origin(run_id="r", incarnation="0-0-0", revision=1)
REQUEST = ForkRun(run_id="f", workflow="work", origin=ORIGIN, request_id="fq")


def run(*blocks: Block) -> Flow:
    """A run of these blocks that has begun."""
    return Flow(plan_with(flow_of(*blocks)))


def forked(
    history: list[RunEvent], plan: Plan, *, edits: tuple[FieldWrite, ...] = (), now_ms: int = LATER
) -> Activation | Reject:
    """What an engine makes of a fork of all of `history`."""
    events = forking.adopted(history, plan, REQUEST, run_id="f", request_id="fq", incarnation="1-1-1")
    problem = forking.fork_problem(events, plan, edits)
    if problem is not None:
        return problem
    events = forking.moved(events, now_ms)
    turn = Activation(RunState(info_from(events[0], plan)), plan, now_ms)
    forking.fork(turn, events, REQUEST, edits)
    return turn


def begun(history: list[RunEvent], plan: Plan, **more: object) -> Activation:
    """The same of one that is not refused."""
    turn = forked(history, plan, **more)  # type: ignore[arg-type]  # by keyword
    assert isinstance(turn, Activation), turn
    return turn


def code(outcome: Activation | Reject) -> str:
    assert isinstance(outcome, Reject)
    return outcome.code


def test_it_has_what_was_done_and_does_the_rest() -> None:
    flow = run(a, b, c)
    flow.succeed("a")
    until_b = [*flow.history]
    flow.succeed("b")
    turn = begun(until_b, flow.plan)
    assert {path: step.phase for path, step in turn.state.steps.items()} == {"a": "done", "b": "dispatched"}
    assert turn.state.fields["", "a"] == flow.state.fields["", "a"]
    assert (turn.state.info.run_id, turn.state.info.incarnation, turn.state.info.origin) == ("f", "1-1-1", ORIGIN)
    assert replay(turn.events, flow.plan) == turn.state
    assert [event.revision for event in turn.events] == list(range(1, len(turn.events) + 1))
    assert {event.run_id for event in turn.events} == {"f"}


def test_its_keys_are_its_own_and_results_for_the_other_run_are_not_for_it() -> None:
    flow = run(a, b)
    zombie = succeeded(flow.state, "a")
    turn = begun(flow.history, flow.plan)
    action = next(each for each in turn.actions if isinstance(each, DispatchStep))
    command: StepCommand = command_of(turn.state, flow.plan, action, partition=0, details=None)
    assert command.idempotency_key == idempotency_key(turn.state.info, "a") != idempotency_key(flow.state.info, "a")
    count = len(turn.events)
    answer(turn, zombie)
    assert len(turn.events) == count


def test_edits_are_written_before_it_goes_on() -> None:
    flow = run(a, b)
    flow.succeed("a", verdict="no")
    edits = (text("a", "better"), FieldWrite(field="verdict", is_control=True, control="yes"))
    turn = begun(flow.history, flow.plan, edits=edits)
    assert turn.state.fields["", "verdict"].control == "yes"
    action = next(each for each in turn.actions if isinstance(each, DispatchStep))
    assert [value.control for value in action.inputs if value.field == "verdict"] == ["yes"]
    assert replay(turn.events, flow.plan) == turn.state


def test_edits_that_do_not_fit_are_refused() -> None:
    flow = run(a)
    for edits in ((text("elsewhere", "x"),), (FieldWrite(field="verdict", is_control=True, control=7),)):
        assert code(forked(flow.history, flow.plan, edits=edits)) == "invalid_edit"


def test_times_are_moved_so_that_what_was_left_is_left() -> None:
    flow = run(SleepBlock(id="nap", duration_ms=10_000), a)
    turn = begun(flow.history, flow.plan)
    assert SetTimer("block", LATER + 10_000, "nap", turn.state.waits["nap"].number) in turn.actions
    assert turn.state.info.started_at_ms == LATER
    assert turn.state.head.last_ms == LATER


def test_a_run_that_failed_is_gone_on_with_where_it_failed() -> None:
    flow = run(ParallelBlock(id="all", branches=(a, b, HumanBlock(id="ok", question="?", writes="decision"))), c)
    before = [*flow.history]
    flow.fail("all/a")
    assert code(forked(flow.history, flow.plan)) == "nothing_to_do"
    turn = begun(before, flow.plan, edits=(text("topic", "other"),))
    assert sorted(path for path, step in turn.state.steps.items() if step.is_open) == ["all/a", "all/b"]
    assert list(turn.state.waits) == ["all/ok"]
    assert turn.state.running
    assert not any(isinstance(each, CompleteRun) for each in turn.actions)
    assert replay(turn.events, flow.plan) == turn.state


def test_a_fork_of_a_fork() -> None:
    flow = run(a, b)
    flow.succeed("a")
    first = begun(flow.history, flow.plan)
    second = begun(first.events, flow.plan)
    assert {path: step.phase for path, step in second.state.steps.items()} == {"a": "done", "b": "dispatched"}
    assert replay(second.events, flow.plan) == second.state


def test_a_run_that_was_retried_is_forked_into_one_that_was_not() -> None:
    flow = run(step_block("a"), step_block("b"))
    flow.fail("a")
    flow.retry()
    flow.succeed("a")
    flow.fail("b")
    turn = begun(flow.history[:-2], flow.plan)
    assert turn.state.head.retries == 0
    assert {path: step.phase for path, step in turn.state.steps.items()} == {"a": "done", "b": "dispatched"}


def test_a_paused_run_is_forked_into_one_that_is_not() -> None:
    flow = run(a, b)
    flow.pause()
    flow.succeed("a")
    turn = begun(flow.history, flow.plan)
    assert turn.state.head.paused_at_ms is None
    assert turn.state.steps["b"].phase == "dispatched"
    assert not turn.state.held


@pytest.mark.parametrize("effect", ["CHECKED", "ONCE"])
def test_an_effect_of_the_other_run_is_none_of_this_one(effect: str) -> None:
    plan = plan_with(flow_of(a, b))
    steps = tuple(replace(each, effect=effect) if each.name == "a" else each for each in plan.document.steps)
    plan = Plan(replace(plan.document, steps=steps), "digest")
    flow = Flow(plan)
    turn = begun(flow.history, plan)
    step = turn.state.steps["a"]
    assert (step.phase, step.check_first, step.effect_since_ms) == ("dispatched", False, None)


def test_what_has_nothing_under_way_is_refused() -> None:
    flow = run(a)
    flow.succeed("a")
    assert code(forked(flow.history, flow.plan)) == "nothing_to_do"
    assert code(forked(flow.history[:-1], flow.plan)) == "nothing_to_do", "in the middle of a turn"


def test_a_history_that_does_not_fit_the_definition_is_refused() -> None:
    flow = run(a, b)
    assert code(forked(flow.history, plan_with(flow_of(b)))) == "history_does_not_fit"
    assert code(forked(flow.history[1:], flow.plan)) == "history_does_not_fit"
    two = [*flow.history, replace(flow.history[-1], run_id="other", revision=3)]
    events = forking.adopted(two, flow.plan, REQUEST, run_id="f", request_id="fq", incarnation="1-1-1")
    assert forking.fork_problem(events, flow.plan, ()) is not None, "its revisions do not fit"


def test_a_newer_version_with_the_same_places_takes_the_run_over() -> None:
    flow = run(a, b)
    flow.succeed("a")
    newer = plan_with(flow_of(a, b, c))
    turn = begun(flow.history, newer)
    answer(turn, replace(succeeded(turn.state, "b"), identity=_identity(turn, "b")))
    assert turn.state.steps["c"].phase == "dispatched"


def _identity(turn: Activation, path: str) -> object:
    identity = succeeded(turn.state, path).identity
    return replace(identity, run_id="f", incarnation="1-1-1")


def test_turns_are_what_one_input_led_to() -> None:
    flow = run(a, b)
    flow.succeed("a")
    assert [[event.kind for event in turn] for turn in turns(flow.history)] == [
        ["run_started", "step_dispatched"],
        ["step_succeeded", "step_dispatched"],
    ]
    assert [turn_end(flow.history, revision) for revision in range(6)] == [None, 2, 2, 4, 4, None]
    assert (dispatch_of(flow.history, "b"), dispatch_of(flow.history, "c")) == (4, None)


def test_a_child_that_is_under_way_begins_anew_for_the_fork() -> None:
    """Only one run can wait for a run, so the fork has one of its own, as if it were forked before it began."""
    flow = run(a, child(), b)
    flow.succeed("a")
    (other,) = flow.started
    turn = begun(flow.history, flow.plan)
    (own,) = [action.request for action in turn.actions if isinstance(action, StartChild)]
    assert own.run_id != other.run_id
    assert own.parent is not None
    assert (own.parent.run_id, own.parent.again) == ("f", False)
    assert (own.inputs, own.version) == (other.inputs, other.version)
    assert turn.state.waits["kid"].name == own.run_id
    assert turn.state.head.descendants == turn.state.waits["kid"].reserved, "its share is reserved once"
    assert replay(turn.events, flow.plan) == turn.state
    flow.end_child("kid")
    turn = begun(flow.history, flow.plan)
    assert turn.state.steps["b"].phase == "dispatched"
    assert replay(turn.events, flow.plan) == turn.state


def test_a_turn_of_a_conversation_is_not_forked() -> None:
    flow = run(a)
    document = replace(flow.plan.document, conversation=Conversation(field="topic"))
    assert code(forked(flow.history, Plan(document, "digest"))) == "fork_of_a_turn"


def test_a_fork_asks_for_slots_of_its_own() -> None:
    limit = LimitDefinition(kind="concurrency", name="gpt", limit=1)
    plan = plan_with(flow_of(a, b))
    steps = tuple(replace(each, limits=(limit,)) if each.name == "a" else each for each in plan.document.steps)
    plan = Plan(replace(plan.document, steps=steps), "digest")
    waiting = Flow(plan)
    turn = begun(waiting.history, plan)
    asked = [each for each in turn.actions if isinstance(each, AcquireSlot)]
    assert [each.path for each in asked] == ["a"]
    assert asked[0].number == turn.state.claims["a"].number > waiting.state.claims["a"].number
    assert not turn.state.held
    assert not [each for each in turn.actions if isinstance(each, ReleaseSlot)], "none was its own"
    assert replay(turn.events, plan) == turn.state


@pytest.mark.parametrize("has_begun", [True, False])
def test_a_fork_of_a_limited_run_asks_for_a_slot_of_its_own_before_it_goes_on(has_begun: bool) -> None:
    limit = LimitDefinition(kind="concurrency", name="runs", limit=1)
    plan = Plan(replace(plan_with(flow_of(a, b)).document, limits=(limit,)), "digest")
    flow = Flow(plan)
    if has_begun:
        grant(flow)
        flow.succeed("a")
    turn = begun(flow.history, plan)
    assert [each.path for each in turn.actions if isinstance(each, AcquireSlot)] == [""]
    assert not [each for each in turn.actions if isinstance(each, DispatchStep)]
    assert replay(turn.events, plan) == turn.state
    again = Flow.of(plan, turn)
    grant(again)
    assert again.open_steps == (["b"] if has_begun else ["a"])
    again.check()


def grant(flow: Flow) -> None:
    """The limit gives the run its slot."""
    info, use = flow.state.info, flow.state.claims[""].limits[0]
    message = LimitAnswered(
        run_id=info.run_id,
        incarnation=info.incarnation,
        path="",
        number=flow.state.claims[""].number,
        kind=use.kind,
        name=use.name,
        key=use.key,
    )
    turn = Activation(flow.state, flow.plan, flow.now_ms)
    assert answered(turn, message)
    flow.history += turn.events


def test_a_child_run_that_is_forked_has_no_parent() -> None:
    flow = run(a)
    parent = Parent(
        run_id="p", incarnation="0-0-1", path="kid", number=3, depth=1, max_depth=8, max_descendants=5, detached=False
    )
    first = replace(flow.history[0], parent=parent)
    turn = begun([first, *flow.history[1:]], flow.plan)
    assert turn.state.info.parent is None


@settings(max_examples=200, deadline=None)
@given(plan=plans(), data=st.data())
def test_whatever_a_run_went_through_each_end_of_a_turn_gives_a_run_that_goes_on(
    plan: Plan, data: st.DataObject
) -> None:
    flow = Flow(plan)
    for move in data.draw(st.lists(st.sampled_from(MOVES), max_size=12)):
        if flow.state.running:
            happen(flow, move, data)
    revision = data.draw(st.sampled_from([turn[-1].revision for turn in turns(flow.history)]))
    outcome = forked(flow.history[:revision], plan)
    if isinstance(outcome, Reject):
        assert outcome.code == "nothing_to_do"
        assert not replay(flow.history[:revision], plan).running
        return
    assert replay(outcome.events, plan) == outcome.state
    again = Flow.of(plan, outcome)
    again.check()
    for move in data.draw(st.lists(st.sampled_from(MOVES), max_size=6)):
        if again.state.running:
            happen(again, move, data)
            again.check()
