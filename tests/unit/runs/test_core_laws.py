"""Laws of the run core over random flows, effects and orders of answers, losses, timers and requests.

The world sends what a worker could send, in any order, twice, late, or about executions that were superseded.
"""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.runs.scripts import (
    failed,
    flow_of,
    heartbeat,
    plan_of,
    reclaimed,
    released,
    started,
    step_block,
    succeeded,
)

from logkeel.definitions import Block, ParallelBlock, RetryPolicy
from logkeel.records import CancelRun, Effect, ResolveStep, StepRefused
from logkeel.runs.core import requests, waking
from logkeel.runs.core.actions import ClearTimer, CompleteRun, DispatchStep, SetTimer
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.answers import answer
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.replay import replay
from logkeel.runs.core.state import RunState

EFFECTS: tuple[Effect, ...] = ("NONE", "IDEMPOTENT", "KEYED", "CHECKED", "ONCE")
Move = Callable[[Activation, str], None]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Flows of up to three levels; every step has its own name, so that no two branches write one field."""
    names = iter("abcdefghijkl")

    def block(depth: int) -> Block:
        kind = draw(st.sampled_from(("step", "step", "sequence", "fork"))) if depth else "step"
        if kind == "step":
            return step_block(next(names))
        inner = tuple(block(depth - 1) for _ in range(draw(st.integers(1, 2))))
        if kind == "sequence":
            return flow_of(*inner, block_id=f"s{depth}")
        return ParallelBlock(id=f"fork{next(names)}", branches=inner)

    flow = flow_of(*(block(2) for _ in range(draw(st.integers(1, 2)))))
    effects = {name: draw(st.sampled_from(EFFECTS)) for name in "abcdefghijkl"}
    asking = draw(st.sampled_from(("", "abcdefghijkl")))
    return plan_of(flow, effects=effects, retry=RetryPolicy(max_attempts=draw(st.integers(1, 3))), asking=asking)


def _answers(turn: Activation, path: str, *, stale: bool) -> dict[str, Move]:
    state = turn.state
    dispatch = max(state.steps[path].dispatch - 1, 1) if stale else None
    return {
        "succeed": lambda t, p: answer(t, succeeded(state, p, dispatch=dispatch)),
        "fail": lambda t, p: answer(t, failed(state, p, dispatch=dispatch)),
        "fail for good": lambda t, p: answer(t, failed(state, p, "fatal", dispatch=dispatch)),
        "doubt": lambda t, p: answer(t, failed(state, p, "timeout", in_doubt=True, dispatch=dispatch)),
        "beat": lambda t, p: answer(t, heartbeat(state, p, b"here")),
        "ask": lambda t, p: answer(t, reclaimed(state, p)),
        "ask, dead": lambda t, p: answer(t, reclaimed(state, p, holder_dead=True)),
        "release": lambda t, p: answer(t, released(state, p, was_started=False)),
        "release started": lambda t, p: answer(t, released(state, p, was_started=True)),
        "refuse": lambda t, p: answer(
            t, StepRefused(identity=succeeded(state, p).identity, holder="w", reason="unknown")
        ),
        "lease over": waking.lease_over,
        "due": lambda t, p: waking.step_due(t, p, state.steps[p].dispatch),
        "late due": lambda t, p: waking.step_due(t, p, state.steps[p].dispatch - 1),
        "aged": lambda t, p: waking.command_aged(t, p, forgotten=False),
        "forgotten": lambda t, p: waking.command_aged(t, p, forgotten=True),
        "did": lambda t, p: requests.resolve(t, ResolveStep(run_id="r", path=p, decision="did"), "q", ()),
        "retry": lambda t, p: requests.resolve(t, ResolveStep(run_id="r", path=p, decision="retry"), "q", ()),
    }


class World:
    """One run, its history, and the timers the shell would keep."""

    def __init__(self, plan: Plan) -> None:
        turn = started(plan)
        self.plan, self.state = plan, turn.state
        self.history = list(turn.events)
        self.timers: set[tuple[int, str, int]] = set()
        self.completions = 0
        self.now_ms = turn.now_ms
        self._keep(turn)

    def move(self, name: str, path: str, *, stale: bool = False, again: bool = False) -> None:
        self.now_ms += 1_000
        for _ in range(1 + again):
            turn = Activation(self.state, self.plan, self.now_ms)
            _answers(turn, path, stale=stale)[name](turn, path)
            self.history += turn.events
            self._keep(turn)

    def cancel(self) -> None:
        turn = Activation(self.state, self.plan, self.now_ms)
        requests.cancel(turn, CancelRun(run_id="r"), "q")
        self.history += turn.events
        self._keep(turn)

    def _keep(self, turn: Activation) -> None:
        for action in turn.actions:
            if isinstance(action, SetTimer) and action.kind == "step":
                self.timers.add((action.due_ms, action.path, action.dispatch))
            elif isinstance(action, ClearTimer) and action.kind == "step":
                self.timers.discard((action.due_ms, action.path, action.dispatch))
            elif isinstance(action, CompleteRun):
                self.completions += 1
            elif isinstance(action, DispatchStep):
                assert turn.state.steps[action.path].phase == "dispatched" or not turn.state.running

    def check(self) -> None:
        assert [event.revision for event in self.history] == list(range(1, len(self.history) + 1))
        rebuilt = replay(self.history, self.plan)
        assert rebuilt == self.state
        done = {(p, 0) for p, s in self.state.steps.items() if s.phase == "done"}
        expected = done if self.plan.keeps_milestones else set()
        assert {key for key in self.state.milestones if key[1] == 0} == expected
        waiting = {(s.due_ms, p, s.dispatch) for p, s in self.state.steps.items() if s.phase == "waiting"}
        assert waiting <= self.timers
        assert sum(step.is_open for step in self.state.steps.values()) == self.state.head.open_steps
        assert self.state.running == (self.completions == 0)
        assert self.completions <= 1

    def settle(self) -> None:
        """Left alone with willing workers and humans, every run ends."""
        for _ in range(200):
            if not self.state.running:
                return
            path, step = next((p, s) for p, s in self.state.steps.items() if s.is_open)
            self.move({"waiting": "due", "in_doubt": "did"}.get(step.phase, "succeed"), path)
        raise AssertionError("the run does not end")


MOVES = tuple(_answers(started(plan_of(flow_of(step_block("a")))), "a", stale=False))


@settings(max_examples=300, deadline=None)
@given(plan=plans(), data=st.data())
def test_whatever_workers_say_the_history_is_the_state(plan: Plan, data: st.DataObject) -> None:
    world = World(plan)
    for _ in range(data.draw(st.integers(0, 12))):
        path = data.draw(st.sampled_from(sorted(world.state.steps)))
        name = data.draw(st.sampled_from(MOVES))
        world.move(name, path, stale=data.draw(st.booleans()), again=data.draw(st.booleans()))
        world.check()
    if data.draw(st.integers(0, 5)) == 0:
        world.cancel()
    world.settle()
    world.check()


@settings(max_examples=50, deadline=None)
@given(plan=plans(), data=st.data())
def test_an_ended_run_stays_as_it_is(plan: Plan, data: st.DataObject) -> None:
    world = World(plan)
    world.settle()
    before = (world.state.head.status, world.state.head.finished_at_ms, world.completions)
    for _ in range(5):
        world.move(data.draw(st.sampled_from(MOVES)), data.draw(st.sampled_from(sorted(world.state.steps))))
    world.check()
    assert (world.state.head.status, world.state.head.finished_at_ms, world.completions) == before


@settings(max_examples=50, deadline=None)
@given(plan=plans(), data=st.data())
def test_the_same_inputs_give_the_same_history(plan: Plan, data: st.DataObject) -> None:
    moves = data.draw(st.lists(st.sampled_from(MOVES), max_size=8))
    histories = []
    for _ in range(2):
        world = World(plan)
        for name in moves:
            world.move(name, min(world.state.steps))
        histories.append(world.history)
    assert histories[0] == histories[1]


def test_states_compare_by_value() -> None:
    first, second = World(plan_of(flow_of(step_block("a")))), World(plan_of(flow_of(step_block("a"))))
    assert first.state == second.state
    second.move("succeed", "a")
    assert first.state != second.state
    assert isinstance(first.state, RunState)
