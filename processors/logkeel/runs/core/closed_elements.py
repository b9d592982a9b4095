"""Elements of each blocks that have failed, and which of them a retry tries again (decision 0035). Pure.

A failed element keeps what it wrote and how far it was. It goes on where it failed, if the block is open still, or was
the last thing of the flow: then nothing has been done with what the other elements have left. What an element has
failed at must be something that can be tried again, as for a run.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from logkeel.definitions import EachBlock
from logkeel.runs.core.code_again import has_abandoned
from logkeel.runs.core.paths import below, is_under, without_element
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.retryable import Ended, Remains
from logkeel.runs.core.state import BlockEnd, CutOff, EachState, FailedElement, RunState
from logkeel.runs.core.targets import ToEnd

NOT_BY_A_STEP = frozenset(
    {
        *("loop_exhausted", "command_too_large", "result_too_large", "child_too_deep", "too_many_descendants"),
        *("child_input_too_large", "budget_exhausted"),
    }
)
"""Codes of failures of blocks that would fail in the same way again."""


class Again(NamedTuple):
    """What a retry takes up at once, and the elements that begin again when there is room for them.

    `left`: steps; `cut`: what else was cut off. What is in elements that begin again is taken up with them.
    """

    left: Remains
    cut: Mapping[str, CutOff]
    elements: tuple[str, ...] = ()


class Kept(NamedTuple):
    """What an element has left: its steps, the wait that it failed at, what else was cut off, and open blocks in it."""

    left: Remains
    wait: str | None
    cut: Mapping[str, CutOff]
    eaches: tuple[str, ...]


def again_of(state: RunState, plan: Plan) -> Again:
    """Of a run that has ended."""
    ended, cut = Ended(state.steps.items()), dict(state.cut)
    left = ended.before(state.head.ended_revision)
    if not state.head.failed_elements:
        return Again(left, cut)
    closed = _Closed(state, plan, ended, cut)
    live = {path: each for path, each in cut.items() if not closed.around(path)}
    return Again(left, live, closed.reached())


def kept_of(state: RunState, path: str, element: FailedElement) -> Kept:
    """Of a failed element, without what is in failed elements of blocks inside of it."""
    left = Ended(below(state.steps, path)).before(element.revision)
    inside = [each for each, _ in (*below(state.failed_elements, path), *below(state.again, path))]
    cut = {each: it for each, it in below(state.cut, path) if not any(is_under(each, one) for one in inside)}
    eaches = [each for each, _ in below(state.eaches, path) if not any(is_under(each, one) for one in inside)]
    return Kept(left, failed_wait(element.end, left), cut, tuple(eaches))


def failed_wait(end: BlockEnd | None, left: Remains) -> str | None:
    """The wait that a run or an element has failed at."""
    return end.path if end is not None and (end.cause, end.revision) == ("wait", left.cause) else None


def failed_child(end: BlockEnd | None, left: Remains) -> str | None:
    """The block whose child run a run or an element has failed at."""
    return end.path if end is not None and (end.cause, end.revision) == ("child", left.cause) else None


def was_abandoned(plan: Plan, path: str, cut: CutOff) -> bool:
    """Whether a child was waited for there that nobody has cancelled, and that answers to nobody any more."""
    is_child = cut.wait is not None and cut.wait.kind == "child"
    return is_child and plan.children[path].block.on_cancel == "abandon"


def open_eaches(state: RunState) -> list[str]:
    """Each blocks that are open, and not in an element that has failed."""
    closed = {*state.failed_elements, *state.again} if state.head.failed_elements else set()
    return [path for path in sorted(state.eaches) if not any(each in closed for each in _elements_around(path))]


def too_many(block: EachBlock, each: EachState, failed: int) -> bool:
    """Whether so many elements may not have failed."""
    by_count = block.max_failures is not None and failed > block.max_failures
    percent = block.max_failures_percent
    return by_count or (percent is not None and failed * 100 > percent * each.total)


def last_each(state: RunState, plan: Plan) -> str | None:
    """The each block with failed elements that ended the flow, or the last one of those that did not."""
    ended = sorted(state.ended_eaches) if state.head.failed_elements else []
    return next((path for path in ended if _ended_the_flow(plan, path)), ended[-1] if ended else None)


def still_too_many(state: RunState, plan: Plan, again: Again) -> bool:
    """Of a run that ended by its elements: whether too many would be failed behind a retry as well."""
    if state.head.block_end is None:
        return False
    whole = without_element(state.head.block_end.path)
    return _too_many(state, plan, whole, sum(without_element(path) == whole for path in again.elements))


class _Closed:
    """The failed elements of a run, also those that are in line already. `fit`: those that have something to go on

    with.
    """

    def __init__(self, state: RunState, plan: Plan, ended: Ended, cut: Mapping[str, CutOff]) -> None:
        self._state, self._plan = state, plan
        self._elements = dict(state.failed_elements)
        self._in_line = {*state.again}
        self._cut: dict[str, list[tuple[str, CutOff]]] = {}
        for path, each in cut.items():
            for element in self.around(path):
                self._cut.setdefault(element, []).append((path, each))
        self._fit: set[str] = set()
        again: Counter[str] = Counter()
        # Inner ones first, since an outer one may have failed by them.
        for path in sorted(self._elements, key=len, reverse=True):
            if self._goes_on(path, ended.before(self._elements[path].revision), again):
                self._fit.add(path)
                again[without_element(path)] += 1

    def around(self, path: str) -> list[str]:
        """The failed elements that this is in, outermost first."""
        return [each for each in _elements_around(path) if each in self._elements or each in self._in_line]

    def reached(self) -> tuple[str, ...]:
        """Those whose block can take them back: it is open, or was the last of the flow; in elements that go on."""
        found = {*self._in_line}
        for path in sorted(self._fit, key=len):
            whole = without_element(path)
            is_open = whole in self._state.eaches or (
                self._state.head.status == "succeeded" and _ended_the_flow(self._plan, whole)
            )
            if is_open and found.issuperset(self.around(path)):
                found.add(path)
        return tuple(sorted(found - self._in_line))

    def _goes_on(self, path: str, left: Remains, again: Mapping[str, int]) -> bool:
        element, cut = self._elements[path], self._cut.get(path, [])
        if element.code in NOT_BY_A_STEP or any(has_abandoned(self._state, self._plan, step) for step in left.steps):
            return False
        if any(was_abandoned(self._plan, place, each) for place, each in cut):
            return False
        end = element.end if element.end is not None and element.end.revision == left.cause else None
        if end is None:
            return bool(left.steps or cut)
        if end.cause == "element" and element.code == "too_many_failures":
            whole = without_element(end.path)
            return whole in self._state.eaches and not _too_many(self._state, self._plan, whole, again.get(whole, 0))
        return end.cause in ("wait", "child")


def _elements_around(path: str) -> list[str]:
    return [path[: found.end()] for found in _INSIDE.finditer(path)]


def _too_many(state: RunState, plan: Plan, whole: str, again: int) -> bool:
    each = state.eaches[whole]
    return too_many(plan.eaches[whole].block, each, each.failed - again)


def _ended_the_flow(plan: Plan, whole: str) -> bool:
    return plan.eaches[whole].after == ToEnd()


_INSIDE = re.compile(r"\](?=[/#\[])")
