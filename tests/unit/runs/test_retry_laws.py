"""Laws of retries: random flows, with sagas and limits, are retried whenever they have failed, as often as they may."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.projection.test_waits import assert_waits_agree
from tests.unit.runs.flows import ADDED, Flow
from tests.unit.runs.test_block_laws import MOVES, happen, plans
from tests.unit.runs.test_limit_laws import NAMES, PLAN
from tests.unit.runs.test_limit_laws import Run as LimitedRun
from tests.unit.runs.test_saga_laws import MOVES as SAGA_MOVES
from tests.unit.runs.test_saga_laws import flows, runs
from tests.unit.runs.test_saga_laws import happen as happen_to_sagas

from logkeel.definitions import Block
from logkeel.projection.projection import fold
from logkeel.records import RetryRun
from logkeel.runs.core import retrying
from logkeel.runs.core.actions import DispatchStep, Reject
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.redeciding import redecide

REFUSALS = (
    *("run_not_retryable", "nothing_to_retry", "elements_have_failed"),
    *("child_has_ended", "run_was_undone", "flow_has_gone_on"),
)


def retried(flow: Flow) -> bool:
    """Whether the run goes on. One that is refused is left as it was."""
    before, done = len(flow.history), {path for path, step in flow.state.steps.items() if step.phase == "done"}
    refused = flow.retry()
    flow.check()
    if refused is not None:
        assert refused.code in REFUSALS, refused
        assert len(flow.history) == before
        return False
    assert flow.history[before].kind == "run_retried"
    assert not done & {event.path for event in flow.history[before:] if event.kind == "step_dispatched"}
    again = flow.retry()
    assert again is not None, "asked once more, nothing happens"
    assert again.code == "run_not_ended" or not flow.state.running
    return True


def no_step_is_done_twice(flow: Flow) -> None:
    """However often it was retried."""
    done = [event.path for event in flow.history if event.kind == "step_succeeded"]
    assert len(done) == len(set(done))


@settings(max_examples=400, deadline=None)
@given(plan=plans(), data=st.data())
def test_a_run_of_blocks_goes_on_where_it_failed_and_its_history_is_its_state(plan: Plan, data: st.DataObject) -> None:
    flow = Flow(plan)
    for move in data.draw(st.lists(st.sampled_from((*MOVES, "fail for good", "fail for good")), max_size=20)):
        if not flow.state.running and not retried(flow):
            break
        assert_waits_agree(fold(flow.history), flow.state)
        if flow.state.running:
            happen(flow, move, data)
            flow.check()
            assert_waits_agree(fold(flow.history), flow.state)
    no_step_is_done_twice(flow)
    found = redecide(flow.history, plan)
    assert found.divergence is None, found.divergence
    assert not found.not_compared
    assert found.state == flow.state


@settings(max_examples=300, deadline=None)
@given(plan=plans(), data=st.data())
def test_a_run_that_was_retried_ends_with_willing_workers(plan: Plan, data: st.DataObject) -> None:
    flow = Flow(plan)
    for move in data.draw(st.lists(st.sampled_from((*MOVES, "fail for good")), max_size=12)):
        if flow.state.running:
            happen(flow, move, data)
    if flow.status == "running" or not retried(flow):
        return
    for _ in range(3_000):
        if flow.status == "running":
            _help(flow)
    assert flow.status != "running"
    flow.check()
    no_step_is_done_twice(flow)


def _help(flow: Flow) -> None:
    """What brings it forward."""
    waits = flow.state.waits.items()
    questions = [path for path, wait in waits if wait.kind == "question"]
    children = [path for path, wait in waits if wait.kind == "child"]
    if flow.open_steps:
        flow.succeed(flow.open_steps[0], writes=ADDED, verdict="no")
    elif questions:
        flow.answer(questions[0], "approve")
    elif children:
        flow.end_child(children[0])
    elif any(wait.kind == "signal" for _, wait in waits):
        flow.signal("go")
    else:
        flow.fire_next()


@settings(max_examples=300, deadline=None)
@given(flow=flows(), data=st.data())
def test_what_a_saga_has_undone_is_never_taken_up_again(flow: Block, data: st.DataObject) -> None:
    run = runs(flow, data)
    for move in data.draw(st.lists(st.sampled_from((*SAGA_MOVES, "fail for good")), max_size=20)):
        if not run.state.running and not retried(run):
            break
        if run.state.running:
            happen_to_sagas(run, move, data)
            run.check()
    undone: set[str] = set()
    for event in run.history:
        path = event.path or ""
        if event.kind == "step_succeeded" and path.endswith("/undo"):
            undone.add(path.removesuffix("/undo"))
        assert event.kind != "step_dispatched" or path not in undone
    assert redecide(run.history, run.plan).divergence is None


FAILING = (*NAMES, *("grant",) * 8, *("fail",) * 8, *("due",) * 4)
"""So that runs with limits fail, and not only wait."""


class Retried(LimitedRun):
    """A run with limits, retried whenever it has failed."""

    def retry(self) -> bool:
        self.now_ms += 1_000
        turn = Activation(self.state, PLAN, self.now_ms)
        retrying.retry(turn, RetryRun(run_id="r"), "q")
        self.history += turn.events
        self._keep(turn)
        return not any(isinstance(action, Reject) for action in turn.actions)

    def _keep(self, turn: Activation) -> None:
        super()._keep(turn)
        claim = self.state.claims.get("")
        if any(isinstance(action, DispatchStep) for action in turn.actions) and self.state.running:
            assert claim is not None, "nothing is sent without the run's slot"
            assert claim.is_whole


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(FAILING), st.integers(0, 50)), min_size=10, max_size=60))
def test_slots_are_asked_for_again_and_given_back_once(moves: list[tuple[str, int]]) -> None:
    run = Retried()
    for name, at in moves:
        if not run.state.running and not run.retry():
            break
        run.move(name, at)
    if run.state.running:
        run.move("cancel", 0)
    assert not run.state.claims
    left = {name: count for name, count in run.known.items() if count}
    assert all(place[0] == "rate" for _, _, place in left), left
    assert redecide(run.history, PLAN).divergence is None
