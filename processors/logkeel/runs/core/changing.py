"""Changes to a state that several events make: writes, arrivals at a join, and what goes when a block is left. Pure."""

from collections.abc import Iterable, Mapping, MutableMapping
from itertools import groupby
from operator import attrgetter
from typing import TypeVar

from msgspec.structs import replace

from logkeel.records import FieldWrite, RunEvent
from logkeel.records.combining import COMBINING_OPERATIONS, combined
from logkeel.runs.core.elements import ELEMENT_OPERATIONS, add_rows, change, let_go
from logkeel.runs.core.paths import below, fields_below, is_under, locate
from logkeel.runs.core.places import is_root
from logkeel.runs.core.state import FieldPointer, RunState, ScopeState, WaitState
from logkeel.runs.core.targets import Target, ToJoin
from logkeel.runs.core.undo_paths import KEPT

V = TypeVar("V")

INLINE_BYTES = 512
"""A payload up to this size stands in its field's pointer: one row instead of two."""


def write(state: RunState, scope: str, writes: Iterable[FieldWrite], revision: int) -> None:
    """Change fields of a scope as an event says."""
    for name, group in groupby(writes, attrgetter("field")):
        together = tuple(group)
        if any(each.operation in ELEMENT_OPERATIONS for each in together):
            change(state, scope, name, together, revision)
        else:
            for each in together:
                _write_one(state, scope, each, revision)


def _write_one(state: RunState, scope: str, one: FieldWrite, revision: int) -> None:
    if one.is_control and one.operation in COMBINING_OPERATIONS:
        pointer = FieldPointer(revision=revision, is_control=True, control=one.control, extends=one.operation)
        merge(state, scope, one.field, pointer, revision)
        return
    if one.is_control or one.payload is None:
        pointer = FieldPointer(revision=revision, is_control=one.is_control, control=one.control)
    else:
        small = one.payload.data is not None and len(one.payload.data) <= INLINE_BYTES
        pointer = FieldPointer(revision=revision, payload=one.payload if small else None)
        if not small:
            state.values[one.field, revision] = one.payload
    point(state, scope, one.field, pointer)


def point(state: RunState, scope: str, name: str, pointer: FieldPointer) -> None:
    """Point a field; the value that it pointed at goes."""
    known = state.fields.get((scope, name))
    if known is not None:
        let_go(state, name, known)
    state.fields[scope, name] = pointer


def merge(state: RunState, scope: str, name: str, pointer: FieldPointer, revision: int) -> None:
    """Bring into a scope what was written below it: instead of what it has, or in addition to it."""
    if pointer.extends is None:
        point(state, scope, name, pointer)
        return
    known = state.fields.get((scope, name))
    if known is None:
        whole = pointer.generation is not None and is_root(scope)
        state.fields[scope, name] = replace(pointer, extends=None) if whole else pointer
    elif pointer.is_control:
        control = combined(pointer.extends, known.control, pointer.control)
        newest = max(known.revision, pointer.revision)
        state.fields[scope, name] = replace(known, control=control, is_control=True, revision=newest)
    else:
        add_rows(state, scope, name, pointer, revision)


def arrive(state: RunState, after: Target, inside: str) -> None:
    """If `after` is a join, one more branch has come to it."""
    if isinstance(after, ToJoin):
        path = locate(after.path, inside)
        fork = state.forks[path]
        state.forks[path] = ScopeState(fork.remaining - 1, (*fork.arrived, after.index))


def begin_wait(state: RunState, path: str, wait: WaitState) -> None:
    """Something waits from now on."""
    end_wait(state, path)
    state.head.open_waits += 1
    state.head.open_sagas += wait.kind == "saga"
    state.head.open_undos += wait.kind == "undo"
    state.waits[path] = wait


def end_wait(state: RunState, path: str) -> None:
    """Nothing waits there any more."""
    wait = state.waits.pop(path, None)
    if wait is not None:
        state.head.open_waits -= 1
        state.head.open_sagas -= wait.kind == "saga"
        state.head.open_undos -= wait.kind == "undo"


def end_saga(state: RunState, saga: str) -> None:
    """The saga is over. Unless one around it is open, nothing of it is undone any more, and nothing is kept for it."""
    end_wait(state, saga)
    around = [path for path, wait in state.waits.items() if wait.kind == "saga" and is_under(saga, path)]
    if not around:
        for key in fields_below(state.fields, f"{KEPT}{saga}"):
            del state.fields[key]


def hold(state: RunState, path: str, revision: int) -> None:
    """The step is sent when the run goes on."""
    state.head.held_steps += path not in state.held
    state.held[path] = revision


def unhold(state: RunState, path: str) -> None:
    """The step is not held back any more."""
    if state.head.held_steps and state.held.pop(path, None) is not None:
        state.head.held_steps -= 1


def free(state: RunState, path: str, used: Mapping[str, int] | None = None) -> None:
    """The claim to slots of limits has ended: whoever records events gives them back. `used`: of budgets, by unit."""
    claim = state.claims.pop(path, None)
    if claim is not None:
        state.head.claims -= 1
        state.freed.append((path, claim if used is None else replace(claim, used=used)))


def reserve_descendants(state: RunState, event: RunEvent) -> int:
    """A child run is asked for: it and what it may start count from now on. Returns how many."""
    reserved = _descendants(event)
    state.head.descendants += reserved
    return reserved


def free_descendants(state: RunState, event: RunEvent, reserved: int) -> None:
    """A child run is over: what it did not use of its share is free again."""
    state.head.descendants -= max(0, reserved - 1 - _descendants(event))


def _descendants(event: RunEvent) -> int:
    return int(event.attributes.get("descendants", "0"))


def clear_under(state: RunState, path: str) -> None:
    """Forget what is open inside of a block: waits, forks, elements, and what they wrote. Its steps have ended."""
    if state.head.open_waits:
        for each, wait in below(state.waits, path):
            (end_saga if wait.kind == "saga" else end_wait)(state, each)
    if state.head.held_steps:
        for each, _ in below(state.held, path):
            unhold(state, each)
    if state.head.claims:
        for each, _ in below(state.claims, path):
            free(state, each)
    _forget(state.forks, path)
    _forget(state.eaches, path)
    _forget(state.items, path)
    if state.head.failed_elements:
        _forget_failed(state, path)
    clear_fields_under(state, path)


def clear_fields_under(state: RunState, path: str) -> None:
    """Forget what was written in the scopes inside of a block."""
    for scope, name in fields_below(state.fields, path):
        let_go(state, name, state.fields.pop((scope, name)))


def _forget_failed(state: RunState, path: str) -> None:
    """Elements that have failed in there are not retried any more."""
    for closed in (state.failed_elements, state.again):
        for each, _ in below(closed, path):
            del closed[each]
            state.head.failed_elements -= 1
    _forget(state.ended_eaches, path)
    _forget(state.cut, path)


def _forget(places: MutableMapping[str, V], path: str) -> None:
    for each, _ in below(places, path):
        del places[each]


def path_of(event: RunEvent) -> str:
    """The path that an event is about."""
    return event.path or ""
