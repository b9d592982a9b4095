"""What follows when a step finds too little left of a budget of its run (decision 0031). Pure."""

from logkeel.runs.core.activation import Activation
from logkeel.runs.core.budgets import Lack, exhausted, lack_of
from logkeel.runs.core.flow import dispatch, leave_waiting
from logkeel.runs.core.moving import fail


def may_spend(turn: Activation, path: str) -> bool:
    """Whether the step may be sent. If not, it waits until others have settled, or has failed for good."""
    lack = lack_of(turn.state, turn.plan, path)
    if lack is None:
        return True
    if lack.waits:
        _wait(turn, path, lack)
    else:
        fail(turn, path, exhausted(path, lack), f"step {path} finds too little left")
    return False


def _wait(turn: Activation, path: str, lack: Lack) -> None:
    if path in turn.state.held:
        return
    step, name = turn.state.steps.get(path), turn.plan.steps[path].definition.name
    if step is not None:
        leave_waiting(turn, path, step)
    facts = {"kind": "run_budget", "limit": lack.budget.unit, "key": "", "allows": str(lack.budget.limit)}
    turn.record("step_held", path=path, step=name, name=lack.budget.unit, reason="budget", attributes=facts)


def go_on(turn: Activation) -> None:
    """At the end of a turn: what was settled in it may be what others wait for, in the order in which they came."""
    while turn.settled and _may_go_on(turn):
        turn.settled = False
        for _, path in sorted((revision, path) for path, revision in turn.state.held.items()):
            if _may_go_on(turn) and path in turn.state.held:
                dispatch(turn, path)


def _may_go_on(turn: Activation) -> bool:
    head = turn.state.head
    return turn.state.running and head.held_steps > 0 and head.paused_at_ms is None
