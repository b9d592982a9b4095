"""What the blocks of a flow are made of: the steps in a block, and the fields it may read and write. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from logkeel.definitions import (
    Block,
    BranchBlock,
    HumanBlock,
    InlineBlock,
    LeaveBlock,
    SignalBlock,
    StepBlock,
    inner_blocks,
)
from logkeel.workflow.steps import Step


@dataclass(frozen=True, slots=True)
class Contents:
    """Answers what is in a block, given the steps by name."""

    known: Mapping[str, Step[..., Any]]

    def steps(self, block: Block) -> Iterator[Step[..., Any]]:
        """Every step of this workflow in it, as often as it occurs; those of inner workflows have their own state."""
        for each in _own_blocks(block):
            if isinstance(each, StepBlock):
                yield self.known[each.step]

    def writes(self, block: Block) -> set[str]:
        """Fields that it may write."""
        found = {name for step in self.steps(block) for name in step.settings.writes}
        for each in _own_blocks(block):
            match each:
                case SignalBlock(writes=str(name)):
                    found.add(name)
                case HumanBlock(writes=name, answer=answer):
                    found |= {name} if answer is None else {name, answer}
                case InlineBlock(writes=str(name)):
                    found.add(name)
                case _:
                    pass
        return found

    def reads(self, block: Block) -> set[str]:
        """Fields that it may read."""
        found = {name for step in self.steps(block) for name in step.definition().reads}
        for each in _own_blocks(block):
            match each:
                case BranchBlock(field=name) | LeaveBlock(field=name) | SignalBlock(correlate=str(name)):
                    found.add(name)
                case HumanBlock(shows=names):
                    found.update(names)
                case InlineBlock(inputs=inputs):
                    found.update(each.outer for each in inputs)
                case _:
                    pass
        return found


def _own_blocks(block: Block) -> Iterator[Block]:
    yield block
    if not isinstance(block, InlineBlock):
        for inner in inner_blocks(block):
            yield from _own_blocks(inner)
