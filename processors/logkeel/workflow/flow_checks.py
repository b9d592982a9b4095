"""Checks a flow against the steps it is made of: what is read before it is written, and what branches do to each other.

Pure. Walks the blocks of a definition in order; a place is the path of block ids.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, assert_never

from logkeel.definitions import Block, ParallelBlock, SequenceBlock, StepBlock
from logkeel.workflow.problems import Problem
from logkeel.workflow.signature import Read
from logkeel.workflow.state import StateField
from logkeel.workflow.steps import Step


@dataclass(slots=True)
class FlowCheck:
    """One walk over a flow. `problems` is filled on the way."""

    steps: Mapping[str, Step[..., Any]]
    fields: Mapping[str, StateField]
    problems: list[Problem] = field(default_factory=list)

    def run(self, flow: Block) -> list[Problem]:
        """All problems of `flow`, in its order."""
        self._walk(flow, frozenset(), "flow")
        return self.problems

    def _walk(self, block: Block, written: frozenset[str], place: str) -> frozenset[str]:
        """Check `block`; gives the fields that are written for certain behind it."""
        match block:
            case StepBlock():
                self._check_reads(block, written, f"{place}/{block.id}")
                return written | set(self.steps[block.step].settings.writes)
            case SequenceBlock():
                for inner in block.blocks:
                    written = self._walk(inner, written, place)
                return written
            case ParallelBlock():
                inside = f"{place}/{block.id}"
                self._check_branches(block, inside)
                return written.union(*(self._walk(branch, written, inside) for branch in block.branches))
            case _:
                assert_never(block)

    def _check_reads(self, block: StepBlock, written: frozenset[str], place: str) -> None:
        step = self.steps[block.step]
        reads = [*step.signature.reads, *(step.check_signature.reads if step.check_signature else ())]
        for read in dict.fromkeys(read.field for read in reads if not _is_filled(read, self.fields, written)):
            what = f"step {block.step!r} reads {read!r} before any step on its way has written it"
            remedy = f"put a step that writes {read!r} before it, let the parameter accept None, or give it a default"
            self.problems.append(Problem(what, place, remedy))

    def _check_branches(self, block: ParallelBlock, place: str) -> None:
        for left, right in combinations(block.branches, 2):
            for name in sorted(self._writes(left) & self._writes(right)):
                what = f"branches {left.id!r} and {right.id!r} both write {name!r}"
                self.problems.append(Problem(what, place, "write separate fields and merge them behind the block"))
            self._check_sibling(left, right, place)
            self._check_sibling(right, left, place)

    def _check_sibling(self, reader: Block, writer: Block, place: str) -> None:
        for name in sorted((self._reads(reader) & self._writes(writer)) - self._writes(reader)):
            what = f"branch {reader.id!r} reads {name!r}, which its sibling {writer.id!r} writes"
            remedy = "siblings do not see each other's writes: put the reader behind the block, or both in one branch"
            self.problems.append(Problem(what, place, remedy))

    def _steps_in(self, block: Block) -> list[Step[..., Any]]:
        match block:
            case StepBlock():
                return [self.steps[block.step]]
            case SequenceBlock():
                return [step for inner in block.blocks for step in self._steps_in(inner)]
            case ParallelBlock():
                return [step for inner in block.branches for step in self._steps_in(inner)]
            case _:
                assert_never(block)

    def _writes(self, block: Block) -> set[str]:
        return {name for step in self._steps_in(block) for name in step.settings.writes}

    def _reads(self, block: Block) -> set[str]:
        return {name for step in self._steps_in(block) for name in step.definition().reads}


def _is_filled(read: Read, fields: Mapping[str, StateField], written: frozenset[str]) -> bool:
    if read.field in written or read.accepts_none or read.has_default:
        return True
    state_field = fields[read.field]
    if state_field.definition.required:
        return True
    return state_field.default is not None and state_field.default() is not None
