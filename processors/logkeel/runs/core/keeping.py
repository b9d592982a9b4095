"""Lists that workers keep between commands, so that a command carries what is new. Pure.

A worker says with its result which lists it keeps (`FieldReference.kept_count`); the state notes it, by field. The next
step's first command builds on that if it goes the same way: the same queue, outside of forks, whose branches spread
over the workers. Whoever gets it and keeps nothing answers `StepNeedsState`; later commands of a step are whole.

Only a list whose positions are all taken counts: within its generation it is changed by appending alone. What its
elements take counts against the limit of a command whether they are carried or not: whether a step can be sent must not
depend on who keeps what.
"""

from collections.abc import Iterable

from logkeel.records import ElementValue, FieldReference, FieldValue
from logkeel.records.limits import element_bytes
from logkeel.runs.core.places import PlacedStep
from logkeel.runs.core.state import FieldPointer, KeptList, RunState


def may_build_on(placed: PlacedStep) -> bool:
    """Whether commands of this step go where those of the run's other steps go."""
    return not placed.scopes


def only_grows(layers: tuple[FieldPointer, ...]) -> bool:
    """Whether these layers are one list without gaps."""
    return len(layers) == 1 and layers[0].extends is None and layers[0].count == layers[0].end


def grown_list(state: RunState, name: str, pointer: FieldPointer, queue: str | None) -> FieldValue:
    """The list, from where the worker of `queue` does not have it; whole for None."""
    generation, kept = pointer.generation or 0, state.kept.get(name) if queue is not None else None
    if kept is None or kept.generation != generation or kept.queue != queue or kept.count > pointer.end:
        kept = KeptList(generation, 0, 0, "")
    return FieldValue(
        field=name,
        revision=pointer.revision,
        elements=_elements(state, name, generation, range(kept.count, pointer.end)),
        generation=generation,
        base_count=kept.count,
        base_bytes=kept.size_bytes,
    )


def note_kept(state: RunState, queue: str, reads: Iterable[FieldReference]) -> None:
    """What a result says is kept from now on. Before its writes: they may replace a list."""
    for read in reads:
        if read.generation is None:
            continue
        known = state.kept.get(read.field)
        if known is None or known.generation != read.generation or known.count > read.kept_count:
            known = KeptList(read.generation, 0, 0, queue)
        new = _elements(state, read.field, read.generation, range(known.count, read.kept_count))
        if len(new) == read.kept_count - known.count:
            size_bytes = known.size_bytes + sum(map(element_bytes, new))
            state.kept[read.field] = KeptList(read.generation, read.kept_count, size_bytes, queue)


def _elements(state: RunState, name: str, generation: int, positions: range) -> tuple[ElementValue, ...]:
    rows = (state.elements.get((name, generation, position)) for position in positions)
    return tuple(
        ElementValue(key=row.key, payload=row.payload) for row in rows if row is not None and row.payload is not None
    )
