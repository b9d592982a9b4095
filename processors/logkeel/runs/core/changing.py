"""Changes to a state that several events make: writes, arrivals at a join, and what goes when a block is left. Pure."""

from collections.abc import Iterable

from logkeel.records import FieldWrite, RunEvent
from logkeel.runs.core.paths import is_under, locate
from logkeel.runs.core.state import FieldPointer, RunState, ScopeState, WaitState
from logkeel.runs.core.targets import Target, ToJoin

INLINE_BYTES = 512
"""A payload up to this size stands in its field's pointer: one row instead of two."""


def write(state: RunState, scope: str, writes: Iterable[FieldWrite], revision: int) -> None:
    """Point fields of a scope at what an event wrote."""
    for each in writes:
        if each.is_control or each.payload is None:
            pointer = FieldPointer(revision=revision, is_control=each.is_control, control=each.control)
        else:
            small = each.payload.data is not None and len(each.payload.data) <= INLINE_BYTES
            pointer = FieldPointer(revision=revision, payload=each.payload if small else None)
            if not small:
                state.values[each.field, revision] = each.payload
        point(state, scope, each.field, pointer)


def point(state: RunState, scope: str, name: str, pointer: FieldPointer) -> None:
    """Point a field; the value that it pointed at goes."""
    _let_go(state, name, state.fields.get((scope, name)))
    state.fields[scope, name] = pointer


def arrive(state: RunState, after: Target, inside: str) -> None:
    """If `after` is a join, one more branch has come to it."""
    if isinstance(after, ToJoin):
        path = locate(after.path, inside)
        fork = state.forks[path]
        state.forks[path] = ScopeState(fork.remaining - 1, (*fork.arrived, after.index))


def begin_wait(state: RunState, path: str, wait: WaitState) -> None:
    """Something waits from now on."""
    state.head.open_waits += path not in state.waits
    state.waits[path] = wait


def end_wait(state: RunState, path: str) -> None:
    """Nothing waits there any more."""
    if state.waits.pop(path, None) is not None:
        state.head.open_waits -= 1


def hold(state: RunState, path: str, revision: int) -> None:
    """The step is sent when the run goes on."""
    state.head.held_steps += path not in state.held
    state.held[path] = revision


def let_go(state: RunState, path: str) -> None:
    """The step is not held back any more."""
    if state.head.held_steps and state.held.pop(path, None) is not None:
        state.head.held_steps -= 1


def clear_under(state: RunState, path: str) -> None:
    """Forget what is open inside of a block: waits, forks, and what their branches wrote. Its steps have ended."""
    if state.head.open_waits:
        for each in [each for each in state.waits if is_under(each, path)]:
            end_wait(state, each)
    if state.head.held_steps:
        for each in [each for each in state.held if is_under(each, path)]:
            let_go(state, each)
    for each in [each for each in state.forks if is_under(each, path)]:
        del state.forks[each]
    for scope, name in [key for key in state.fields if is_under(key[0], path)]:
        _let_go(state, name, state.fields.pop((scope, name)))


def path_of(event: RunEvent) -> str:
    """The path that an event is about."""
    return event.path or ""


def _let_go(state: RunState, name: str, pointer: FieldPointer | None) -> None:
    if pointer is not None and not pointer.is_control and pointer.payload is None:
        state.values.pop((name, pointer.revision), None)
