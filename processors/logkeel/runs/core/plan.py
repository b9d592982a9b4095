"""A workflow's definition, compiled: every step and fork with its path, its scope and what follows it. Pure.

A path joins the ids of the enclosing blocks and of the step with "/"; sequences add no segment. A branch of a fork has
a scope of its own, `<fork path>#<index>`, in which its writes live until the join; `scopes` lists them outermost first
and does not name the root scope "".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from logkeel.definitions import (
    VIEW_FIELDS,
    Block,
    FieldDefinition,
    ParallelBlock,
    SequenceBlock,
    StepBlock,
    StepDefinition,
    WorkflowDocument,
)
from logkeel.errors import InvariantViolation

ROOT_SCOPE = ""


@dataclass(frozen=True, slots=True)
class ToStep:
    """Go on with this step."""

    path: str


@dataclass(frozen=True, slots=True)
class ToFork:
    """Go on with all branches of this fork."""

    path: str


@dataclass(frozen=True, slots=True)
class ToJoin:
    """A branch of this fork has ended."""

    path: str


@dataclass(frozen=True, slots=True)
class ToEnd:
    """The flow has ended."""


Target: TypeAlias = ToStep | ToFork | ToJoin | ToEnd


@dataclass(frozen=True, slots=True)
class PlacedStep:
    """A step at its place in the flow."""

    path: str
    definition: StepDefinition
    scopes: tuple[str, ...]
    after: Target

    @property
    def scope(self) -> str:
        """Where its writes go."""
        return self.scopes[-1] if self.scopes else ROOT_SCOPE


@dataclass(frozen=True, slots=True)
class PlacedBranch:
    """A branch of a fork: where it begins, and the fields that may be written inside, in the order of the state."""

    scope: str
    first: Target
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlacedFork:
    """A parallel block at its place."""

    path: str
    scopes: tuple[str, ...]
    branches: tuple[PlacedBranch, ...]
    after: Target

    @property
    def scope(self) -> str:
        """Where the joined writes go."""
        return self.scopes[-1] if self.scopes else ROOT_SCOPE


class Plan:
    """A compiled definition. Immutable; cached by digest.

    `keeps_milestones`: a step or the completion asks for what the run has behind it. `has_journals`: the code of a step
    is durable.
    """

    def __init__(self, document: WorkflowDocument, digest: str) -> None:
        self.document = document
        self.digest = digest
        self.fields: dict[str, FieldDefinition] = {field.name: field for field in document.fields}
        self.definitions: dict[str, StepDefinition] = {step.name: step for step in document.steps}
        self.steps: dict[str, PlacedStep] = {}
        self.forks: dict[str, PlacedFork] = {}
        self.keeps_milestones = any(step.run_summary is True for step in document.steps) or not {
            *document.returns
        }.isdisjoint(VIEW_FIELDS)
        self.has_journals = any(step.journaled is True for step in document.steps)
        self.first = self._place(document.flow, "", (), ToEnd())

    def _place(self, block: Block, prefix: str, scopes: tuple[str, ...], after: Target) -> Target:
        match block:
            case StepBlock():
                return self._place_step(block, prefix, scopes, after)
            case SequenceBlock(blocks=blocks):
                for each in reversed(blocks):
                    after = self._place(each, prefix, scopes, after)
                return after
            case ParallelBlock():
                return self._place_fork(block, prefix, scopes, after)

    def _place_step(self, block: StepBlock, prefix: str, scopes: tuple[str, ...], after: Target) -> Target:
        path = self._unique(prefix + block.id)
        self.steps[path] = PlacedStep(path, self.definitions[block.step], scopes, after)
        return ToStep(path)

    def _place_fork(self, block: ParallelBlock, prefix: str, scopes: tuple[str, ...], after: Target) -> Target:
        path = self._unique(prefix + block.id)
        branches = []
        for index, branch in enumerate(block.branches):
            scope = f"{path}#{index}"
            first = self._place(branch, f"{path}/", (*scopes, scope), ToJoin(path))
            written = set(self._written(branch))
            branches.append(PlacedBranch(scope, first, tuple(name for name in self.fields if name in written)))
        self.forks[path] = PlacedFork(path, scopes, tuple(branches), after)
        return ToFork(path)

    def _written(self, block: Block) -> Iterator[str]:
        match block:
            case StepBlock(step=name):
                yield from (write.field for write in self.definitions[name].writes)
            case SequenceBlock(blocks=inner) | ParallelBlock(branches=inner):
                for each in inner:
                    yield from self._written(each)

    def _unique(self, path: str) -> str:
        if path in self.steps or path in self.forks:
            raise InvariantViolation(f"two blocks of {self.document.name} have the path {path}", path=path)
        return path
