"""What the failure of an element keeps for a retry, and how the element goes on. Part of `apply`. Pure."""

from msgspec.structs import replace

from logkeel.errors import InvariantViolation
from logkeel.records import RunEvent
from logkeel.runs.core.apply_retry import ask_child_again, keep_cut, restore, try_again
from logkeel.runs.core.changing import end_wait, free, path_of, unhold, write
from logkeel.runs.core.closed_elements import kept_of
from logkeel.runs.core.paths import below, without_element
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.state import FailedElement, OpenElement, RunState

AGAIN = "again"
"""An attribute of the event that an element begins again."""


def close_failed(state: RunState, event: RunEvent, item: OpenElement) -> None:
    """An element has failed: nothing in it is open any more, and all it would need to go on is kept."""
    path = path_of(event)
    keep_cut(state, path, event.at_ms)
    state.failed_elements[path] = FailedElement(
        key=item.key,
        ordinal=item.ordinal,
        revision=event.revision,
        at_ms=event.at_ms,
        code="" if event.error is None else event.error.code,
        end=state.head.block_end,
    )
    state.head.failed_elements += 1
    for each, _ in below(state.waits, path) if state.head.open_waits else ():
        end_wait(state, each)
    for each, _ in below(state.held, path) if state.head.held_steps else ():
        unhold(state, each)
    for each, _ in below(state.claims, path) if state.head.claims else ():
        free(state, each)


def take_up(state: RunState, event: RunEvent, plan: Plan) -> None:
    """The element goes on where it failed, and its error is no one's any more."""
    path, whole = path_of(event), without_element(path_of(event))
    element, each = state.again.get(path), state.eaches.get(whole)
    if element is None or each is None:
        raise InvariantViolation(f"{path} begins again, but is not to", run_id=state.info.run_id)
    kept = kept_of(state, path, element)
    del state.again[path]
    state.head.failed_elements -= 1
    state.eaches[whole] = replace(each, open=each.open + 1, again=each.again - 1)
    state.items[path] = OpenElement(element.key, element.ordinal)
    write(state, plan.eaches[whole].scope, event.writes, event.revision)
    try_again(state, kept.left.steps, event, plan)
    restore(state, kept.cut, event)
    ask_child_again(state, element.end, kept.left, event)
