"""Another workflow as a block: same run, same transaction, a typed state of its own. Checks, and the block of it. Pure.

Its steps go into the outer definition as `<workflow>:<step>`, so that a worker of the outer workflow runs them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET
from msgspec.structs import replace

from logkeel.definitions import (
    Block,
    BranchBlock,
    Case,
    EachBlock,
    FieldDefinition,
    Handler,
    InlineBlock,
    LoopBlock,
    Mapped,
    ParallelBlock,
    RescueBlock,
    SagaBlock,
    SequenceBlock,
    StepBlock,
    StepDefinition,
    WithinBlock,
    WorkflowDocument,
)
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
        known = self.inner.setdefault(document.name, block.workflow)
        if known is not block.workflow:
            self._problem(f"two workflows are called {document.name!r}", place, "give one of them another name")
        inputs = block.inputs if block.inputs is not None else self._same_names(document)
        self._check_inputs(document, inputs, place)
        writes, returns = self._result(document, block.writes, place)
        return InlineBlock(
            id=identity,
            workflow=document.name,
            version=document.version,
            fields=document.fields,
            flow=qualified(document.flow, document.name),
            inputs=tuple(Mapped(inner=inner, outer=outer) for inner, outer in sorted(inputs.items())),
            returns=returns,
            writes=writes,
        )

    def _same_names(self, document: WorkflowDocument) -> dict[str, str]:
        return {each.name: each.name for each in document.fields if each.required}

    def _check_inputs(self, document: WorkflowDocument, inputs: Mapping[str, str], place: str) -> None:
        inner = {each.name: each for each in document.fields}
        for name in sorted({each.name for each in document.fields if each.required} - inputs.keys()):
            what = f"workflow {document.name!r} needs {name!r}, which it is not given"
            self._problem(what, place, f'map it: inputs={{"{name}": "a field of yours"}}')
        for name, outer in sorted(inputs.items()):
            if name not in inner:
                what = f"workflow {document.name!r} has no field {name!r}"
                self._problem(what, place, f"map one of {', '.join(inner)}")
            elif outer not in self.fields:
                self._problem(f"{outer!r} is no field of the state", place, f"use one of {', '.join(self.fields)}")
            else:
                self._check_kind(inner[name], self.fields[outer].definition, place)

    def _result(self, document: WorkflowDocument, writes: str | None, place: str) -> tuple[str | None, str | None]:
        returns = document.returns[0] if len(document.returns) == 1 else None
        if writes is None:
            return (returns, returns) if returns in self.fields else (None, None)
        if returns is None:
            what = f"workflow {document.name!r} returns {len(document.returns)} fields, and one is to be written"
            self._problem(what, place, 'let it return one: returns="field"')
        elif writes not in self.fields:
            self._problem(f"{writes!r} is no field of the state", place, f"use one of {', '.join(self.fields)}")
        else:
            inner = next((each for each in document.fields if each.name == returns), None)
            if inner is not None:
                self._check_kind(inner, self.fields[writes].definition, place)
        return writes, returns

    def _check_kind(self, inner: FieldDefinition, outer: FieldDefinition, place: str) -> None:
        if inner.control_type != outer.control_type:
            kinds = [each.control_type or "a payload" for each in (inner, outer)]
            what = f"field {inner.name!r} inside is {kinds[0]}, and {outer.name!r} outside is {kinds[1]}"
            self._problem(what, place, "give both the same type")
        if inner.elements != outer.elements:
            kept = [_kept(each) for each in (inner, outer)]
            what = f"field {inner.name!r} inside is kept as {kept[0]}, and {outer.name!r} outside as {kept[1]}"
            self._problem(what, place, "declare both alike")

    def _problem(self, what: str, place: str, remedy: str) -> None:
        self.problems.append(Problem(what, place, remedy))


def _kept(field: FieldDefinition) -> str:
    return "one value" if field.elements is UNSET else f"a {field.elements} of elements"


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
