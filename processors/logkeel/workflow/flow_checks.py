"""Checks a flow against the steps it is made of: what is read before it is written, and what branches do to each other.

Pure. Walks the blocks of a definition in order; a place is the path of block ids. Every walk knows which fields are
written for certain at its block, whatever way the run took to it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, assert_never

from msgspec import UnsetType

from logkeel.definitions import (
    Block,
    BranchBlock,
    ChildBlock,
    EachBlock,
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
    WaitBlock,
    WithinBlock,
    all_blocks,
    inner_blocks,
)
from logkeel.workflow.each import field_of_item
from logkeel.workflow.each_checks import EachCheck
from logkeel.workflow.field_checks import FieldCheck
from logkeel.workflow.flow_contents import Contents
from logkeel.workflow.loop_checks import LoopCheck
from logkeel.workflow.problems import Problem
from logkeel.workflow.signature import Read, type_problems, unknown_parameter
from logkeel.workflow.state import StateField
from logkeel.workflow.steps import Step

Written = frozenset[str]

_SEPARATE = "write separate fields and merge them behind the block, or give the field a reducer"

_BREAKABLE = ("NONE", "IDEMPOTENT")
"""Effects of steps that may be cancelled half-way without harm."""


@dataclass(frozen=True, slots=True)
class _Loop:
    """`writes`: what its body may write. `ways_out`: what is written for certain at each of its leaves."""

    writes: Written
    ways_out: list[Written] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Branch:
    """A branch of a parallel, with the fields that it may read and write: each branch is compared with every other."""

    block: Block
    reads: set[str]
    writes: set[str]


@dataclass(slots=True)
class FlowCheck:
    """One walk over a flow. `problems` is filled on the way."""

    steps: Mapping[str, Step[..., Any]]
    fields: Mapping[str, StateField]
    inner: Mapping[str, Sequence[StepDefinition]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _around: list["_Loop | None"] = field(default_factory=list)
    """The loops around. None stands for a block that no leave may be inside of: a parallel, an each, a saga."""

    def run(self, flow: Block) -> list[Problem]:
        """All problems of `flow`, in its order."""
        self._walk(flow, frozenset(), "flow")
        return self.problems

    def _walk(self, block: Block, written: Written, place: str) -> Written:
        """Check `block`; gives the fields that are written for certain behind it."""
        inside = f"{place}/{block.id}"
        match block:
            case StepBlock():
                self._check_reads(block, written, inside)
                return written | set(self.steps[block.step].settings.writes)
            case SequenceBlock():
                self._loops().sequence(block, place)
                for inner in block.blocks:
                    written = self._walk(inner, written, place)
                return written
            case ParallelBlock():
                return self._parallel(block, written, inside)
            case BranchBlock():
                return self._branch(block, written, inside)
            case LoopBlock():
                return self._loop(block, written, inside)
            case LeaveBlock():
                self._leave(block, written, inside)
                return written
            case RescueBlock() | WithinBlock():
                # Nothing that the body wrote is certain where it did not end.
                return _common([self._walk(each, written, inside) for each in inner_blocks(block)])
            case InlineBlock() | ChildBlock() | EachBlock() | SagaBlock():
                return self._around_body(block, written, inside)
            case SleepBlock() | SignalBlock() | HumanBlock():
                return self._wait(block, written, inside)
            case _:
                assert_never(block)

    def _around_body(
        self, block: InlineBlock | ChildBlock | EachBlock | SagaBlock, written: Written, place: str
    ) -> Written:
        match block:
            case InlineBlock() | ChildBlock():
                self._fields(place).inline(block, written)
                return written | ({block.writes} if block.writes is not None else set())
            case EachBlock():
                return self._each(block, written, place)
            case SagaBlock():
                self._around.append(None)
                written = self._walk(block.body, written, place)
                self._around.pop()
                return written

    def _fields(self, place: str) -> FieldCheck:
        return FieldCheck(self.fields, place, self.problems)

    def _loops(self) -> LoopCheck:
        return LoopCheck(self.fields, Contents(self.steps), self.problems)

    def _check_reads(self, block: StepBlock, written: Written, place: str) -> None:
        step = self.steps[block.step]
        reads = [*step.signature.reads, *(step.check_signature.reads if step.check_signature else ())]
        self.problems += _item_problems(step, reads, self.fields)
        reads = [read for read in reads if read.field in self.fields]
        for read in dict.fromkeys(read.field for read in reads if not _is_filled(read, self.fields, written)):
            what = f"step {block.step!r} reads {read!r} before any step on its way has written it"
            remedy = f"put a step that writes {read!r} before it, let the parameter accept None, or give it a default"
            self.problems.append(Problem(what, place, remedy))

    def _each(self, block: EachBlock, written: Written, place: str) -> Written:
        check = EachCheck(block, self.fields, Contents(self.steps), place, self.problems)
        check.run()
        fields = {**self.fields, block.item: field_of_item(block, self.fields)}
        body = FlowCheck(self.steps, fields, self.inner, self.problems, [None])
        body._walk(block.body, written, place)
        return written | {name for name in (block.collect, block.failed) if name is not None}

    def _parallel(self, block: ParallelBlock, written: Written, place: str) -> Written:
        self._check_branches(block, place)
        self._around.append(None)
        behind = [self._walk(branch, written, place) for branch in block.branches]
        self._around.pop()
        if block.wait == "all":
            return written.union(*behind)
        self._check_cancelled(block, place)
        left_out = len(behind) - (1 if block.wait == "first" else int(block.wait))
        known = set().union(*behind)
        return written | {name for name in known if sum(name in each for each in behind) > left_out}

    def _branch(self, block: BranchBlock, written: Written, place: str) -> Written:
        exhaustive = self._fields(place).branch(block, written)
        ways = [self._walk(case.block, written, place) for case in block.cases]
        if not isinstance(block.otherwise, UnsetType):
            ways.append(self._walk(block.otherwise, written, place))
        elif not exhaustive:
            ways.append(written)
        return _common(ways or [written])

    def _loop(self, block: LoopBlock, written: Written, place: str) -> Written:
        self._loops().loop(block, place)
        around = _Loop(frozenset(Contents(self.steps).writes(block.body)))
        self._around.append(around)
        end = self._walk(block.body, written, place)
        self._around.pop()
        ways = [*around.ways_out, end] if block.on_exhausted == "continue" else around.ways_out
        if not ways:
            what = "nothing leaves the loop, so it can only fail"
            remedy = 'put leave("field", value) into it, or say on_exhausted="continue"'
            self.problems.append(Problem(what, place, remedy))
        return _common(ways or [end])

    def _leave(self, block: LeaveBlock, written: Written, place: str) -> None:
        around = self._around[-1] if self._around else None
        self._fields(place).leave(block, written | around.writes if around is not None else written)
        if around is not None:
            around.ways_out.append(written)
        elif self._around:
            what, remedy = "leave stands in parallel, each or saga, and its loop around it", "put it behind that block"
            self.problems.append(Problem(what, place, remedy))
        else:
            self.problems.append(Problem("leave stands in no loop", place, "put it into loop(...), or take it out"))

    def _wait(self, block: WaitBlock, written: Written, place: str) -> Written:
        match block:
            case SignalBlock(writes=name):
                self._fields(place).signal(block, written)
                return written | {name} if name is not None and block.on_timeout == "fail" else written
            case HumanBlock():
                self._fields(place).human(block)
                return written | _answered(block)
            case SleepBlock():
                return written

    # Branches beside each other

    def _check_branches(self, block: ParallelBlock, place: str) -> None:
        contents = Contents(self.steps)
        branches = [_Branch(each, contents.reads(each), contents.writes(each)) for each in block.branches]
        added: dict[tuple[str, str], bool] = {}  # Of each branch once: there are as many pairs as squares of them.

        def adds(branch: _Branch, name: str) -> bool:
            place = (branch.block.id, name)
            if place not in added:
                plain = name in self.fields and self.fields[name].definition.reducer == "replace"
                added[place] = contents.adds(branch.block, name, plain=plain)
            return added[place]

        for left, right in combinations(branches, 2):
            for name in sorted(left.writes & right.writes):
                if block.wait not in ("first", 1) and not (adds(left, name) and adds(right, name)):
                    what = f"branches {left.block.id!r} and {right.block.id!r} both write {name!r}"
                    self.problems.append(Problem(what, place, _SEPARATE))
            self._check_sibling(left, right, place)
            self._check_sibling(right, left, place)

    def _check_sibling(self, reader: "_Branch", writer: "_Branch", place: str) -> None:
        for name in sorted((reader.reads & writer.writes) - reader.writes):
            what = f"branch {reader.block.id!r} reads {name!r}, which its sibling {writer.block.id!r} writes"
            remedy = "siblings do not see each other's writes: put the reader behind the block, or both in one branch"
            self.problems.append(Problem(what, place, remedy))

    def _check_cancelled(self, block: ParallelBlock, place: str) -> None:
        steps = [step.definition() for branch in block.branches for step in Contents(self.steps).steps(branch)]
        undone = {name for each in all_blocks(block) if isinstance(each, SagaBlock) for name in each.undo}
        for each in all_blocks(block):
            if isinstance(each, InlineBlock):
                steps += self.inner.get(each.workflow, ())
        for name, effect in dict.fromkeys((step.name, step.effect) for step in steps if step.effect not in _BREAKABLE):
            if name in undone:
                continue
            what = f"step {name!r} is {effect} and may be cancelled after its effect"
            remedy = "branches that are not waited for are cancelled: put it into saga(...), or behind the block"
            self.problems.append(Problem(what, place, remedy))


def _item_problems(step: Step[..., Any], reads: Iterable[Read], fields: Mapping[str, StateField]) -> Iterator[Problem]:
    """Of parameters that are no fields of the state: they are elements of an each block around the step."""
    place = step.signature.place
    for read in {read.field: read for read in reads if read.item is not None}.values():
        if read.field not in fields:
            yield unknown_parameter(step.name, read.field, fields, place)
        else:
            yield from type_problems(step.name, read.field, read.annotation, fields[read.field].annotation, place)


def _common(ways: Iterable[Written]) -> Written:
    first, *others = ways
    return first.intersection(*others)


def _answered(block: HumanBlock) -> set[str]:
    """What is certain behind a question."""
    always_answers = set(block.allow) <= {"edit", "respond"} and "fail" in (block.on_timeout, block.then)
    policies = {block.on_timeout, block.then if block.on_timeout == "escalate" else "fail"}
    certain = always_answers and not policies & {"approve", "reject"} and block.answer is not None
    return {block.writes, block.answer} if certain and block.answer is not None else {block.writes}


def _is_filled(read: Read, fields: Mapping[str, StateField], written: Written) -> bool:
    if read.field in written or read.accepts_none or read.has_default:
        return True
    state_field = fields[read.field]
    if state_field.definition.required:
        return True
    return state_field.default is not None and state_field.default() is not None
