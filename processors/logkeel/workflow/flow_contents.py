"""What the blocks of a flow are made of: the steps in a block, and the fields it may read and write. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from logkeel.definitions import (
    Block,
    BranchBlock,
    ChildBlock,
    EachBlock,
    HumanBlock,
    InlineBlock,
    LeaveBlock,
    SignalBlock,
    StepBlock,
    fields_written_by,
    inner_blocks,
)
from logkeel.workflow.reducers import COMBINING
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
        own = list(_own_blocks(block, outside=True))
        found = {
            name for each in own if isinstance(each, StepBlock) for name, _ in self.known[each.step].settings.changes
        }
        for each in own:
            found.update(fields_written_by(each))
            if isinstance(each, EachBlock):
                found |= self._combined(each.body)
        return found

    def _combined(self, body: Block) -> set[str]:
        """Numbers that elements add to what is outside."""
        return {
            name for step in self.steps(body) for name, operation in step.settings.changes if operation in COMBINING
        }

    def adds(self, block: Block, name: str, *, plain: bool) -> bool:
        """Whether it writes the field by a reducer only, which other branches may do as well.

        `plain`: the field has none, so that the result of another workflow replaces it.
        """
        operations = {
            operation for step in self.steps(block) for field, operation in step.settings.changes if field == name
        }
        replacing = (_replaces(each, name, plain=plain) for each in _own_blocks(block))
        return operations.isdisjoint({"replace"}) and not any(replacing)

    def reads(self, block: Block) -> set[str]:
        """Fields that it may read."""
        found = {name for step in self.steps(block) for name in step.definition().reads}
        for each in _own_blocks(block):
            match each:
                case BranchBlock(field=name) | LeaveBlock(field=name) | SignalBlock(correlate=str(name)):
                    found.add(name)
                case HumanBlock(shows=names):
                    found.update(names)
                case InlineBlock(inputs=inputs) | ChildBlock(inputs=inputs):
                    found.update(each.outer for each in inputs)
                case _:
                    pass
        return found


def _replaces(block: Block, name: str, *, plain: bool) -> bool:
    kinds = (SignalBlock, HumanBlock, InlineBlock, ChildBlock) if plain else (SignalBlock, HumanBlock)
    return isinstance(block, kinds) and name in fields_written_by(block)


def _own_blocks(block: Block, *, outside: bool = False) -> Iterator[Block]:
    """Blocks that see this state; `outside`: whose writes are seen outside, which those of elements are not."""
    yield block
    if not isinstance(block, InlineBlock) and not (outside and isinstance(block, EachBlock)):
        for inner in inner_blocks(block):
            yield from _own_blocks(inner, outside=outside)
