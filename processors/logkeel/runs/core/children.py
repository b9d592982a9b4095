"""Child runs: how they begin, and how many there may be (P29). Pure. `child_ends` says what their end leads to.

A child's identity follows from its parent's and from the path of its block, so it is the same however often the turn is
done. What may be below a run is a number that it divides among its children, each getting its share at its start and
giving back what it did not use: so the tree keeps to its limit without anybody counting it as a whole.
"""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import UnsetType
from msgspec.structs import replace

from logkeel.definitions import FieldDefinition, WorkflowDocument
from logkeel.records import ErrorInfo, FieldWrite, Origin, Parent, StartRun
from logkeel.records.limits import MAX_FIELDS_BYTES, fields_bytes, largest_first
from logkeel.runs.core import child_budgets
from logkeel.runs.core.actions import CancelChild, StartChild
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.child_again import child_run_id, code_child_run_id, is_again
from logkeel.runs.core.paths import place_in_code
from logkeel.runs.core.places import PlacedChild
from logkeel.runs.core.reading import copied, field_value
from logkeel.runs.core.state import RunInfo, WaitState

MAX_DEPTH = 8
"""Generations below a run whose definition does not say: agents that call agents are a handful deep; an endless
recursion ends soon."""

MAX_DESCENDANTS = 1_000
"""Child runs below a run whose definition does not say: enough for a wide search, and too few to fill a cluster."""


class TreeLimits(NamedTuple):
    """How deep a run is, how deep any run below it may be, and how many runs there may be below it."""

    depth: int
    max_depth: int
    max_descendants: int


def limits_of(info: RunInfo, document: WorkflowDocument) -> TreeLimits:
    """What the run may have below it: as its parent allows, and no more than its own definition does."""
    depth = 0 if info.parent is None else info.parent.depth
    max_depth = [] if isinstance(document.max_depth, UnsetType) else [depth + document.max_depth]
    descendants = [] if isinstance(document.max_descendants, UnsetType) else [document.max_descendants]
    if info.parent is not None:
        max_depth.append(info.parent.max_depth)
        descendants.append(info.parent.max_descendants)
    return TreeLimits(depth, min(max_depth, default=depth + MAX_DEPTH), min(descendants, default=MAX_DESCENDANTS))


def child_of_code(turn: Activation, path: str, position: str, workflow: str) -> str:
    """The run id of the child that code of this step starts at this position."""
    return code_child_run_id(turn.state.info, turn.state.steps[path], place_in_code(path, position), workflow)


def begin(turn: Activation, path: str) -> ErrorInfo | None:
    """Start the child of this block; why that cannot be, if so."""
    placed, info = turn.plan.children[path], turn.state.info
    block, limits = placed.block, limits_of(replace(info, parent=turn.state.parent), turn.plan.document)
    left = limits.max_descendants - turn.state.head.descendants
    inputs = _inputs(turn, placed)
    problem = start_problem(path, limits, left, inputs)
    if problem is not None:
        return problem
    share = 0 if block.leaf else (left - 1) // placed.width
    run_id = child_run_id(info, path, block.workflow)
    facts = {"workflow": block.workflow, "version": block.version, "descendants": str(1 + share)}
    if block.detach:
        facts["detached"] = "true"
    again = is_again(turn.state, turn.plan, path)
    if again:
        facts["again"] = "true"
    budget = child_budgets.share_of_block(turn.state, turn.plan, path)
    turn.record("child_started", path=path, name=run_id, attributes=facts, amounts=budget)
    parent = parent_of(turn, path, limits, share, budget)
    request = StartRun(workflow=block.workflow, version=block.version, run_id=run_id, inputs=inputs)
    ask_for(turn, request, replace(parent, detached=block.detach, again=again))
    return None


def parent_of(turn: Activation, path: str, limits: TreeLimits, share: int, budget: Mapping[str, int]) -> Parent:
    """What the child knows of this run, behind the recorded event that says it is started; `share` may be below it.

    `budget`: what it and those may use, by unit.
    """
    return Parent(
        run_id=turn.state.info.run_id,
        incarnation=turn.state.info.incarnation,
        path=path,
        number=turn.state.head.revision,
        depth=limits.depth + 1,
        max_depth=limits.max_depth,
        max_descendants=share,
        budget=child_budgets.allowances(turn.state, turn.plan, budget),
    )


def ask_for(turn: Activation, request: StartRun, parent: Parent) -> None:
    """Start this child."""
    info = turn.state.info
    origin = Origin(run_id=info.run_id, incarnation=info.incarnation, revision=parent.number)
    life = _life(turn, parent.number)
    request_id = f"{request.run_id}/start" + ("" if life is None else f"/{life}")
    turn.do(StartChild(replace(request, request_id=request_id, origin=origin, trace=info.trace, parent=parent)))


def give_up(turn: Activation, path: str, wait: WaitState, reason: str) -> None:
    """Nobody waits for this child any more: it is cancelled, unless its author lets it go on."""
    if turn.plan.children[path].block.on_cancel == "cancel":
        turn.do(CancelChild(wait.name, reason, _life(turn, wait.number)))


def give_up_code(turn: Activation, path: str, reason: str) -> None:
    """The code of this step goes on no more: nobody waits for the children it has started."""
    if turn.plan.steps[path].definition.journaled is not True:
        return
    for position, wait in sorted(turn.state.journal_waits.of(path)):
        if wait.kind == "child":
            give_up_wait(turn, path, position, reason)


def give_up_wait(turn: Activation, path: str, position: str, reason: str) -> None:
    """Nobody waits for this child of code any more, if it was started."""
    wait, entry = turn.state.journal_waits[path, position], turn.state.journal[path, position]
    if wait.reserved and entry.child is not None and not entry.child.abandon:
        run_id = child_of_code(turn, path, position, entry.child.workflow)
        turn.do(CancelChild(run_id, reason, _life(turn, wait.revision)))


def _life(turn: Activation, number: int) -> int | None:
    """Which wait of a run that was retried: its requests about the same child are others than those of before."""
    return number if turn.state.head.retries else None


def _inputs(turn: Activation, placed: PlacedChild) -> tuple[FieldWrite, ...]:
    """What the child begins with. Both fields are of the same kind: the flow was checked."""
    known = turn.plan.fields_at(placed.root)
    writes: list[FieldWrite] = []
    for each in placed.block.inputs:
        value = field_value(turn.state, turn.plan, each.outer, placed.reading)
        outer = known.get(each.outer) or FieldDefinition(name=each.outer)  # the element of an each block is no field
        writes += copied(value, replace(outer, name=each.inner), whole=True)
    return tuple(writes)


def start_problem(path: str, limits: TreeLimits, left: int, inputs: tuple[FieldWrite, ...]) -> ErrorInfo | None:
    """Why no child can be started at this path; `left`: how many there may be yet. None if one can."""
    if limits.depth >= limits.max_depth:
        message = f"{path} would start a run {limits.depth + 1} deep, and {limits.max_depth} is the limit (max_depth)"
        return ErrorInfo(code="child_too_deep", kind="fatal", message=message)
    if left < 1:
        message = (
            f"{path} would start one child run more than the {limits.max_descendants} there may be below this run"
            " (max_descendants)"
        )
        return ErrorInfo(code="too_many_descendants", kind="fatal", message=message)
    size_bytes = fields_bytes(inputs)
    if size_bytes > MAX_FIELDS_BYTES:
        message = (
            f"the child run of {path} would begin with {size_bytes} bytes, and a start carries at most"
            f" {MAX_FIELDS_BYTES}: {largest_first(inputs)}. Map fewer fields, or let large values go by reference"
        )
        return ErrorInfo(code="child_input_too_large", kind="fatal", message=message)
    return None
