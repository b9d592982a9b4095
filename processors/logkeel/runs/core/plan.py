"""A workflow's definition, compiled: every block with its path, its scope, what guards it and what follows. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from msgspec import UnsetType

from logkeel.definitions import (
    VIEW_FIELDS,
    Block,
    BranchBlock,
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
    inner_blocks,
)
from logkeel.errors import InvariantViolation
from logkeel.records.combining import COMBINING_OPERATIONS
from logkeel.runs.core.paths import static
from logkeel.runs.core.places import (
    ROOT_SCOPE,
    PlacedBranch,
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
    is durable.
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
        self.keeps_milestones = any(step.run_summary is True for step in document.steps) or not {
            *document.returns
        }.isdisjoint(VIEW_FIELDS)
        self.sagas: Places[PlacedSaga] = Places()
        self.undoable: set[str] = set()
        self.has_journals = any(step.journaled is True for step in document.steps)
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
        kinds: tuple[Mapping[str, PlacedStep | PlacedLoop | PlacedLimit | PlacedWait | PlacedEach], ...]
        kinds = (self.steps, self.loops, self.limits, self.waits, self.eaches)
        for places in kinds:
            try:
                return places[path].guards
            except KeyError:
                continue
        raise InvariantViolation(f"nothing at {path} can fail", path=path)


@dataclass(frozen=True, slots=True)
class _Around:
    """What is around a block: the prefix of its path, its scopes, its guards, its loop, and what undoes its steps."""

    prefix: str = ""
    scopes: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()
    loop: str | None = None
    root: str = ROOT_SCOPE
    undo: Mapping[str, str] = field(default_factory=dict)

    def inside(self, path: str) -> "_Around":
        """The same, one segment deeper."""
        return replace(self, prefix=f"{path}/")


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
                self._plan.waits[path] = PlacedWait(
                    path=path, scopes=around.scopes, after=after, guards=around.guards, root=around.root, block=block
                )
                return ToWait(path)
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
        self._plan.steps[path] = PlacedStep(
            path=path, scopes=around.scopes, after=after, guards=around.guards, root=around.root, definition=definition
        )
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
            path=path,
            scopes=around.scopes,
            after=after,
            guards=around.guards,
            root=around.root,
            block=block,
            first=self.place(block.body, inside, ToSagaEnd(path)),
        )
        return ToSaga(path)

    def _fork(self, block: ParallelBlock, around: _Around, after: Target) -> Target:
        path = self._unique(block, around)
        branches = []
        for index, branch in enumerate(block.branches):
            scope = f"{path}#{index}"
            inside = replace(around.inside(path), scopes=(*around.scopes, scope))
            first = self.place(branch, inside, ToJoin(path, index))
            written = set(self._written(branch))
            known = self._plan.fields_at(around.root)
            branches.append(PlacedBranch(scope, first, tuple(name for name in known if name in written)))
        needs = {"all": len(branches), "first": 1}.get(str(block.wait)) or int(block.wait)
        self._plan.forks[path] = PlacedFork(
            path=path,
            scopes=around.scopes,
            after=after,
            guards=around.guards,
            root=around.root,
            branches=tuple(branches),
            needs=needs,
        )
        return ToFork(path)

    def _choice(self, block: BranchBlock, around: _Around, after: Target) -> Target:
        path = self._unique(block, around)
        inside = around.inside(path)
        cases = tuple((case.value, self.place(case.block, inside, after)) for case in block.cases)
        self._plan.choices[path] = PlacedChoice(
            path=path,
            scopes=around.scopes,
            after=after,
            guards=around.guards,
            root=around.root,
            field=block.field,
            cases=cases,
            otherwise=self._optional(block.otherwise, inside, after) or after,
        )
        return ToChoice(path)

    def _loop(self, block: LoopBlock, around: _Around, after: Target) -> Target:
        path = self._unique(block, around)
        first = self.place(block.body, replace(around.inside(path), loop=path), ToRound(path))
        self._plan.loops[path] = PlacedLoop(
            path=path,
            scopes=around.scopes,
            after=after,
            guards=around.guards,
            root=around.root,
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
            path=path,
            scopes=around.scopes,
            after=after,
            root=around.root,
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
            path=path,
            scopes=around.scopes,
            after=after,
            guards=around.guards,
            root=around.root,
            handlers=handlers,
        )
        return first

    def _limit(self, block: WithinBlock, around: _Around, after: Target) -> Target:
        path = self._unique(block, around)
        inside = around.inside(path)
        self._plan.limits[path] = PlacedLimit(
            path=path,
            scopes=around.scopes,
            after=after,
            guards=around.guards,
            root=around.root,
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
            path=path,
            scopes=around.scopes,
            after=after,
            guards=around.guards,
            root=around.root,
            block=block,
            first=self.place(block.flow, inside, ToInlineEnd(path)),
            inner=inner,
        )
        return ToInline(path)

    def _each(self, block: EachBlock, around: _Around, after: Target) -> Target:
        path = self._unique(block, around)
        scopes = (*around.scopes, element_scope(path))
        inside = replace(around.inside(path), scopes=scopes, guards=(path,), loop=None)
        written, known = set(self._written(block.body)), self._plan.fields_at(around.root)
        fields = tuple(name for name in known if name in written)
        self._plan.eaches[path] = PlacedEach(
            path=path,
            scopes=around.scopes,
            after=after,
            guards=around.guards,
            root=around.root,
            block=block,
            first=self.place(block.body, inside, ToElementEnd(path)),
            fields=fields,
            combining=tuple(name for name in fields if known[name].reducer in COMBINING_OPERATIONS),
        )
        return ToEach(path)

    def _optional(self, block: Block | UnsetType, around: _Around, after: Target) -> Target | None:
        return None if isinstance(block, UnsetType) else self.place(block, around, after)

    def _written(self, block: Block) -> Iterator[str]:
        match block:
            case StepBlock(step=name):
                yield from (write.field for write in self._plan.definitions[name].writes)
            case SignalBlock(writes=str(name)):
                yield name
            case HumanBlock(writes=name, answer=answer):
                yield name
                yield from () if answer is None else (answer,)
            case InlineBlock(writes=written):
                yield from () if written is None else (written,)
            case EachBlock(collect=collect, failed=failed, body=body):
                yield from (name for name in (collect, failed) if name is not None)
                # Of all that the body writes only numbers with a reducer get out; who asks knows the fields.
                yield from self._written(body)
            case _:
                for inner in inner_blocks(block):
                    yield from self._written(inner)

    def _unique(self, block: Block, around: _Around) -> str:
        path = around.prefix + block.id
        if path in self._taken:
            raise InvariantViolation(f"two blocks of {self._plan.document.name} have the path {path}", path=path)
        self._taken.add(path)
        return path
