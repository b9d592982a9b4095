"""Fields that are kept element by element: one row per element, so that a write costs what it adds. Pure.

The rows of a field lie below a generation: the revision that began them. A list counts its positions, a map has its
elements at positions too, in the order of their first puts, and a second row per key that says which one. So replacing
a value is a new generation at once; what was there goes in bites, with the events that follow (P19). Rows name no
scope: a pointer that moves to another scope takes them along.

A pointer in the scope of a branch that `extends` adds to what the scopes around it have: the layers of a value,
outermost first. A row without payload hides the element of that key in the layers before it.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from msgspec.structs import replace

from logkeel.records import FieldWrite, Payload
from logkeel.runs.core.places import is_root
from logkeel.runs.core.state import ElementRow, FieldPointer, RunState, StaleRows

SWEPT_ROWS = 256
"""Rows of a former generation that one event deletes: some milliseconds, and a small part of a transaction."""

ELEMENT_OPERATIONS = frozenset({"append", "put", "remove"})


class Element(NamedTuple):
    """An element as it is seen. `key` None: of a list."""

    key: str | None
    payload: Payload


class Rows:
    """The rows of a field in a scope while one event changes them; `save` writes its pointer."""

    def __init__(self, state: RunState, scope: str, name: str, revision: int) -> None:
        self._state, self._scope, self._name, self._revision = state, scope, name, revision
        known = state.fields.get((scope, name))
        self._former = known
        if known is not None and known.generation is not None:
            self._generation, self.end, self._count, self._extends = (
                known.generation,
                known.end,
                known.count,
                known.extends,
            )
        else:
            self._generation, self.end, self._count = revision, 0, 0
            self._extends = None if known is not None or is_root(scope) else "append"

    def clear(self) -> None:
        """The value is empty from now on."""
        if self._former is not None and self._former.generation != self._revision:
            let_go(self._state, self._name, self._former)
        else:
            # Begun by this event: its positions are counted anew at once.
            drop(self._state, self._name, self._generation, StaleRows(0, self.end))
        self._former = None
        self._generation, self.end, self._count, self._extends = self._revision, 0, 0, None

    def append(self, payload: Payload, position: int | None = None) -> None:
        """One more element of a list; at a reserved position, if it is given."""
        self._set(ElementRow(payload=payload), position)
        self._count += 1

    def put(self, key: str, payload: Payload, position: int | None = None) -> None:
        """The element of that key; where it was, if it was there."""
        known = self._state.positions.get((self._name, self._generation, key))
        if known is None:
            self._set(ElementRow(key=key, payload=payload), position)
            self._count += 1
            return
        hidden = self._state.elements[self._name, self._generation, known].payload is None
        self._count += hidden
        self._state.elements[self._name, self._generation, known] = ElementRow(key=key, payload=payload)

    def remove(self, key: str) -> None:
        """No element of that key any more."""
        known = self._state.positions.get((self._name, self._generation, key))
        if known is not None:
            self._count -= self._state.elements[self._name, self._generation, known].payload is not None
        if self._extends is not None:
            row = ElementRow(key=key)
            if known is None:
                self._set(row, None)
            else:
                self._state.elements[self._name, self._generation, known] = row
        elif known is not None:
            drop(self._state, self._name, self._generation, StaleRows(known, known + 1))

    def reserve(self, count: int) -> int:
        """Keep so many positions free; gives the first of them."""
        first = self.end
        self.end += count
        return first

    def save(self) -> None:
        """Write the pointer; rows of a former value go."""
        pointer = FieldPointer(
            revision=self._revision,
            generation=self._generation,
            end=self.end,
            count=self._count,
            extends=self._extends,
        )
        if self._former is not None and self._former.generation is None:
            let_go(self._state, self._name, self._former)
        self._state.fields[self._scope, self._name] = pointer

    def _set(self, row: ElementRow, position: int | None) -> None:
        where = self.reserve(1) if position is None else position
        self._state.elements[self._name, self._generation, where] = row
        if row.key is not None:
            self._state.positions[self._name, self._generation, row.key] = where


def change(state: RunState, scope: str, name: str, writes: Iterable[FieldWrite], revision: int) -> None:
    """Carry out writes to one field that is kept element by element."""
    rows = Rows(state, scope, name, revision)
    for each in writes:
        if each.operation == "remove" and each.element_key is not None:
            rows.remove(each.element_key)
        elif each.payload is None:
            rows.clear()
        elif each.operation == "put" and each.element_key is not None:
            rows.put(each.element_key, each.payload)
        else:
            rows.append(each.payload)
    rows.save()


def add_rows(state: RunState, scope: str, name: str, pointer: FieldPointer, revision: int) -> None:
    """What a branch has added moves behind what the scope has."""
    rows = Rows(state, scope, name, revision)
    generation = pointer.generation or 0
    for position in range(pointer.end):
        row = state.elements.get((name, generation, position))
        if row is None:
            continue
        if row.key is None and row.payload is not None:
            rows.append(row.payload)
        elif row.key is not None and row.payload is not None:
            rows.put(row.key, row.payload)
        elif row.key is not None:
            rows.remove(row.key)
    drop(state, name, generation, StaleRows(0, pointer.end))
    rows.save()


def let_go(state: RunState, name: str, pointer: FieldPointer) -> None:
    """Nothing points at this value any more: its payload goes, its rows begin to."""
    if pointer.generation is not None:
        _begin_to_drop(state, name, pointer.generation, pointer.end)
    elif not pointer.is_control and pointer.payload is None:
        state.values.pop((name, pointer.revision), None)


def sweep(state: RunState) -> None:
    """Delete some rows that nothing points at, those of the first value in the order of names."""
    name, generation = min(state.stale)
    stale = state.stale.pop((name, generation))
    state.head.stale -= 1
    _drop_some(state, name, generation, stale)


def drop(state: RunState, name: str, generation: int, rows: StaleRows) -> None:
    """Delete rows of one value."""
    for position in range(rows.start, rows.end):
        row = state.elements.pop((name, generation, position), None)
        if row is not None and row.key is not None:
            state.positions.pop((name, generation, row.key), None)


def elements_of(state: RunState, name: str, layers: tuple[FieldPointer, ...]) -> Iterator[Element]:
    """The elements of a value, in their order; `layers` as `layers_of` gives them."""
    position = (0, 0)
    while (found := next_element(state, name, layers, position)) is not None:
        element, position = found
        yield element


def next_element(
    state: RunState, name: str, layers: tuple[FieldPointer, ...], start: tuple[int, int]
) -> tuple[Element, tuple[int, int]] | None:
    """The first element from there on, given as (layer, position), and where to look for the next one."""
    number, position = start
    while number < len(layers):
        layer = layers[number]
        while position < layer.end:
            row = state.elements.get((name, layer.generation or 0, position))
            position += 1
            element = None if row is None else _seen(state, name, layers, number, row)
            if element is not None:
                return element, (number, position)
        number, position = number + 1, 0
    return None


def count_of(state: RunState, name: str, layers: tuple[FieldPointer, ...]) -> int:
    """How many elements a value has. Only the layers behind the first one are looked at."""
    count = layers[0].count if layers else 0
    for number, layer in enumerate(layers[1:], 1):
        for position in range(layer.end):
            row = state.elements.get((name, layer.generation or 0, position))
            if row is not None:
                known = row.key is not None and _last(state, name, layers[:number], row.key) is not None
                count += (row.payload is not None) - known
    return count


def _seen(state: RunState, name: str, layers: tuple[FieldPointer, ...], number: int, row: ElementRow) -> Element | None:
    """A row as it is seen where it stands: a key has the value of its last layer at the place of its first one."""
    if row.key is None:
        return None if row.payload is None else Element(None, row.payload)
    if number and _last(state, name, layers[:number], row.key) is not None:
        return None
    payload = _last(state, name, layers, row.key) if len(layers) > 1 else row.payload
    return None if payload is None else Element(row.key, payload)


def _last(state: RunState, name: str, layers: tuple[FieldPointer, ...], key: str) -> Payload | None:
    """What the last layer that knows the key says of it."""
    for layer in reversed(layers):
        position = state.positions.get((name, layer.generation or 0, key))
        if position is not None:
            return state.elements[name, layer.generation or 0, position].payload
    return None


def _begin_to_drop(state: RunState, name: str, generation: int, end: int) -> None:
    _drop_some(state, name, generation, StaleRows(0, end))


def _drop_some(state: RunState, name: str, generation: int, stale: StaleRows) -> None:
    until = min(stale.end, stale.start + SWEPT_ROWS)
    drop(state, name, generation, StaleRows(stale.start, until))
    if until < stale.end:
        state.stale[name, generation] = replace(stale, start=until)
        state.head.stale += 1
