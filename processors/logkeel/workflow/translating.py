"""Makes the blocks of a definition of an author's flow. Pure; what is wrong is collected, never raised.

Every block of a definition has an id. Ids are unique within the enclosing block that adds a path segment: the cases of
a branch share its segment, as do a body and what follows its failure.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, UnsetType

from logkeel.definitions import (
    Block,
    BranchBlock,
    Case,
    ChildBlock,
    EachBlock,
    Handler,
    InlineBlock,
    LeaveBlock,
    LoopBlock,
    ParallelBlock,
    RescueBlock,
    SagaBlock,
    SequenceBlock,
    SleepBlock,
    StepBlock,
    WithinBlock,
)
from logkeel.records import Control
from logkeel.workflow.blocks import (
    Branch,
    FlowBlock,
    Human,
    Leave,
    Loop,
    Parallel,
    Rescue,
    Sequential,
    Sleep,
    WaitSignal,
    Within,
)
from logkeel.workflow.case_values import control_value
from logkeel.workflow.children import Child, child_block
from logkeel.workflow.each import Each, each_block, with_item
from logkeel.workflow.flow_contents import Contents
from logkeel.workflow.inlining import Inline, Inlining
from logkeel.workflow.mapping import Fitting
from logkeel.workflow.naming import NAME, Names
from logkeel.workflow.problems import Problem
from logkeel.workflow.reducing import Reduce, reduce_block
from logkeel.workflow.saga import Saga, saga_problems, undo_map
from logkeel.workflow.state import StateField
from logkeel.workflow.steps import Step
from logkeel.workflow.translating_waits import Waits

if TYPE_CHECKING:
    from logkeel.workflow.workflow import Workflow

_HANDLERS = 'say on={"timeout": block}, an error code, or "*" for any'
_BLOCKS = "use steps of this workflow, blocks such as parallel(...) or branch(...), or tuples of them"


@dataclass(slots=True)
class Translation:
    """Walks an author's flow once. Filled on the way: `problems`, `used` (steps in order of use), `inner` workflows,

    and `children`: those that are started as runs of their own.
    """

    fields: Mapping[str, StateField]
    problems: list[Problem] = field(default_factory=list)
    used: list[Step[..., Any]] = field(default_factory=list)
    inner: dict[str, "Workflow[Any]"] = field(default_factory=dict)
    children: dict[str, "Workflow[Any]"] = field(default_factory=dict)

    def translate(self, blocks: tuple[FlowBlock, ...]) -> SequenceBlock:
        """The whole flow as one sequence."""
        return self._sequence(blocks, Names(), "flow")

    def _sequence(self, blocks: tuple[FlowBlock, ...], names: Names, place: str) -> SequenceBlock:
        if not blocks:
            self._problem("a sequence is empty", place, "put a step into it, or take it out")
        identity = names.fresh("sequence")
        return SequenceBlock(id=identity, blocks=tuple(self._blocks(blocks, names, place)))

    def _blocks(self, blocks: tuple[FlowBlock, ...], names: Names, place: str) -> Iterator[Block]:
        for block in blocks:
            translated = self._block(block, names, place)
            if translated is not None:
                yield translated

    def _block(self, block: object, names: Names, place: str) -> Block | None:
        match block:
            case Step():
                self.used.append(block)
                return StepBlock(id=names.fresh(block.name), step=block.name)
            case Sequential(blocks=blocks):
                return self._sequence(blocks, names, place)
            case tuple():
                return self._sequence(block, names, place)
            case Parallel():
                return self._parallel(block, names, place)
            case Branch():
                return self._branch(block, names, place)
            case Loop():
                return self._loop(block, names, place)
            case Leave():
                identity = names.fresh("leave")
                value = self._value(block.field, block.value, f"{place}/{identity}")
                return LeaveBlock(id=identity, field=block.field, value=value)
            case _:
                return self._guarded(block, names, place)

    def _guarded(self, block: object, names: Names, place: str) -> Block | None:
        match block:
            case Rescue():
                return self._rescue(block, names, place)
            case Within():
                return self._within(block, names, place)
            case Sleep():
                identity = self._identity(block.name, names, place)
                return SleepBlock(id=identity, duration_ms=self._waits(f"{place}/{identity}").duration(block.duration))
            case WaitSignal():
                identity = self._identity(block.name, names, place)
                return self._waits(f"{place}/{identity}").signal(block, identity)
            case Human():
                identity = self._identity(block.name, names, place)
                return self._waits(f"{place}/{identity}").human(block, identity)
            case Inline():
                return self._inline(block, names, place)
            case Each():
                return self._each(block, names, place)
            case Reduce():
                return self._reduce(block, names, place)
            case Child():
                return self._child(block, names, place)
            case Saga():
                return self._saga(block, names, place)
            case _:
                self._problem(f"{block!r} is no block of a flow", place, _BLOCKS)
                return None

    def _body(self, block: FlowBlock, names: Names, place: str) -> Block:
        """One of several ways, or a body; an empty tuple is the way that does nothing."""
        if block == ():
            return SequenceBlock(id=names.fresh("nothing"), blocks=())
        return self._block(block, names, place) or SequenceBlock(id=names.fresh("sequence"), blocks=())

    def _inline(self, block: Inline, names: Names, place: str) -> InlineBlock:
        identity = self._identity(block.name or block.workflow.name, names, place)
        inlining = Inlining(self.fields, self.problems, self.inner)
        return inlining.block(block, identity, f"{place}/{identity}")

    def _child(self, block: Child, names: Names, place: str) -> ChildBlock:
        identity = self._identity(block.name or block.workflow.name, names, place)
        fitting = Fitting(self.fields, self.problems, f"{place}/{identity}")
        return child_block(block, identity, fitting, self.children)

    def _each(self, block: Each, names: Names, place: str) -> EachBlock:
        identity = self._identity(block.how.get("name", block.items), names, place)
        inside = f"{place}/{identity}"
        body, plain = self._gathered(block.body, with_item(self.fields, block.items, block.how.get("item")), inside)
        return each_block(block, identity, body, written=plain, problems=self.problems, place=inside)

    def _reduce(self, block: Reduce, names: Names, place: str) -> EachBlock:
        identity = self._identity(block.how.get("name", block.items), names, place)
        inside = f"{place}/{identity}"
        fields = with_item(self.fields, block.items, block.how.get("item"), grouped=True)
        body, plain = self._gathered(block.body, fields, inside)
        return reduce_block(block, identity, body, written=plain, problems=self.problems, place=inside)

    def _gathered(self, body: FlowBlock, fields: Mapping[str, StateField], inside: str) -> tuple[Block, list[str]]:
        """A body that works on elements, and fields it writes that can be taken from it."""
        within = Translation(fields, self.problems, self.used, self.inner, self.children)
        block = within._body(body, Names(), inside)
        written = Contents({step.name: step for step in self.used}).writes(block)
        return block, [
            name for name in written if name in self.fields and self.fields[name].definition.reducer == "replace"
        ]

    def _saga(self, block: Saga, names: Names, place: str) -> SagaBlock:
        identity, before = self._identity(block.name, names, place), len(self.used)
        inside = f"{place}/{identity}"
        body = self._sequence(block.blocks, Names(), inside)
        steps = self.used[before:]
        undo = undo_map(steps, body, self.inner)
        self.problems += saga_problems(steps, inside)
        if not undo:
            self._problem("a saga has nothing to undo", inside, "declare @step.undo for a step in it, or take it out")
        self.used += [step.undo_step for step in steps if step.undo_step is not None]
        policy = self._waits(inside).one_of("on_cancel", block.on_cancel, ("undo", "leave"))
        return SagaBlock(id=identity, body=body, undo=undo, on_cancel=policy)

    def _optional(self, block: FlowBlock | None, names: Names, place: str) -> Block | UnsetType:
        return UNSET if block is None else self._body(block, names, place)

    def _parallel(self, block: Parallel, names: Names, place: str) -> ParallelBlock:
        identity = self._identity(block.name, names, place)
        inside = f"{place}/{identity}"
        count = len(block.branches)
        if count < 2:
            what = f"parallel has {count} branch{'' if count == 1 else 'es'}"
            self._problem(what, inside, "give it two or more, or write the block without parallel")
        wait = block.wait
        if wait not in ("all", "first") and not 1 <= _count(wait) <= count:
            what = f"parallel(wait={wait!r}) waits for what cannot be: it has {count} branches"
            self._problem(what, inside, f'use wait="all", wait="first", or a number from 1 to {count}')
            wait = "all"
        branches = tuple(self._blocks(block.branches, Names(), inside))
        return ParallelBlock(id=identity, branches=branches, wait=wait)

    def _branch(self, block: Branch, names: Names, place: str) -> BranchBlock:
        identity = self._identity(block.name, names, place)
        inside, inner = f"{place}/{identity}", Names()
        cases = tuple(
            Case(value=self._value(block.field, value, inside), block=self._body(body, inner, inside))
            for value, body in block.cases
        )
        if not cases:
            self._problem("branch has no case", inside, f'write branch("{block.field}", value=block, …)')
        otherwise = self._optional(block.otherwise, inner, inside)
        return BranchBlock(id=identity, field=block.field, cases=cases, otherwise=otherwise)

    def _loop(self, block: Loop, names: Names, place: str) -> LoopBlock:
        identity = self._identity(block.name, names, place)
        inside = f"{place}/{identity}"
        rounds = block.max_rounds
        if _count(rounds) < 1:
            self._problem(f"loop(max_rounds={rounds!r}) has no round", inside, "give it a whole number from 1 on")
            rounds = 1
        body = self._sequence(block.blocks, Names(), inside)
        policy = self._waits(inside).one_of("on_exhausted", block.on_exhausted, ("fail", "continue"))
        return LoopBlock(id=identity, body=body, max_rounds=rounds, on_exhausted=policy)

    def _rescue(self, block: Rescue, names: Names, place: str) -> RescueBlock:
        identity = self._identity(block.name, names, place)
        inside, inner = f"{place}/{identity}", Names()
        body = self._body(block.body, inner, inside)
        on: object = block.on  # what is said without a type checker may be anything
        given = tuple(on.items()) if isinstance(on, Mapping) else ()
        if not given:
            self._problem("rescue has no handler", inside, _HANDLERS)
        handlers = tuple(
            Handler(on=self._error(key, inside), block=self._body(each, inner, inside)) for key, each in given
        )
        return RescueBlock(id=identity, body=body, handlers=handlers)

    def _error(self, on: object, place: str) -> str:
        if isinstance(on, str) and re.fullmatch(r"\S+", on):
            return on
        error = f"{on!r}, which is no error's code" if on else "no error at all"
        self._problem(f"rescue has a handler for {error}", place, _HANDLERS)
        return "*"

    def _within(self, block: Within, names: Names, place: str) -> WithinBlock:
        identity = self._identity(block.name, names, place)
        inside, inner = f"{place}/{identity}", Names()
        return WithinBlock(
            id=identity,
            timeout_ms=self._waits(inside).duration(block.timeout),
            body=self._body(block.body, inner, inside),
            on_timeout=self._optional(block.on_timeout, inner, inside),
        )

    def _value(self, name: str, value: Any, place: str) -> Control:
        known = self.fields.get(name)
        if known is None or known.definition.control_type is None:
            return str(value)  # the field itself is what is wrong, and told by the checks
        try:
            return control_value(known.definition, value)
        except ValueError as error:
            self._problem(f"{value!r} is no value that field {name!r} can have", place, str(error))
            return str(value)

    def _identity(self, name: object, names: Names, place: str) -> str:
        """The id of a block by its name, which becomes a part of paths: "/" and brackets mean something in them."""
        if isinstance(name, str) and NAME.fullmatch(name):
            return names.fresh(name)
        remedy = "use letters, digits, '_', '.' and '-', with a letter first"
        self._problem(f"{name!r} is no name of a block", place, remedy)
        return names.fresh("unnamed")

    def _waits(self, place: str) -> Waits:
        return Waits(self.fields, self.problems, place)

    def _problem(self, what: str, place: str, remedy: str) -> None:
        self.problems.append(Problem(what, place, remedy))


def _count(value: object) -> int:
    """The whole number; 0 for anything else, and True is something else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
