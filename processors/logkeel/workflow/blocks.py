"""The flow as the author writes it, and its translation into the blocks of a definition. Pure.

Every block of a definition has an id. Ids are unique within the enclosing block that adds a path segment, so that every
occurrence of a step has its own path (P30): a step used twice is `write`, then `write-2`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from logkeel.definitions import Block, ParallelBlock, SequenceBlock, StepBlock
from logkeel.workflow.problems import Problem
from logkeel.workflow.steps import Step


@dataclass(frozen=True, slots=True)
class Sequential:
    """Blocks one after the other, see `sequence`."""

    blocks: tuple["FlowBlock", ...]


@dataclass(frozen=True, slots=True)
class Parallel:
    """Blocks at once, see `parallel`."""

    branches: tuple["FlowBlock", ...]
    wait: str
    name: str


FlowBlock: TypeAlias = Step[..., Any] | Sequential | Parallel | tuple[Any, ...]
"""A step, a block, or a tuple of blocks, which is a sequence."""


def sequence(*blocks: FlowBlock) -> Sequential:
    """One after the other; a tuple of blocks means the same."""
    return Sequential(blocks)


def parallel(*branches: FlowBlock, wait: Literal["all"] = "all", name: str = "parallel") -> Parallel:
    """All branches at once; what follows starts when all have ended.

    A branch reads the state at the fork plus its own writes; the writes of its siblings appear at the join.
    """
    return Parallel(branches, wait, name)


@dataclass(slots=True)
class Translation:
    """Walks an author's flow once. `problems` and `used` (steps in order of use) are filled on the way."""

    problems: list[Problem] = field(default_factory=list)
    used: list[Step[..., Any]] = field(default_factory=list)

    def translate(self, blocks: tuple[FlowBlock, ...]) -> SequenceBlock:
        """The whole flow as one sequence."""
        return self._sequence(blocks, _Names(), "flow")

    def _sequence(self, blocks: tuple[FlowBlock, ...], names: "_Names", place: str) -> SequenceBlock:
        if not blocks:
            self.problems.append(Problem("a sequence is empty", place, "put a step into it, or take it out"))
        identity = names.fresh("sequence")
        return SequenceBlock(id=identity, blocks=tuple(self._blocks(blocks, names, place)))

    def _blocks(self, blocks: tuple[FlowBlock, ...], names: "_Names", place: str) -> Iterator[Block]:
        for block in blocks:
            translated = self._block(block, names, place)
            if translated is not None:
                yield translated

    def _block(self, block: object, names: "_Names", place: str) -> Block | None:
        if isinstance(block, Step):
            self.used.append(block)
            return StepBlock(id=names.fresh(block.name), step=block.name)
        if isinstance(block, Parallel):
            return self._parallel(block, names, place)
        if isinstance(block, Sequential | tuple):
            return self._sequence(block.blocks if isinstance(block, Sequential) else block, names, place)
        remedy = "use steps of this workflow, sequence(...), parallel(...) or tuples of them"
        self.problems.append(Problem(f"{block!r} is no block of a flow", place, remedy))
        return None

    def _parallel(self, block: Parallel, names: "_Names", place: str) -> ParallelBlock:
        identity = names.fresh(block.name)
        inside = f"{place}/{identity}"
        if len(block.branches) < 2:
            what = f"parallel has {len(block.branches)} branch{'' if len(block.branches) == 1 else 'es'}"
            self.problems.append(Problem(what, inside, "give it two or more, or write the block without parallel"))
        if block.wait != "all":
            what = f"parallel(wait={block.wait!r}) is not available in this version"
            self.problems.append(Problem(what, inside, 'use wait="all"'))
        inner = _Names()
        branches = tuple(self._blocks(block.branches, inner, inside))
        return ParallelBlock(id=identity, branches=branches)


class _Names:
    """Hands out ids that are unique in one path segment."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def fresh(self, name: str) -> str:
        ordinal, candidate = 1, name
        while candidate in self._taken:
            ordinal += 1
            candidate = f"{name}-{ordinal}"
        self._taken.add(candidate)
        return candidate
