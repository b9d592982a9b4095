"""Elements of each blocks: which one begins, what one leaves behind, and whether too many have failed. Pure.

An open each block is one row: counters, and where its next element is. So an element costs what it is, however many
there are.
"""

import msgspec

from logkeel.records import ErrorInfo, FieldWrite, Operation, Payload
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.closed_elements import too_many
from logkeel.runs.core.elements import next_element
from logkeel.runs.core.flow import cancel_under
from logkeel.runs.core.paths import Sorted, below, is_under, of_element, static, without_element
from logkeel.runs.core.places import PlacedEach, element_scope
from logkeel.runs.core.reducing import group_key, level_name, reduction_of
from logkeel.runs.core.state import EachState

MESSAGE_CHARACTERS = 1_000
"""Of an error that is kept for an element."""


def next_path(turn: Activation, path: str) -> str | None:
    """The path of the element that may begin now; None if none may, or none is left."""
    each, block = turn.state.eaches[path], turn.plan.eaches[path].block
    if each.open >= block.concurrency or each.entered >= each.total:
        return None
    if reduction_of(block) is not None:
        return of_element(path, group_key(each))
    found = next_element(turn.state, block.items, each.layers, (each.layer, each.position))
    if found is None:
        return None
    key = found[0].key
    return of_element(path, str(each.entered) if key is None else key)


def next_again(turn: Activation, path: str) -> str | None:
    """The path of the failed element that may begin again now; None if none is to, or none may."""
    each, block = turn.state.eaches[path], turn.plan.eaches[path].block
    if not each.again or each.open >= block.concurrency:
        return None
    again = turn.state.again
    places = again.starting(path) if isinstance(again, Sorted) else sorted(again)
    return next(place for place in places if is_under(place, path) and without_element(place) == path)


def has_ended(each: EachState) -> bool:
    """Whether every element has."""
    return each.open == 0 and each.again == 0 and each.entered >= each.total


def end_element(turn: Activation, path: str) -> None:
    """The body of an element has ended; its one value is collected."""
    placed = turn.plan.eaches[without_element(path)]
    turn.record("block_left", path=path, writes=_collected(turn, placed, path))


def fail_element(turn: Activation, path: str, error: ErrorInfo, reason: str) -> ErrorInfo | None:
    """An element has failed: what is open in it is cancelled, the error is kept.

    Gives the failure of the block if it is one too many.
    """
    whole = without_element(path)
    placed = turn.plan.eaches[whole]
    cancel_under(turn, path, reason)
    writes = () if placed.block.failed is None else (_failure(turn, placed.block.failed, path, error),)
    turn.record("block_left", path=path, error=error, reason=reason, writes=writes)
    each = turn.state.eaches[whole]
    if not too_many(placed.block, each, each.failed):
        return None
    message = f"{each.failed} of {each.total} elements of {static(whole)} have failed; the last one: {error.message}"
    return ErrorInfo(code="too_many_failures", kind="fatal", message=message[:MESSAGE_CHARACTERS])


def _collected(turn: Activation, placed: PlacedEach, path: str) -> tuple[FieldWrite, ...]:
    block = placed.block
    reduction = reduction_of(block)
    collect = block.collect if reduction is None else level_name(turn.state.eaches[placed.path].level)
    if collect is None or block.value is None:
        return ()
    pointer = turn.state.fields.get((element_scope(path), block.value))
    if pointer is None:
        return ()
    if pointer.is_control:
        payload: Payload | None = Payload(encoding="json", data=msgspec.json.encode(pointer.control))
    else:
        payload = pointer.payload or turn.state.values.get((block.value, pointer.revision))
    if reduction is not None:
        return (FieldWrite(field=collect, operation="append", payload=payload),)
    key = turn.state.items[path].key
    is_list = turn.plan.fields_at(placed.root)[collect].elements == "list"
    operation: Operation = "append" if is_list else "put"
    return (FieldWrite(field=collect, operation=operation, element_key=key, payload=payload),)


def _attempt(turn: Activation, path: str) -> int:
    """Of the step that has failed, where one step is all there is; else the first one's."""
    return max((step.attempt for _, step in below(turn.state.steps, path) if step.phase == "failed"), default=1)


def _failure(turn: Activation, field: str, path: str, error: ErrorInfo) -> FieldWrite:
    told = {
        "path": path,
        "attempt": _attempt(turn, path),
        "code": error.code,
        "message": error.message[:MESSAGE_CHARACTERS],
    }
    payload = Payload(encoding="json", data=msgspec.json.encode(told))
    return FieldWrite(field=field, operation="put", element_key=turn.state.items[path].key, payload=payload)
