"""Another workflow as a block: same run, same transaction, a typed state of its own. Checks, and the block of it. Pure.

Its steps go into the outer definition as `<workflow>:<step>`, so that a worker of the outer workflow runs them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from logkeel.definitions import (
    Block,
    BranchBlock,
    Case,
    EachBlock,
    Handler,
    InlineBlock,
    LoopBlock,
    ParallelBlock,
    RescueBlock,
    SagaBlock,
    SequenceBlock,
    StepBlock,
    StepDefinition,
    WithinBlock,
    WorkflowDocument,
)
from logkeel.workflow.mapping import Fitting, interface_of
from logkeel.workflow.problems import Problem
from logkeel.workflow.state import StateField

if TYPE_CHECKING:
    from logkeel.workflow.workflow import Workflow

SEPARATOR: Final = ":"
"""Between a workflow's name and a step's; no name has it."""


@dataclass(frozen=True, slots=True)
class Inline:
    """See `inline`."""

    workflow: "Workflow[Any]"
    inputs: Mapping[str, str] | None = None
    writes: str | None = None
    name: str | None = None


def inline(
    workflow: "Workflow[Any]",
    *,
    inputs: Mapping[str, str] | None = None,
    writes: str | None = None,
    name: str | None = None,
) -> Inline:
    """Another workflow at this place: in this run, with a state of its own that nobody else sees.

    `inputs`: its fields by name, and the fields of this workflow that they begin with; unless said, its required fields
    with the same names. `writes`: the field that gets what it returns; unless said, one of the same name if there is.
    """
    return Inline(workflow, inputs, writes, name)


@dataclass(slots=True)
class Inlining:
    """Makes blocks of inner workflows; `inner` (by name) and `problems` are filled on the way."""

    fields: Mapping[str, StateField]
    problems: list[Problem] = field(default_factory=list)
    inner: dict[str, "Workflow[Any]"] = field(default_factory=dict)

    def block(self, block: Inline, identity: str, place: str) -> InlineBlock:
        """The block of one. Raises `DefinitionError` if the inner workflow has no flow yet."""
        document = block.workflow.document()
        fitting, inner = Fitting(self.fields, self.problems, place), interface_of(block.workflow)
        fitting.check_one_of_a_name(block.workflow, self.inner)
        fitting.check_no_turn(block.workflow)
        fitting.check_no_limits(block.workflow)
        fitting.check_no_budgets(block.workflow)
        inputs = fitting.inputs(inner, block.inputs)
        writes, returns = fitting.result(inner, block.writes)
        return InlineBlock(
            id=identity,
            workflow=document.name,
            version=document.version,
            fields=document.fields,
            flow=qualified(document.flow, document.name),
            inputs=inputs,
            returns=returns,
            writes=writes,
        )


def inner_steps(name: str, document: WorkflowDocument) -> Iterator[StepDefinition]:
    """The steps of an inner workflow as the outer definition lists them."""
    for step in document.steps:
        yield replace(step, name=f"{name}{SEPARATOR}{step.name}")


def qualified(block: Block, name: str) -> Block:
    """A flow whose steps are called as the outer definition lists them."""
    match block:
        case StepBlock():
            return replace(block, step=f"{name}{SEPARATOR}{block.step}")
        case SequenceBlock():
            return replace(block, blocks=tuple(qualified(each, name) for each in block.blocks))
        case ParallelBlock():
            return replace(block, branches=tuple(qualified(each, name) for each in block.branches))
        case BranchBlock():
            cases = tuple(Case(value=case.value, block=qualified(case.block, name)) for case in block.cases)
            return replace(block, cases=cases, otherwise=_optional(block.otherwise, name))
        case LoopBlock() | EachBlock():
            return replace(block, body=qualified(block.body, name))
        case RescueBlock():
            handlers = tuple(Handler(on=each.on, block=qualified(each.block, name)) for each in block.handlers)
            return replace(block, body=qualified(block.body, name), handlers=handlers)
        case WithinBlock():
            return replace(block, body=qualified(block.body, name), on_timeout=_optional(block.on_timeout, name))
        case SagaBlock():
            undo = {f"{name}{SEPARATOR}{step}": f"{name}{SEPARATOR}{by}" for step, by in block.undo.items()}
            return replace(block, body=qualified(block.body, name), undo=undo)
        case InlineBlock():
            return replace(block, flow=qualified(block.flow, name))
        case _:
            return block


def _optional(block: Any, name: str) -> Any:
    return qualified(block, name) if isinstance(block, Block) else block
