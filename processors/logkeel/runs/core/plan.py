"""A workflow's definition, compiled: every block with its path, its scope, what guards it and what follows. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypedDict

from msgspec import UnsetType

from logkeel.definitions import (
    VIEW_FIELDS,
    Block,
    BranchBlock,
    ChildBlock,
    EachBlock,
    FieldDefinition,
    HumanBlock,
    InlineBlock,
    LeaveBlock,
    LoopBlock,
    ParallelBlock,
    RescueBlock,
    SagaBlock,
    SequenceBlock,
    SignalBlock,
    SleepBlock,
    StepBlock,
    StepDefinition,
    WithinBlock,
    WorkflowDocument,
    fields_written_by,
    inner_blocks,
)
from logkeel.errors import InvariantViolation
from logkeel.records.combining import COMBINING_OPERATIONS
from logkeel.runs.core.paths import static
from logkeel.runs.core.places import (
    ROOT_SCOPE,
    PlacedBranch,
    PlacedChild,
    PlacedChoice,
    PlacedEach,
    PlacedFork,
    PlacedInline,
    PlacedLeave,
    PlacedLimit,
    PlacedLoop,
    PlacedRescue,
    PlacedSaga,
    PlacedStep,
    PlacedWait,
    Places,
    element_scope,
    inner_scope,
)
from logkeel.runs.core.targets import (
    Target,
    ToChild,
    ToChoice,
    ToEach,
    ToElementEnd,
    ToEnd,
    ToFork,
    ToInline,
    ToInlineEnd,
    ToJoin,
    ToLeave,
    ToLimit,
    ToLimitEnd,
    ToLoop,
    ToRound,
    ToSaga,
    ToSagaEnd,
    ToStep,
    ToUndone,
    ToWait,
)
from logkeel.runs.core.undo_paths import undo_path


class Plan:
    """A compiled definition. Its content does not change; cached by digest.

    `keeps_milestones`: a step or the completion asks for what the run has behind it. `has_journals`: the code of a step
    is durable. `units`: those that have a budget; `run_budgets`: what each run has for itself;
    `shared_budgets`: what it shares with others.
    """

    def __init__(self, document: WorkflowDocument, digest: str) -> None:
        self.document = document
        self.digest = digest
        self.fields: dict[str, FieldDefinition] = {field.name: field for field in document.fields}
        self.definitions: dict[str, StepDefinition] = {step.name: step for step in document.steps}
        self.steps: Places[PlacedStep] = Places()
        self.forks: Places[PlacedFork] = Places()
        self.choices: Places[PlacedChoice] = Places()
        self.loops: Places[PlacedLoop] = Places()
        self.leaves: Places[PlacedLeave] = Places()
        self.limits: Places[PlacedLimit] = Places()
        self.rescues: Places[PlacedRescue] = Places()
        self.waits: Places[PlacedWait] = Places()
        self.inlines: Places[PlacedInline] = Places()
        self.eaches: Places[PlacedEach] = Places()
        self.children: Places[PlacedChild] = Places()
        self.keeps_milestones = any(step.run_summary is True for step in document.steps) or not {
            *document.returns
        }.isdisjoint(VIEW_FIELDS)
        self.sagas: Places[PlacedSaga] = Places()
        self.undoable: set[str] = set()
        self.has_journals = any(step.journaled is True for step in document.steps)
        budgets = () if isinstance(document.budgets, UnsetType) else document.budgets
        self.units = frozenset(budget.unit for budget in budgets)
        self.run_budgets = tuple(budget for budget in budgets if budget.name is None)
        self.shared_budgets = tuple(budget for budget in budgets if budget.name is not None)
        self._inner_fields: dict[str, dict[str, FieldDefinition]] = {}
        self.first = _Placing(self).place(document.flow, _Around(), ToEnd())

    def fields_at(self, root: str) -> Mapping[str, FieldDefinition]:
        """The fields of the state whose scope this is: of the workflow, or of an inner one."""
        return self.fields if root == ROOT_SCOPE else self._inner_fields[static(root)]

    def add_inner(self, scope: str, block: InlineBlock) -> None:
        """Note the fields of an inner workflow."""
        self._inner_fields[scope] = {field.name: field for field in block.fields}

    def guards_of(self, path: str) -> tuple[str, ...]:
        """The rescue blocks and sagas around what can fail at this path, innermost first, as the definition has them.

        An each block is the last of them: an element that fails concerns nobody outside.
        """
        kinds: tuple[Mapping[str, PlacedStep | PlacedLoop | PlacedLimit | PlacedWait | PlacedEach | PlacedChild], ...]
        kinds = (self.steps, self.loops, self.limits, self.waits, self.eaches, self.children)
        for places in kinds:
            try:
                return places[path].guards
            except KeyError:
                continue
        raise InvariantViolation(f"nothing at {path} can fail", path=path)


class _Where(TypedDict):
    """What every `Placed` has."""

    path: str
    scopes: tuple[str, ...]
    after: Target
    guards: tuple[str, ...]
    root: str


@dataclass(frozen=True, slots=True)
class _Around:
    """What is around a block: the prefix of its path, its scopes, its guards, its loop, the root of its state.

    `width`: how many of it may be open at once. `undo`: what undoes its steps.
    """

    prefix: str = ""
    scopes: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()
    loop: str | None = None
    root: str = ROOT_SCOPE
    width: int = 1
    undo: Mapping[str, str] = field(default_factory=dict)

    def inside(self, path: str) -> "_Around":
        """The same, one segment deeper."""
        return replace(self, prefix=f"{path}/")

    def at(self, path: str, after: Target) -> _Where:
        """Where a block with this path is, which `after` follows."""
        return _Where(path=path, scopes=self.scopes, after=after, guards=self.guards, root=self.root)


class _Placing:
    """Walks the blocks of a document once, each from what follows it."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._taken: set[str] = set()

    def place(self, block: Block, around: _Around, after: Target) -> Target:
        """Place a block that `after` follows; gives where it begins."""
        match block:
            case SequenceBlock(blocks=blocks):
                for each in reversed(blocks):
                    after = self.place(each, around, after)
                return after
            case StepBlock():
                return self._step(block, around, after)
            case ParallelBlock():
                return self._fork(block, around, after)
            case BranchBlock():
                return self._choice(block, around, after)
            case LoopBlock():
                return self._loop(block, around, after)
            case LeaveBlock():
                return self._leave(block, around, after)
            case SleepBlock() | SignalBlock() | HumanBlock():
                path = self._unique(block, around)
                self._plan.waits[path] = PlacedWait(**around.at(path, after), block=block)
                return ToWait(path)
            case ChildBlock():
                return self._child(block, around, after)
            case _:
                return self._around_body(block, around, after)

    def _around_body(
        self, block: RescueBlock | WithinBlock | InlineBlock | EachBlock | SagaBlock, around: _Around, after: Target
    ) -> Target:
        match block:
            case RescueBlock():
                return self._rescue(block, around, after)
            case WithinBlock():
                return self._limit(block, around, after)
            case InlineBlock():
                return self._inline(block, around, after)
            case EachBlock():
                return self._each(block, around, after)
            case SagaBlock():
                return self._saga(block, around, after)

    def _step(self, block: StepBlock, around: _Around, after: Target) -> Target:
        path, definition = self._unique(block, around), self._plan.definitions[block.step]
        self._plan.steps[path] = PlacedStep(**around.at(path, after), definition=definition)
        if block.step in around.undo:
            undo = undo_path(path)
            self._plan.undoable.add(path)
            self._plan.steps[undo] = PlacedStep(
                path=undo,
                scopes=(),
                after=ToUndone(undo),
                root=around.root,
                definition=self._plan.definitions[around.undo[block.step]],
                undoes=True,
            )
        return ToStep(path)

    def _saga(self, block: SagaBlock, around: _Around, after: Target) -> Target:
        path = self._unique(block, around)
        inside = replace(around.inside(path), guards=(path, *around.guards), undo={**around.undo, **block.undo})
        self._plan.sagas[path] = PlacedSaga(
            **around.at(path, after),
            block=block,
            first=self.place(block.body, inside, ToSagaEnd(path)),
        )
        return ToSaga(path)

    def _fork(self, block: ParallelBlock, around: _Around, after: Target) -> Target:
        path = self._unique(block, around)
        branches = []
        for index, branch in enumerate(block.branches):
            scope = f"{path}#{index}"
            width = around.width * len(block.branches)
            inside = replace(around.inside(path), scopes=(*around.scopes, scope), width=width)
            first = self.place(branch, inside, ToJoin(path, index))
            branches.append(PlacedBranch(scope, first, self._fields_written(branch, around)))
        needs = {"all": len(branches), "first": 1}.get(str(block.wait)) or int(block.wait)
        self._plan.forks[path] = PlacedFork(
            **around.at(path, after),
            branches=tuple(branches),
            needs=needs,
        )
        return ToFork(path)

    def _choice(self, block: BranchBlock, around: _Around, after: Target) -> Target:
        path = self._unique(block, around)
        inside = around.inside(path)
        cases = tuple((case.value, self.place(case.block, inside, after)) for case in block.cases)
        self._plan.choices[path] = PlacedChoice(
            **around.at(path, after),
            field=block.field,
            cases=cases,
            otherwise=self._optional(block.otherwise, inside, after) or after,
        )
        return ToChoice(path)

    def _loop(self, block: LoopBlock, around: _Around, after: Target) -> Target:
        path = self._unique(block, around)
        first = self.place(block.body, replace(around.inside(path), loop=path), ToRound(path))
        self._plan.loops[path] = PlacedLoop(
            **around.at(path, after),
            first=first,
            max_rounds=block.max_rounds,
            fails=block.on_exhausted == "fail",
        )
        return ToLoop(path)

    def _leave(self, block: LeaveBlock, around: _Around, after: Target) -> Target:
        path = self._unique(block, around)
        if around.loop is None:
            raise InvariantViolation(f"{path} of {self._plan.document.name} is in no loop", path=path)
        self._plan.leaves[path] = PlacedLeave(
            **around.at(path, after),
            loop=around.loop,
            field=block.field,
            value=block.value,
        )
        return ToLeave(path)

    def _rescue(self, block: RescueBlock, around: _Around, after: Target) -> Target:
        path = self._unique(block, around)
        inside = around.inside(path)
        first = self.place(block.body, replace(inside, guards=(path, *around.guards)), after)
        handlers = tuple((handler, self.place(handler.block, inside, after)) for handler in block.handlers)
        self._plan.rescues[path] = PlacedRescue(
            **around.at(path, after),
            handlers=handlers,
        )
        return first

    def _limit(self, block: WithinBlock, around: _Around, after: Target) -> Target:
        path = self._unique(block, around)
        inside = around.inside(path)
        self._plan.limits[path] = PlacedLimit(
            **around.at(path, after),
            first=self.place(block.body, inside, ToLimitEnd(path)),
            timeout_ms=block.timeout_ms,
            late=self._optional(block.on_timeout, inside, after),
        )
        return ToLimit(path)

    def _inline(self, block: InlineBlock, around: _Around, after: Target) -> Target:
        path = self._unique(block, around)
        inner = inner_scope(path)
        self._plan.add_inner(inner, block)
        inside = replace(around.inside(path), scopes=(), loop=None, root=inner)
        self._plan.inlines[path] = PlacedInline(
            **around.at(path, after),
            block=block,
            first=self.place(block.flow, inside, ToInlineEnd(path)),
            inner=inner,
        )
        return ToInline(path)

    def _each(self, block: EachBlock, around: _Around, after: Target) -> Target:
        path = self._unique(block, around)
        scopes = (*around.scopes, element_scope(path))
        width = around.width * block.concurrency
        inside = replace(around.inside(path), scopes=scopes, guards=(path,), loop=None, width=width)
        known, fields = self._plan.fields_at(around.root), self._fields_written(block.body, around)
        self._plan.eaches[path] = PlacedEach(
            **around.at(path, after),
            block=block,
            first=self.place(block.body, inside, ToElementEnd(path)),
            fields=fields,
            combining=tuple(name for name in fields if known[name].reducer in COMBINING_OPERATIONS),
        )
        return ToEach(path)

    def _child(self, block: ChildBlock, around: _Around, after: Target) -> Target:
        path = self._unique(block, around)
        self._plan.children[path] = PlacedChild(**around.at(path, after), block=block, width=around.width)
        return ToChild(path)

    def _optional(self, block: Block | UnsetType, around: _Around, after: Target) -> Target | None:
        return None if isinstance(block, UnsetType) else self.place(block, around, after)

    def _fields_written(self, block: Block, around: _Around) -> tuple[str, ...]:
        """What may be written inside, in the order of the state."""
        written = set(self._written(block))
        return tuple(name for name in self._plan.fields_at(around.root) if name in written)

    def _written(self, block: Block) -> Iterator[str]:
        match block:
            case StepBlock(step=name):
                yield from (write.field for write in self._plan.definitions[name].changes)
            case InlineBlock():
                yield from fields_written_by(block)
            case _:
                # Of all that the body of an each writes only numbers with a reducer get out; who asks knows the fields.
                yield from fields_written_by(block)
                for inner in inner_blocks(block):
                    yield from self._written(inner)

    def _unique(self, block: Block, around: _Around) -> str:
        path = around.prefix + block.id
        if path in self._taken:
            raise InvariantViolation(f"two blocks of {self._plan.document.name} have the path {path}", path=path)
        self._taken.add(path)
        return path
