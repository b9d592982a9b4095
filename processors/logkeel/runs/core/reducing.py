"""Blocks that reduce: groups of elements become one value each, level by level, until one is left. Pure.

The values of a level are a list in a scope of the block's own, under one of two names: a level reads the one and writes
the other. So a level costs what it adds, and the scope goes with the block, however that is left.
"""

from typing import NamedTuple

from msgspec import UnsetType
from msgspec.structs import replace

from logkeel.definitions import EachBlock
from logkeel.records import FieldWrite, Payload
from logkeel.runs.core.elements import Element, Rows, count_of, next_element
from logkeel.runs.core.places import PlacedEach
from logkeel.runs.core.reading import layers_of, with_rows
from logkeel.runs.core.state import EachState, RunState


class Reduction(NamedTuple):
    """How a block reduces."""

    fan_in: int
    into: str


def reduction_of(block: EachBlock) -> Reduction | None:
    """None: it does not."""
    if isinstance(block.fan_in, UnsetType) or isinstance(block.into, UnsetType):
        return None
    return Reduction(block.fan_in, block.into)


def level_scope(path: str) -> str:
    """Where the values of the levels are."""
    return f"{path}#level"


def level_name(level: int) -> str:
    """What those of a level are called: no field of a state has such a name."""
    return f"#{level % 2}"


def begin_level(state: RunState, placed: PlacedEach, reduction: Reduction, revision: int) -> None:
    """Go through the field, or through the values of the level before. One element alone is a value as it is."""
    path, known = placed.path, state.eaches.get(placed.path)
    level = 0 if known is None else known.level + 1
    name = placed.block.items if known is None else level_name(level - 1)
    scopes = placed.reading if known is None else (level_scope(path),)
    layers = with_rows(layers_of(state, name, scopes))
    count = count_of(state, name, layers)
    total = -(-count // reduction.fan_in) if count > 1 else 0
    rows = Rows(state, level_scope(path), level_name(level), revision)
    rows.clear()
    first = rows.reserve(total)
    rows.save()
    state.eaches[path] = EachState(layers=layers, total=total, collect_from=first, level=level, count=count)


def source_of(each: EachState, placed: PlacedEach) -> str:
    """The name of what this level goes through."""
    return placed.block.items if each.level == 0 else level_name(each.level - 1)


def next_group(state: RunState, placed: PlacedEach, each: EachState) -> tuple[list[Element], EachState]:
    """The elements of the next group, and the block behind them. Sizes of groups differ by one at most."""
    size, larger = divmod(each.count, each.total)
    size += each.entered < larger
    found: list[Element] = []
    where = (each.layer, each.position)
    while len(found) < size and (met := next_element(state, source_of(each, placed), each.layers, where)) is not None:
        element, where = met
        found.append(element)
    return found, replace(each, layer=where[0], position=where[1])


def group_key(each: EachState) -> str:
    """What the next group is called in paths: its level and number, from 0."""
    return f"{each.level}-{each.entered}"


def group_writes(item: str, elements: list[Element]) -> tuple[FieldWrite, ...]:
    """The group as the body's list."""
    added = (FieldWrite(field=item, operation="append", payload=element.payload) for element in elements)
    return (FieldWrite(field=item), *added)


def is_reduced(each: EachState) -> bool:
    """Whether the level that has ended is the last one."""
    return each.total <= 1


def outcome(state: RunState, placed: PlacedEach, reduction: Reduction) -> tuple[FieldWrite, ...]:
    """The one value that is left; nothing if there never was an element."""
    each = state.eaches[placed.path]
    payload: Payload | None = None
    if each.total == 1:
        payload = state.elements[level_name(each.level), _generation(state, placed, each), each.collect_from].payload
    elif (met := next_element(state, source_of(each, placed), each.layers, (0, 0))) is not None:
        payload = met[0].payload
    return () if payload is None else (FieldWrite(field=reduction.into, payload=payload),)


def _generation(state: RunState, placed: PlacedEach, each: EachState) -> int:
    return state.fields[level_scope(placed.path), level_name(each.level)].generation or 0
