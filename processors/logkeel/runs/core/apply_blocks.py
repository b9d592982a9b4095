"""What the events of blocks, waits and questions do to the state. Part of `apply`. Pure."""

from msgspec.structs import replace

from logkeel.definitions import HumanBlock, SignalBlock, SleepBlock, WaitBlock
from logkeel.errors import InvariantViolation
from logkeel.records import RunEvent
from logkeel.runs.core import apply_each, apply_sagas
from logkeel.runs.core.changing import (
    arrive,
    begin_wait,
    clear_under,
    end_wait,
    free_descendants,
    merge,
    path_of,
    reserve_descendants,
    unhold,
    write,
)
from logkeel.runs.core.choosing import chosen
from logkeel.runs.core.paths import static
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.state import BlockEnd, BlockWaitKind, RunState, ScopeState, WaitState

FAIL = "fail"
"""Stands for the verb of an answer where the policy for no answer is a failure."""

TIMED_OUT = "timed out"
"""Why a wait for a signal ended without one."""


def entered(state: RunState, event: RunEvent, plan: Plan) -> None:
    """A fork, a case of a branch, a round of a loop, a block whose time is limited from now on, elements."""
    path = path_of(event)
    shape = static(path)
    if shape in plan.forks:
        fork = plan.forks[path]
        state.forks[path] = ScopeState(len(fork.branches))
        for branch in fork.branches:
            arrive(state, branch.first, path)
    elif shape in plan.choices:
        arrive(state, chosen(state, plan, plan.choices[path]), path)
    elif shape in plan.limits:
        begin_wait(state, path, _wait("within", event))
        arrive(state, plan.limits[path].first, path)
    elif shape in plan.inlines:
        inline = plan.inlines[path]
        write(state, inline.inner, event.writes, event.revision)
        arrive(state, inline.first, path)
    elif shape in plan.sagas:
        apply_sagas.entered(state, event, plan)
    elif shape in plan.eaches:
        apply_each.entered(state, event, plan)


def left(state: RunState, event: RunEvent, plan: Plan) -> None:
    """A join, a loop that ends, or a block that ended in time.

    At a join the branches' writes move into the surrounding scope, in branch order (AUTHORING, visibility). Of a fork
    that needs only some of them, the others are gone.
    """
    path = path_of(event)
    shape = static(path)
    if shape in plan.forks:
        _join(state, path, plan, event.revision)
        arrive(state, plan.forks[path].after, path)
    elif shape in plan.loops:
        clear_under(state, path)
        arrive(state, plan.loops[path].after, path)
    elif shape in plan.inlines:
        inline = plan.inlines[path]
        clear_under(state, path)
        write(state, inline.scope, event.writes, event.revision)
        arrive(state, inline.after, path)
    elif shape in plan.sagas:
        apply_sagas.left(state, event, plan)
    elif shape in plan.eaches:
        apply_each.left(state, event, plan)
    else:
        end_wait(state, path)
        arrive(state, plan.limits[path].after, path)


def _join(state: RunState, path: str, plan: Plan, revision: int) -> None:
    fork, open_fork = plan.forks[path], state.forks.get(path)
    count = len(fork.branches)
    if open_fork is None or count - open_fork.remaining < fork.needs:
        raise InvariantViolation(f"{path} cannot be joined", run_id=state.info.run_id)
    del state.forks[path]
    for index, branch in enumerate(fork.branches):
        if open_fork.remaining and index not in open_fork.arrived:
            continue
        for name in branch.fields:
            pointer = state.fields.pop((branch.scope, name), None)
            if pointer is not None:
                merge(state, fork.scope, name, pointer, revision)
    if open_fork.remaining:
        clear_under(state, path)


def rescued(state: RunState, event: RunEvent, plan: Plan) -> None:
    """What was open in the body is gone, and the handler of that name begins."""
    path = path_of(event)
    clear_under(state, path)
    for handler, first in plan.rescues[path].handlers:
        if handler.on == event.name:
            arrive(state, first, path)
            return
    raise InvariantViolation(f"{path} has no handler {event.name}", run_id=state.info.run_id)


def timed_out(state: RunState, event: RunEvent, plan: Plan) -> None:
    """The time of a block is over: what was open in it is gone."""
    path = path_of(event)
    clear_under(state, path)
    end_wait(state, path)
    late = plan.limits[path].late
    if late is not None:
        arrive(state, late, path)
    else:
        state.head.block_end = BlockEnd("within", path, event.revision)


def wait_started(state: RunState, event: RunEvent, plan: Plan) -> None:
    """A sleep, or a wait for a signal."""
    kind: BlockWaitKind = "sleep" if event.name == "sleep" else "signal"
    wait = _wait(kind, event)
    if kind == "signal":
        wait = replace(wait, name=event.reason or "", correlation=event.attributes.get("correlation"))
    begin_wait(state, path_of(event), wait)


def wait_ended(state: RunState, event: RunEvent, plan: Plan) -> None:
    """The wait is over, or the question is answered. A signal that ended it is used up."""
    path = path_of(event)
    for used in event.reads:
        if state.signals.pop(used.revision, None) is None:
            raise InvariantViolation(f"signal {used.revision} is used twice", run_id=state.info.run_id)
    end_wait(state, path)
    placed = plan.waits[path]
    write(state, placed.scope, event.writes, event.revision)
    if _fails(event, placed.block):
        state.head.block_end = BlockEnd("wait", path, event.revision)
    else:
        arrive(state, placed.after, path)


def question_asked(state: RunState, event: RunEvent, plan: Plan) -> None:
    """A human is asked."""
    block = plan.waits[path_of(event)].block
    remind_ms = getattr(block, "remind_ms", None)
    wait = replace(
        _wait("question", event),
        assignee=event.actor,
        remind_ms=None if remind_ms is None else event.at_ms + remind_ms,
    )
    begin_wait(state, path_of(event), wait)


def question_reassigned(state: RunState, event: RunEvent, plan: Plan) -> None:
    """Somebody else is asked."""
    path = path_of(event)
    wait = _open(state, path)
    escalated = wait.escalated or event.actor is None
    state.waits[path] = replace(wait, assignee=event.name, due_ms=event.due_ms, escalated=escalated)


def question_reminded(state: RunState, event: RunEvent, plan: Plan) -> None:
    """Asked again, until the next time."""
    path = path_of(event)
    state.waits[path] = replace(_open(state, path), remind_ms=event.due_ms)


def child_started(state: RunState, event: RunEvent, plan: Plan) -> None:
    """A child run is asked for, and awaited unless it is detached."""
    path = path_of(event)
    placed = plan.children[path]
    unhold(state, path)
    state.cut.pop(path, None)
    reserved = reserve_descendants(state, event)
    if placed.block.detach:
        arrive(state, placed.after, path)
    else:
        begin_wait(state, path, replace(_wait("child", event), name=event.name or "", reserved=reserved))


def child_ended(state: RunState, event: RunEvent, plan: Plan) -> None:
    """The child is over: what it did not use of its share is free again."""
    path = path_of(event)
    wait, placed = _open(state, path), plan.children[path]
    free_descendants(state, event, wait.reserved)
    end_wait(state, path)
    write(state, placed.scope, event.writes, event.revision)
    if event.error is None:
        arrive(state, placed.after, path)
    else:
        child = None if "refused" in event.attributes else event.name
        state.head.block_end = BlockEnd("child", path, event.revision, child)


def end_all_waits(state: RunState) -> None:
    """The run has ended."""
    if state.head.open_waits:
        for path in list(state.waits):
            end_wait(state, path)


def _fails(event: RunEvent, block: WaitBlock) -> bool:
    """Whether nobody answered in time, and that is a failure."""
    match block:
        case HumanBlock():
            return event.name == FAIL
        case SignalBlock(on_timeout=policy):
            return event.reason == TIMED_OUT and policy == "fail"
        case SleepBlock():
            return False


def _wait(kind: BlockWaitKind, event: RunEvent) -> WaitState:
    return WaitState(kind=kind, number=event.revision, since_ms=event.at_ms, due_ms=event.due_ms)


def _open(state: RunState, path: str) -> WaitState:
    wait = state.waits.get(path)
    if wait is None:
        raise InvariantViolation(f"nothing waits at {path}", run_id=state.info.run_id)
    return wait
