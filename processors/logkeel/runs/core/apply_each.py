"""What the events of each blocks and their elements do to the state. Part of `apply`. Pure."""

from msgspec.structs import replace

from logkeel.errors import InvariantViolation
from logkeel.records import FieldWrite, RunEvent
from logkeel.runs.core.apply_elements import AGAIN, close_failed, take_up
from logkeel.runs.core.changing import arrive, clear_fields_under, merge, path_of, write
from logkeel.runs.core.elements import Rows, count_of, let_go, next_element
from logkeel.runs.core.paths import is_element, of_element, without_element
from logkeel.runs.core.places import PlacedEach, element_scope
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.reading import layers_of, with_rows
from logkeel.runs.core.reducing import (
    begin_level,
    group_key,
    group_writes,
    level_scope,
    next_group,
    reduction_of,
)
from logkeel.runs.core.state import BlockEnd, EachState, OpenElement, RunState


def entered(state: RunState, event: RunEvent, plan: Plan) -> None:
    """The block begins with the elements that there are now, or one of them begins."""
    path = path_of(event)
    if AGAIN in event.attributes:
        take_up(state, event, plan)
        return
    if is_element(path):
        _element_entered(state, event, plan.eaches[without_element(path)])
        return
    placed = plan.eaches[path]
    block, reduction = placed.block, reduction_of(placed.block)
    if reduction is not None:
        begin_level(state, placed, reduction, event.revision)
        return
    layers = with_rows(layers_of(state, block.items, placed.reading))
    total = count_of(state, block.items, layers)
    state.eaches[path] = EachState(
        layers=layers,
        total=total,
        collect_from=_reserved(state, placed, block.collect, event.revision, total),
        failed_from=_reserved(state, placed, block.failed, event.revision, total),
    )


def left(state: RunState, event: RunEvent, plan: Plan) -> None:
    """An element has ended, well or not, or all have."""
    path = path_of(event)
    if is_element(path):
        _element_left(state, event, plan.eaches[without_element(path)])
        return
    each = state.eaches.pop(path, None)
    if each is None or each.open or each.again or each.entered < each.total:
        raise InvariantViolation(f"{path} cannot be left", run_id=state.info.run_id)
    placed = plan.eaches[path]
    if each.failed:
        state.ended_eaches[path] = each
    if event.writes:
        write(state, placed.scope, event.writes, event.revision)
    if reduction_of(placed.block) is not None:
        clear_fields_under(state, path)
    arrive(state, placed.after, path)


def _element_entered(state: RunState, event: RunEvent, placed: PlacedEach) -> None:
    path, block = path_of(event), placed.block
    each = state.eaches.get(placed.path)
    if each is not None and reduction_of(block) is not None:
        _group_entered(state, event, placed, each)
        return
    start = (0, 0) if each is None else (each.layer, each.position)
    found = None if each is None else next_element(state, block.items, each.layers, start)
    if each is None or found is None:
        raise InvariantViolation(f"{placed.path} has no element that could begin", run_id=state.info.run_id)
    element, (layer, position) = found
    key = str(each.entered) if element.key is None else element.key
    if path != of_element(placed.path, key):
        raise InvariantViolation(f"{key!r} begins, not {path}", run_id=state.info.run_id)
    state.items[path] = OpenElement(key, each.entered)
    item = FieldWrite(field=block.item, payload=element.payload)
    write(state, element_scope(path), (item,), event.revision)
    state.eaches[placed.path] = replace(
        each, layer=layer, position=position, entered=each.entered + 1, open=each.open + 1
    )
    arrive(state, placed.first, path)


def _group_entered(state: RunState, event: RunEvent, placed: PlacedEach, each: EachState) -> None:
    path, key = path_of(event), group_key(each)
    if path != of_element(placed.path, key) or each.entered >= each.total:
        raise InvariantViolation(f"{key!r} begins, not {path}", run_id=state.info.run_id)
    elements, behind = next_group(state, placed, each)
    state.items[path] = OpenElement(key, each.entered)
    write(state, element_scope(path), group_writes(placed.block.item, elements), event.revision)
    state.eaches[placed.path] = replace(behind, entered=each.entered + 1, open=each.open + 1)
    arrive(state, placed.first, path)


def _element_left(state: RunState, event: RunEvent, placed: PlacedEach) -> None:
    path, scope = path_of(event), element_scope(path_of(event))
    item, each = state.items.pop(path, None), state.eaches.get(placed.path)
    if item is None or each is None:
        raise InvariantViolation(f"{path} ends, but is not open", run_id=state.info.run_id)
    for name in placed.combining:
        pointer = state.fields.pop((scope, name), None)
        if pointer is not None:
            merge(state, placed.scope, name, pointer, event.revision)
    failed = event.error is not None
    for one in event.writes:
        position = (each.failed_from if failed else each.collect_from) + item.ordinal
        outside = placed.scope if reduction_of(placed.block) is None else level_scope(placed.path)
        _put(state, outside, one, event.revision, position)
    if failed:
        close_failed(state, event, item)
        state.head.block_end = BlockEnd("element", path, event.revision)
    else:
        # Whatever else was open in it has ended before; its own scope is all that is left, and its fields are known.
        for name in (placed.block.item, *placed.fields):
            pointer = state.fields.pop((scope, name), None)
            if pointer is not None:
                let_go(state, name, pointer)
    state.eaches[placed.path] = replace(each, open=each.open - 1, failed=each.failed + failed)


def _put(state: RunState, scope: str, one: FieldWrite, revision: int, position: int) -> None:
    """At its place, whenever it comes."""
    rows = Rows(state, scope, one.field, revision)
    if one.payload is None:
        return
    if one.operation == "append":
        rows.append(one.payload, position)
    else:
        rows.put(one.element_key or "", one.payload, position)
    rows.save()


def _reserved(state: RunState, placed: PlacedEach, field: str | None, revision: int, total: int) -> int:
    if field is None or total == 0:
        return 0
    rows = Rows(state, placed.scope, field, revision)
    first = rows.reserve(total)
    rows.save()
    return first
