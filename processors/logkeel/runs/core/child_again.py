"""A parent that was retried waits for its child anew: what keeps the child from going on (decision 0035). Pure."""

from hashlib import blake2b

from logkeel.records import Parent
from logkeel.runs.core.actions import Reject
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.state import RunInfo, RunState, StepState


def child_run_id(info: RunInfo, path: str, workflow: str) -> str:
    """The run id of the child that this run starts at this path."""
    identity = f"{info.run_id}\x00{info.incarnation}\x00{path}".encode()
    return f"{workflow}-{blake2b(identity, digest_size=12).hexdigest()}"


def code_child_run_id(info: RunInfo, step: StepState, place: str, workflow: str) -> str:
    """The same for code of this step, which calls for the child at this place; another one once it has begun anew."""
    return child_run_id(info, f"{place}\x00{step.restarts}" if step.restarts else place, workflow)


def is_again(state: RunState, plan: Plan, path: str) -> bool:
    """Whether the child of this block had been started by this run before, and is told to go on now."""
    cut = state.cut.get(path) if state.head.retries else None
    run_id = child_run_id(state.info, path, plan.children[path].block.workflow)
    return cut is not None and cut.wait is not None and cut.wait.name == run_id


def asks_anew(parent: Parent, state: RunState | None) -> bool:
    """Whether the start of this child is for another wait than the one it knows of; `state` None: it is not known."""
    if parent.again or state is None or state.parent is None:
        return parent.again
    known = state.parent
    is_same = (known.run_id, known.incarnation, known.path) == (parent.run_id, parent.incarnation, parent.path)
    return is_same and parent.number > known.number


def child_problem(run_id: str, parent: Parent, state: RunState | None) -> Reject | None:
    """Why this child cannot answer the parent that asks anew; None if it can be told to go on, or has succeeded.

    A child that is not known is never begun: it had begun, so its effects may have happened under keys of its own.
    """
    if state is None:
        return Reject("child_expired", f"run {run_id} ended too long ago: its state is not kept")
    known = state.parent
    if known is None or (known.run_id, known.incarnation, known.path) != (
        parent.run_id,
        parent.incarnation,
        parent.path,
    ):
        return Reject("run_id_taken", f"run {run_id} is no child of run {parent.run_id} at {parent.path}")
    if parent.number <= known.number:
        return Reject("child_was_asked", f"run {run_id} answers to a later retry of its parent")
    if state.running:
        return Reject("child_under_way", f"run {run_id} has not ended yet, as what it did is undone first: retry later")
    return None
