"""Moving through the flow: what follows what has ended, as far as it goes without waiting. Pure.

One list of what is to be gone on with, worked off from its end: a loop of many short rounds nests nothing. A failure
looks for the innermost rescue block around it that has a handler for it; without one the run ends.
"""

from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

from logkeel.errors import InvariantViolation
from logkeel.records import ErrorInfo, FieldWrite, RunStatus
from logkeel.runs.core import budget_asking, child_budgets, children, undoing
from logkeel.runs.core.actions import SetTimer
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.budgets import exhausted, lack_of, run_budgets
from logkeel.runs.core.choosing import chosen, control_at, leaves
from logkeel.runs.core.each import end_element, fail_element, has_ended, next_again, next_path
from logkeel.runs.core.flow import cancel_under, clear_timers, complete, dispatch
from logkeel.runs.core.paths import in_round, locate, round_of, static, without_element
from logkeel.runs.core.places import PlacedRescue
from logkeel.runs.core.reading import command_problem, copied, field_value, inputs_of, result_of, result_problem
from logkeel.runs.core.reducing import is_reduced, outcome, reduction_of
from logkeel.runs.core.sagas import is_ending, region_of
from logkeel.runs.core.state import Deferred
from logkeel.runs.core.targets import (
    Target,
    ToChild,
    ToChoice,
    ToEach,
    ToElementEnd,
    ToElements,
    ToEnd,
    ToFork,
    ToInline,
    ToInlineEnd,
    ToJoin,
    ToLeave,
    ToLimit,
    ToLimitEnd,
    ToLoop,
    ToRound,
    ToSaga,
    ToSagaEnd,
    ToStep,
    ToUndone,
    ToWait,
)
from logkeel.runs.core.waits import begin


class _Next(NamedTuple):
    """A target, the run's path that it is reached from, and the fork that must be open still."""

    target: Target
    inside: str
    fork: str | None = None


_Following = tuple[_Next, ...]


def go_to(turn: Activation, target: Target, inside: str = "") -> None:
    """Go on with `target`, coming from the run's path `inside`."""
    _work_off(turn, (_Next(target, inside),))


def fail(turn: Activation, path: str, error: ErrorInfo, reason: str) -> None:
    """Something at this path has failed for good: a handler goes on, or the run ends."""
    _work_off(turn, _failed(turn, path, error, reason))


def limit_over(turn: Activation, path: str) -> None:
    """The time of a block is over: it is cancelled, and what was said for this follows."""
    if undoing.begin(turn, path, Deferred(kind="timeout", path=path, reason="its time is over")):
        return
    cancel_under(turn, path, "its time is over")
    turn.record("block_timed_out", path=path)
    late = turn.plan.limits[path].late
    if late is not None:
        go_to(turn, late, path)
        return
    message = f"{path} did not end within {turn.plan.limits[path].timeout_ms} ms"
    fail(turn, path, ErrorInfo(code="timeout", kind="timeout", message=message), f"{path} timed out")


def _work_off(turn: Activation, following: _Following) -> None:
    pending = [*reversed(following)]
    while pending and turn.state.running:
        target, inside, fork = pending.pop()
        if (fork is None or fork in turn.state.forks) and not _is_stopped(turn, target, inside):
            pending.extend(reversed(_go(turn, target, inside)))


def send_held(turn: Activation, path: str) -> None:
    """Go on with a step or child that was held back."""
    if static(path) in turn.plan.children:
        go_to(turn, ToChild(static(path)), path)
    else:
        dispatch(turn, path)


def _is_stopped(turn: Activation, target: Target, inside: str) -> bool:
    """Whether it lies in what is being undone."""
    if not turn.state.head.open_undos or isinstance(target, ToUndone):
        return False
    where = "" if isinstance(target, ToEnd) else locate(target.path, inside)
    return region_of(turn.state, where) is not None


def _go(turn: Activation, target: Target, inside: str) -> _Following:
    if isinstance(target, ToEnd):
        _succeed(turn)
        return ()
    return _HANDLERS[type(target)](turn, locate(target.path, inside))


def _step(turn: Activation, path: str) -> _Following:
    """One whose inputs fit into no command, or that no budget has room for, has failed, where somebody catches it."""
    placed = turn.plan.steps[path]
    inputs = inputs_of(turn.state, turn.plan, placed)
    problem = command_problem(path, inputs) if placed.guards else None
    if problem is not None:
        return _failed(turn, path, problem, f"step {path} cannot be dispatched")
    lack = lack_of(turn.state, turn.plan, path) if run_budgets(turn.state.info, turn.plan) else None
    if lack is not None and not lack.waits and turn.state.head.paused_at_ms is None:
        return _failed(turn, path, exhausted(path, lack), f"step {path} finds too little left")
    dispatch(turn, path, inputs)
    return ()


def _wait(turn: Activation, path: str) -> _Following:
    return (_Next(turn.plan.waits[path].after, path),) if begin(turn, path) else ()


def _fork(turn: Activation, path: str) -> _Following:
    turn.record("block_entered", path=path)
    return tuple(_Next(branch.first, path, path) for branch in turn.plan.forks[path].branches)


def _join(turn: Activation, path: str) -> _Following:
    fork, placed = turn.state.forks.get(path), turn.plan.forks[path]
    if fork is None:
        raise InvariantViolation(f"{path} is joined, but not open", path=path)
    if len(placed.branches) - fork.remaining < placed.needs:
        return ()
    if fork.remaining and undoing.begin(turn, path, Deferred(kind="join", path=path, reason="enough have ended")):
        return ()
    if fork.remaining:
        cancel_under(turn, path, f"{placed.needs} of {len(placed.branches)} branches have ended")
    turn.record("block_left", path=path)
    return (_Next(placed.after, path),)


def _choose(turn: Activation, path: str) -> _Following:
    choice = turn.plan.choices[path]
    first = chosen(turn.state, turn.plan, choice)
    value = control_at(turn.state, turn.plan, choice, choice.field)
    turn.record("block_entered", path=path, name=choice.field, reason=str(value))
    return (_Next(first, path),)


def _first_round(turn: Activation, path: str) -> _Following:
    return _round(turn, in_round(path, 1))


def _round(turn: Activation, path: str) -> _Following:
    turn.record("block_entered", path=path)
    return (_Next(turn.plan.loops[path].first, path),)


def _next_round(turn: Activation, path: str) -> _Following:
    loop, number = turn.plan.loops[path], round_of(path)
    if number < loop.max_rounds:
        return _round(turn, in_round(path, number + 1))
    if loop.fails:
        message = f"{static(path)} was not left within {loop.max_rounds} rounds"
        error = ErrorInfo(code="loop_exhausted", kind="fatal", message=message)
        return _failed(turn, path, error, message)
    turn.record("block_left", path=path, reason="exhausted")
    return (_Next(loop.after, path),)


def _leave(turn: Activation, path: str) -> _Following:
    leave = turn.plan.leaves[path]
    if not leaves(turn.state, turn.plan, leave):
        return (_Next(leave.after, path),)
    loop = locate(leave.loop, path)
    if undoing.begin(turn, loop, Deferred(kind="leave", path=path, reason="the loop is left")):
        return ()
    cancel_under(turn, loop, "the loop is left")
    turn.record("block_left", path=loop, reason=f"{leave.field} is {leave.value}")
    return (_Next(turn.plan.loops[loop].after, loop),)


def _limit(turn: Activation, path: str) -> _Following:
    placed = turn.plan.limits[path]
    turn.record("block_entered", path=path, due_ms=turn.now_ms + placed.timeout_ms)
    turn.do(SetTimer("block", turn.now_ms + placed.timeout_ms, path, turn.state.waits[path].number))
    return (_Next(placed.first, path),)


def _in_time(turn: Activation, path: str) -> _Following:
    wait = turn.state.waits.get(path)
    if wait is None:
        raise InvariantViolation(f"{path} ends, but is not open", path=path)
    clear_timers(turn, path, wait)
    turn.record("block_left", path=path)
    return (_Next(turn.plan.limits[path].after, path),)


def _begin_inner(turn: Activation, path: str) -> _Following:
    placed = turn.plan.inlines[path]
    writes: list[FieldWrite] = []
    for each in placed.block.inputs:
        value = field_value(turn.state, turn.plan, each.outer, placed.reading)
        writes += copied(value, turn.plan.fields_at(placed.inner)[each.inner], whole=True)
    turn.record("block_entered", path=path, writes=tuple(writes), attributes={"inline": placed.block.workflow})
    return (_Next(placed.first, path),)


def _end_inner(turn: Activation, path: str) -> _Following:
    placed, block = turn.plan.inlines[path], turn.plan.inlines[path].block
    writes: tuple[FieldWrite, ...] = ()
    if block.returns is not None and block.writes is not None:
        value = field_value(turn.state, turn.plan, block.returns, (placed.inner,))
        writes = copied(value, turn.plan.fields_at(placed.root)[block.writes], whole=False)
    turn.record("block_left", path=path, writes=writes)
    return (_Next(placed.after, path),)


def _child(turn: Activation, path: str) -> _Following:
    """Held back while the run is paused, as a step is."""
    placed = turn.plan.children[path]
    if turn.state.sends_nothing:
        turn.record("step_held", path=path, step=placed.block.workflow)
        return ()
    lack = child_budgets.lack_of_block(turn.state, turn.plan, path)
    if lack is not None and lack.waits:
        budget_asking.wait(turn, path, placed.block.workflow, lack)
        return ()
    problem = children.begin(turn, path) if lack is None else exhausted(path, lack)
    if problem is not None:
        return _failed(turn, path, problem, problem.message)
    return (_Next(placed.after, path),) if placed.block.detach else ()


def _begin_each(turn: Activation, path: str) -> _Following:
    turn.record("block_entered", path=path, attributes={"each": turn.plan.eaches[path].block.items})
    return _elements(turn, path)


def _elements(turn: Activation, path: str) -> _Following:
    """Begin an element, if one may; the next one is looked at when this one goes on without us."""
    whole = without_element(path)
    each = turn.state.eaches.get(whole)
    if each is None:
        return ()
    again = next_again(turn, whole)
    if again is not None:
        return (*(_Next(*place) for place in _taking_up().begin_again(turn, again)), _more(whole))
    element = next_path(turn, whole)
    if element is not None:
        turn.record("block_entered", path=element, attributes={"element": static(whole)})
        return _Next(turn.plan.eaches[whole].first, element), _more(whole)
    if not has_ended(each):
        return ()
    reduction = reduction_of(turn.plan.eaches[whole].block)
    if reduction is not None and not is_reduced(each):
        turn.record("block_entered", path=whole, attributes={"each": "values", "level": str(each.level + 1)})
        return _elements(turn, whole)
    writes = () if reduction is None else outcome(turn.state, turn.plan.eaches[whole], reduction)
    turn.record("block_left", path=whole, writes=writes)
    return (_Next(turn.plan.eaches[whole].after, whole),)


def _taking_up() -> ModuleType:
    """What is taken up may be in doubt, and what follows from that may lead anywhere in the flow."""
    from logkeel.runs.core import taking_up

    return taking_up


def _end_element(turn: Activation, path: str) -> _Following:
    end_element(turn, path)
    return (_more(without_element(path)),)


def _more(path: str) -> _Next:
    return _Next(ToElements(static(path)), path)


def _succeed(turn: Activation) -> None:
    """The flow has ended; a result that no completion can carry fails the run, and no step runs again for it."""
    result = result_of(turn.state, turn.plan)
    problem = result_problem(result)
    if problem is None:
        complete(turn, "succeeded", result=result)
    else:
        complete(turn, "failed", problem, reason="the result is too large")


def _begin_saga(turn: Activation, path: str) -> _Following:
    turn.record("block_entered", path=path)
    return (_Next(turn.plan.sagas[path].first, path),)


def _end_saga(turn: Activation, path: str) -> _Following:
    turn.record("block_left", path=path)
    return (_Next(turn.plan.sagas[path].after, path),)


def _undone(turn: Activation, path: str) -> _Following:
    """One step less to undo; what was deferred follows the last one."""
    region = region_of(turn.state, path)
    then = None if region is None else undoing.advance(turn, region)
    if then is None:
        return ()
    match then.kind:
        case "fail" if then.error is not None:
            return _failed(turn, then.path, then.error, then.reason or "")
        case "timeout":
            limit_over(turn, then.path)
        case "join":
            return _join(turn, then.path)
        case "leave":
            return _leave(turn, then.path)
        case _:
            complete(turn, then.status or "failed", then.error, reason=then.reason)
    return ()


def _failed(turn: Activation, path: str, error: ErrorInfo, reason: str) -> _Following:
    """An undo step waits for a human; a step whose saga has failed before is undone; else a guard decides, or none."""
    placed = turn.plan.steps.get(static(path))
    if placed is not None and placed.undoes:
        undoing.cannot_undo(turn, path, error)
        return ()
    if placed is not None and is_ending(turn.state, turn.plan, path):
        return _undone(turn, path)
    then = Deferred(kind="fail", path=path, error=error, reason=reason)
    for guard in turn.plan.guards_of(path):
        where = locate(guard, path)
        if guard in turn.plan.sagas:
            if undoing.begin(turn, where, then):
                return ()
            continue
        if guard in turn.plan.eaches:
            if undoing.begin(turn, where, then):
                return ()
            problem = fail_element(turn, where, error, reason)
            whole = without_element(where)
            return (_more(whole),) if problem is None else _failed(turn, whole, problem, problem.message)
        handler = _handler(turn.plan.rescues[where], error)
        if handler is not None and undoing.begin(turn, where, then):
            return ()
        if handler is not None:
            name, first = handler
            cancel_under(turn, where, reason)
            turn.record("block_rescued", path=where, name=name, error=error, reason=reason)
            return (_Next(first, where),)
    status: RunStatus = "invalid_input" if error.kind == "invalid_input" else "failed"
    complete(turn, status, error, reason=reason)
    return ()


def _handler(rescue: PlacedRescue, error: ErrorInfo) -> tuple[str, Target] | None:
    for wanted in (error.code, error.kind, "*"):
        for handler, first in rescue.handlers:
            if handler.on == wanted:
                return handler.on, first
    return None


_HANDLERS: dict[type[Target], Callable[[Activation, str], _Following]] = {
    ToStep: _step,
    ToWait: _wait,
    ToFork: _fork,
    ToJoin: _join,
    ToChoice: _choose,
    ToLoop: _first_round,
    ToRound: _next_round,
    ToLeave: _leave,
    ToLimit: _limit,
    ToLimitEnd: _in_time,
    ToInline: _begin_inner,
    ToInlineEnd: _end_inner,
    ToEach: _begin_each,
    ToElements: _elements,
    ToElementEnd: _end_element,
    ToChild: _child,
    ToSaga: _begin_saga,
    ToSagaEnd: _end_saga,
    ToUndone: _undone,
}
