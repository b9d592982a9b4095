"""A flow as a Mermaid flowchart (mermaid.js.org, "Flowcharts - Basic Syntax"). Pure.

Walks the flow once with the ways that lead to a block, and gives those that lead on.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec import UnsetType

from logkeel.definitions import (
    Block,
    BranchBlock,
    EachBlock,
    HumanBlock,
    InlineBlock,
    LeaveBlock,
    LoopBlock,
    ParallelBlock,
    RescueBlock,
    SagaBlock,
    SequenceBlock,
    StepBlock,
    WithinBlock,
    WorkflowDocument,
)
from logkeel.workflow.drawing.wording import words_for

STEP, CHOICE, WAIT, HUMAN, EDGE = ("[", "]"), ("{", "}"), ("([", "])"), ("[/", "/]"), ("((", "))")
FORK = ("{{", "}}")


class _Way(NamedTuple):
    """An arrow that has begun: where, and what is written at it."""

    source: str
    label: str = ""


_Ways = tuple[_Way, ...]


@dataclass(slots=True)
class _Chart:
    """The chart so far. `leaves`: of each loop around, the ways out of it."""

    lines: list[str] = field(default_factory=list)
    leaves: list[list[_Way]] = field(default_factory=list)
    _count: int = 0

    def place(self, text: str, shape: tuple[str, str], ways: _Ways) -> str:
        """A new box that these ways lead to; its id."""
        identity = f"n{self._count}"
        self._count += 1
        self.lines.append(f'    {identity}{shape[0]}"{_quoted(text)}"{shape[1]}')
        self.lead(ways, identity)
        return identity

    def lead(self, ways: _Ways, target: str) -> None:
        """Arrows to a box."""
        for source, label in ways:
            arrow = f'-->|"{_quoted(label)}"|' if label else "-->"
            self.lines.append(f"    {source} {arrow} {target}")


def as_mermaid(document: WorkflowDocument) -> str:
    """The chart, from top to bottom."""
    chart = _Chart()
    begin = chart.place(f"{document.name}@{document.version}", EDGE, ())
    ways = _draw(chart, document.flow, (_Way(begin),))
    chart.place("end", EDGE, ways)
    return "\n".join(["flowchart TD", *chart.lines]) + "\n"


def _draw(chart: _Chart, block: Block, ways: _Ways) -> _Ways:
    match block:
        case SequenceBlock():
            for inner in block.blocks:
                ways = _draw(chart, inner, ways)
            return ways
        case StepBlock():
            return (_Way(chart.place(words_for(block), STEP, ways)),)
        case ParallelBlock():
            fork = chart.place(words_for(block), FORK, ways)
            ends = [way for branch in block.branches for way in _draw(chart, branch, (_Way(fork),))]
            return (_Way(chart.place("join", FORK, tuple(ends))),)
        case BranchBlock():
            return _branch(chart, block, ways)
        case LoopBlock():
            return _loop(chart, block, ways)
        case LeaveBlock():
            choice = chart.place(words_for(block), CHOICE, ways)
            if chart.leaves:
                chart.leaves[-1].append(_Way(choice, "yes"))
            return (_Way(choice, "no"),)
        case RescueBlock() | WithinBlock():
            return _guarded(chart, block, ways)
        case InlineBlock() | EachBlock() | SagaBlock():
            return _inside(chart, block, ways)
        case HumanBlock():
            return (_Way(chart.place(words_for(block), HUMAN, ways)),)
        case _:
            return (_Way(chart.place(words_for(block), WAIT, ways)),)


def _inside(chart: _Chart, block: InlineBlock | EachBlock | SagaBlock, ways: _Ways) -> _Ways:
    begin = (_Way(chart.place(words_for(block), FORK, ways)),)
    if isinstance(block, InlineBlock):
        return _draw(chart, block.flow, begin)
    if isinstance(block, SagaBlock):
        return _draw(chart, block.body, begin)
    return (_Way(chart.place("all elements", FORK, _draw(chart, block.body, begin))),)


def _branch(chart: _Chart, block: BranchBlock, ways: _Ways) -> _Ways:
    choice = chart.place(f"{block.field}?", CHOICE, ways)
    ends = [way for case in block.cases for way in _draw(chart, case.block, (_Way(choice, str(case.value)),))]
    if isinstance(block.otherwise, UnsetType):
        return tuple(ends)
    return (*ends, *_draw(chart, block.otherwise, (_Way(choice, "otherwise"),)))


def _loop(chart: _Chart, block: LoopBlock, ways: _Ways) -> _Ways:
    begin = chart.place(words_for(block), FORK, ways)
    chart.leaves.append([])
    ends = _draw(chart, block.body, (_Way(begin),))
    chart.lead(tuple(_Way(end.source, end.label or "again") for end in ends), begin)
    left = tuple(chart.leaves.pop())
    return (*left, _Way(begin, "exhausted")) if block.on_exhausted == "continue" else left


def _guarded(chart: _Chart, block: RescueBlock | WithinBlock, ways: _Ways) -> _Ways:
    begin = chart.place(words_for(block), FORK, ways)
    ends = list(_draw(chart, block.body, (_Way(begin),)))
    if isinstance(block, RescueBlock):
        for handler in block.handlers:
            ends += _draw(chart, handler.block, (_Way(begin, f"on {handler.on}"),))
    elif not isinstance(block.on_timeout, UnsetType):
        ends += _draw(chart, block.on_timeout, (_Way(begin, "time is over"),))
    return tuple(ends)


def _quoted(text: str) -> str:
    return text.replace('"', "#quot;").replace("\n", " ")
