"""Checks of the ways out of loops: whether one can ever be taken, and whether a block behind them never runs. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from logkeel.definitions import (
    Block,
    EachBlock,
    InlineBlock,
    LeaveBlock,
    LoopBlock,
    ParallelBlock,
    SequenceBlock,
    inner_blocks,
)
from logkeel.records import Control
from logkeel.workflow.case_values import choices_of, may_be_none
from logkeel.workflow.flow_contents import Contents
from logkeel.workflow.problems import Problem
from logkeel.workflow.state import StateField


@dataclass(frozen=True, slots=True)
class LoopCheck:
    """Checks of loops and their bodies; `problems` is filled."""

    fields: Mapping[str, StateField]
    contents: Contents
    problems: list[Problem]

    def loop(self, block: LoopBlock, place: str) -> None:
        """Whether rounds behind the first can bring anything but failure."""
        left_by = list(dict.fromkeys(leave.field for leave in _leaves(block.body)))
        if block.on_exhausted == "continue" or block.max_rounds == 1 or not left_by:
            return
        if self.contents.writes(block.body).isdisjoint(left_by):
            names = " and ".join(map(repr, left_by))
            what = f"the loop is left by {names}, which nothing in it writes: if not in the first round, then never"
            self._problem(what, place, "let a step in the loop write it, or write a branch instead of a loop")

    def sequence(self, block: SequenceBlock, place: str) -> None:
        """Whether ways out for every value stand before a block."""
        refuted: dict[str, list[Control]] = {}
        for inner, behind in zip(block.blocks, block.blocks[1:], strict=False):
            if not isinstance(inner, LeaveBlock):
                for name in self.contents.writes(inner):
                    refuted.pop(name, None)
                continue
            values = refuted.setdefault(inner.field, [])
            values.append(inner.value)
            if self._is_every(inner.field, values):
                what = f"nothing gets here: {inner.field!r} has one of the values that the loop is left by before"
                self._problem(what, f"{place}/{behind.id}", "take the block out, or one leave before it")
                return

    def _is_every(self, name: str, values: list[Control]) -> bool:
        known = self.fields.get(name)
        if known is None or known.definition.control_type is None:
            return False
        every = {*choices_of(known.definition)}
        if not every:
            return False
        return every <= {*values} and (None in values or not may_be_none(known.definition))

    def _problem(self, what: str, place: str, remedy: str) -> None:
        self.problems.append(Problem(what, place, remedy))


def _leaves(body: Block) -> Iterator[LeaveBlock]:
    """The ways out of the loop around `body`, not of loops in it."""
    if isinstance(body, LeaveBlock):
        yield body
    if not isinstance(body, LoopBlock | ParallelBlock | EachBlock | InlineBlock):
        for inner in inner_blocks(body):
            yield from _leaves(inner)
