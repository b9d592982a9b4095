"""Laws of a run's budget, over any order of answers, losses, repetitions, pauses and decisions."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.budgets.budgeted import budgeted, of_run
from tests.unit.runs.scripts import failed, flow_of, heartbeat, reclaimed, released, started, step_block, succeeded

from logkeel.definitions import Block, Handler, ParallelBlock, RescueBlock, RetryPolicy
from logkeel.records import CancelRun, Effect, PauseRun, ResolveStep, ResumeRun, StepAnswer, StepRefused
from logkeel.runs.core import pausing, requests, waking
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.answers import answer
from logkeel.runs.core.budgeting import go_on
from logkeel.runs.core.redeciding import redecide
from logkeel.runs.core.replay import replay
from logkeel.runs.core.state import Account, RunState

EFFECTS: tuple[Effect, ...] = ("IDEMPOTENT", "KEYED", "CHECKED", "ONCE")
AT_MOST = {"a": 30, "b": 50, "c": 20}


def told(state: RunState, path: str, used: int | None, kind: str) -> StepAnswer:
    """What a worker says that knows its step's limit."""
    most = AT_MOST[state.steps[path].step]
    amounts = {} if used is None else {"tokens": min(used, most)}
    if kind == "succeed":
        return replace(succeeded(state, path), used=amounts)
    return replace(
        failed(state, path, "timeout" if kind == "doubt" else "retryable", in_doubt=kind == "doubt"), used=amounts
    )


def _is_due(turn: Activation, path: str) -> bool:
    """Whether the timer of a step that waits can fire: one that is held has none."""
    due_ms = turn.state.steps[path].due_ms
    return due_ms is not None and due_ms <= turn.now_ms


MOVES: dict[str, Callable[[Activation, str], None]] = {
    "beat": lambda t, p: answer(t, heartbeat(t.state, p)),
    "ask": lambda t, p: answer(t, reclaimed(t.state, p)),
    "ask, dead": lambda t, p: answer(t, reclaimed(t.state, p, holder_dead=True)),
    "release": lambda t, p: answer(t, released(t.state, p, was_started=False)),
    "release started": lambda t, p: answer(t, released(t.state, p, was_started=True)),
    "refuse": lambda t, p: answer(
        t, StepRefused(identity=succeeded(t.state, p).identity, holder="w", reason="unknown")
    ),
    "lease over": waking.lease_over,
    "due": lambda t, p: waking.step_due(t, p, t.state.steps[p].dispatch if _is_due(t, p) else 0),
    "aged": lambda t, p: waking.command_aged(t, p, forgotten=False),
    "forgotten": lambda t, p: waking.command_aged(t, p, forgotten=True),
    "did": lambda t, p: requests.resolve(t, ResolveStep(run_id="r", path=p, decision="did"), "q", ()),
    "retry": lambda t, p: requests.resolve(t, ResolveStep(run_id="r", path=p, decision="retry"), "q", ()),
    "pause": lambda t, p: pausing.pause(t, PauseRun(run_id="r"), "q"),
    "resume": lambda t, p: pausing.resume(t, ResumeRun(run_id="r"), "q"),
    "cancel": lambda t, p: requests.cancel(t, CancelRun(run_id="r"), "q"),
}
OUTCOMES = ("succeed", "fail", "doubt")


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_reserved_and_spent_never_exceed_the_budget_and_the_history_adds_up(data: st.DataObject) -> None:
    limit = data.draw(st.integers(50, 200))
    effects = {name: data.draw(st.sampled_from(EFFECTS)) for name in "abc"}
    fork: Block = ParallelBlock(id="fork", branches=tuple(step_block(name) for name in "abc"))
    if data.draw(st.booleans()):
        fork = RescueBlock(id="rescue", body=fork, handlers=(Handler(on="*", block=step_block("d")),))
    uses = {name: {"tokens": most} for name, most in AT_MOST.items()}
    plan = budgeted(
        flow_of(fork), [of_run(limit)], uses, effects=effects, retry=RetryPolicy(max_attempts=3, initial_ms=1)
    )
    turn = started(plan)
    state, history = turn.state, list(turn.events)
    spent = 0
    for number in range(data.draw(st.integers(0, 25))):
        open_paths = sorted(path for path, step in state.steps.items() if step.step in AT_MOST)
        if not open_paths:
            break
        path = data.draw(st.sampled_from(open_paths))
        move = data.draw(st.sampled_from([*OUTCOMES, *OUTCOMES, *MOVES]))
        message = None
        if move in OUTCOMES:
            message = told(state, path, data.draw(st.none() | st.integers(0, 60)), move)
        for _ in range(1 + data.draw(st.booleans())):
            turn = Activation(state, plan, turn.now_ms + 1_000 * number)
            if message is not None:
                answer(turn, message)
            else:
                MOVES[move](turn, path)
            go_on(turn)
            history += turn.events
            account = state.head.accounts.get("tokens", Account())
            spent += sum(event.amounts.get("tokens", 0) for event in turn.events if event.kind != "step_dispatched")
            assert account.spent == spent, "what is spent is what was settled"
            assert account.reserved == sum(step.reserved.get("tokens", 0) for step in state.steps.values())
            assert account.spent + account.reserved <= limit, "never above the budget"
            assert all(step.is_open for step in state.steps.values() if step.reserved), "nothing stays reserved"
            waits = [each for each in state.held if state.running and state.head.paused_at_ms is None]
            assert not waits or account.reserved, "nobody waits for nothing"
    assert replay(history, plan) == state
    found = redecide(history, plan)
    assert (found.divergence, found.state) == (None, state), "the same is decided from what the history tells"
