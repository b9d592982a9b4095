"""What a retry takes up again: steps whose effect is not known, waits, and elements of each blocks. Pure.

`retrying` says what a run goes on with, `moving` when an element begins again.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from logkeel.definitions import SleepBlock
from logkeel.records import FieldWrite
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.apply_elements import AGAIN
from logkeel.runs.core.closed_elements import failed_child, kept_of
from logkeel.runs.core.doubt import in_doubt
from logkeel.runs.core.flow import set_timers
from logkeel.runs.core.journal_timers import set_wait_timers
from logkeel.runs.core.paths import static, without_element
from logkeel.runs.core.state import CutOff
from logkeel.runs.core.targets import Target, ToChild, ToElements, ToStep, ToWait


class Place(NamedTuple):
    """A target, and the run's path that it is reached from."""

    target: Target
    inside: str


def ask_what_became(turn: Activation, steps: Iterable[str]) -> None:
    """A check, or a human, tells of effects that may have happened."""
    for path in steps:
        step, effect = turn.state.steps[path], turn.plan.steps[path].definition.effect
        if step.effect_since_ms is not None and effect in ("CHECKED", "ONCE"):
            in_doubt(turn, path, "the run had ended before it was known whether it had its effect")
            set_wait_timers(turn, turn.plan.steps[path])


def waits_again(turn: Activation, cut: Mapping[str, CutOff], failed: str | None) -> Iterator[Place]:
    """Questions and waits for signals begin anew, sleeps go on; the wait that was failed at is one of them."""
    waits = ((path, each.wait) for path, each in cut.items() if each.wait is not None)
    again = {path: wait.due_ms for path, wait in waits if static(path) in turn.plan.waits}
    if failed is not None:
        again[failed] = None
    for path, due_ms in sorted(again.items()):
        if turn.state.running and isinstance(turn.plan.waits[path].block, SleepBlock):
            turn.record("wait_started", path=path, name="sleep", due_ms=due_ms)
            set_timers(turn, path, turn.state.waits[path])
        else:
            yield Place(ToWait(static(path)), path)


def begin_again(turn: Activation, path: str) -> tuple[Place, ...]:
    """An element goes on where it failed; what is to be gone on with in it."""
    element, placed = turn.state.again[path], turn.plan.eaches[without_element(path)]
    kept, failed = kept_of(turn.state, path, element), placed.block.failed
    told = () if failed is None else (FieldWrite(field=failed, operation="remove", element_key=element.key),)
    facts = {"element": static(placed.path), AGAIN: "true"}
    turn.record("block_entered", path=path, attributes=facts, writes=told)
    for each in sorted(kept.cut):
        if each in turn.state.waits:
            set_timers(turn, each, turn.state.waits[each])
    ask_what_became(turn, kept.left.steps)
    child = failed_child(element.end, kept.left)
    some = {*kept.left.steps, *kept.cut} | ({child} if child is not None else set())
    held = (each for each in sorted(some) if each in turn.state.held)
    places = (Place(_of_held(turn, each), each) for each in held)
    inside = (Place(ToElements(static(each)), each) for each in kept.eaches)
    return (*places, *waits_again(turn, kept.cut, kept.wait), *inside)


def _of_held(turn: Activation, path: str) -> Target:
    return ToChild(static(path)) if static(path) in turn.plan.children else ToStep(static(path))
