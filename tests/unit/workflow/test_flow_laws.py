"""Laws of flows as authors write them: ids, checks that never break, and that what the checks let by is so."""

from collections.abc import Iterator
from contextlib import suppress
from random import Random

import msgspec
from hypothesis import event, given, settings
from hypothesis import strategies as st
from tests.strategies.author_flows import READERS, drafts, flows

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
    WithinBlock,
    WorkflowDocument,
    decode_document,
    encode_document,
    inner_blocks,
)
from logkeel.runs.core.plan import Plan
from logkeel.workflow.blocks import FlowBlock
from logkeel.workflow.drawing import as_mermaid, as_text
from logkeel.workflow.flow_checks import FlowCheck
from logkeel.workflow.problems import Problem
from logkeel.workflow.translating import Translation

Flow = tuple[FlowBlock, ...]


def translated(blocks: Flow) -> tuple[SequenceBlock, list[Problem]]:
    """The flow as data, and everything that is wrong with it; steps may be left out."""
    translation = Translation(drafts.shape.fields)
    flow = translation.translate(blocks)
    return flow, [*translation.problems, *FlowCheck(drafts.steps, drafts.shape.fields).run(flow)]


def document(flow: Block) -> WorkflowDocument:
    return WorkflowDocument(
        name="drafts",
        version="1",
        schema_version=1,
        fields=tuple(each.definition for each in drafts.shape.fields.values()),
        steps=tuple(drafts.steps[name].definition() for name in sorted(drafts.steps)),
        flow=flow,
    )


def paths(block: Block, around: str = "") -> Iterator[str]:
    """Paths of all blocks that have one of their own."""
    inside = around
    if not isinstance(block, SequenceBlock):
        inside = f"{around}/{block.id}"
        yield inside
    for inner in inner_blocks(block):
        yield from paths(inner, inside)


@settings(max_examples=100, deadline=None)
@given(blocks=flows())
def test_every_block_has_a_path_of_its_own(blocks: Flow) -> None:
    flow, _ = translated(blocks)
    found = list(paths(flow))
    assert len(found) == len(set(found))
    assert translated(blocks)[0] == flow
    Plan(document(flow), "digest")


@settings(max_examples=150, deadline=None)
@given(blocks=flows(manner="wrong"))
def test_checks_never_break_and_what_they_let_by_can_be_written_down(blocks: Flow) -> None:
    flow, problems = translated(blocks)
    assert all(problem.what and problem.place.startswith("flow") and problem.remedy for problem in problems)
    event("refused" if problems else "taken")
    whole = document(flow)
    assert as_mermaid(whole)
    assert as_text(whole)
    if not problems:
        assert decode_document(encode_document(whole)) == whole


@settings(max_examples=200, deadline=None)
@given(blocks=flows(manner="tame"), seed=st.integers(0, 2**32))
def test_no_way_through_a_flow_that_is_taken_reads_what_is_not_written(blocks: Flow, seed: int) -> None:
    for reader in READERS:
        flow, problems = translated((*blocks, reader))
        event(f"{reader.name} is {'refused' if problems else 'taken'}")
        for number in range(0 if problems else 20):
            with suppress(Failed):
                Walk(Random(seed + number)).go(flow, frozenset())


class Failed(Exception):
    """A block has failed, and what it wrote counts for nothing."""


class Left(Exception):
    """A loop was left, with what is written by then."""

    def __init__(self, written: frozenset[str]) -> None:
        super().__init__()
        self.written = written


class Walk:
    """Goes one way through a flow, by chance: it knows nothing of how the checks come to their answer."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.caught = 0
        """Blocks around that something can fail in without an end of the run."""

    def go(self, block: Block, written: frozenset[str]) -> frozenset[str]:
        """What is written behind the block. Raises `Failed` and `Left`."""
        match block:
            case StepBlock():
                definition = drafts.steps[block.step].definition()
                optional = {read.field for read in drafts.steps[block.step].signature.reads if read.accepts_none}
                missing = {*definition.reads} - written - optional - {"topic"}
                assert not missing, f"{block.id} reads {missing}"
                self.perhaps_fail()
                return written | {write.field for write in definition.writes}
            case SequenceBlock():
                for inner in block.blocks:
                    written = self.go(inner, written)
                return written
            case ParallelBlock():
                return self.parallel(block, written)
            case BranchBlock():
                return self.branch(block, written)
            case LoopBlock():
                return self.loop(block, written)
            case LeaveBlock():
                if self.random.random() < 0.4:
                    raise Left(written)
                return written
            case RescueBlock() | WithinBlock():
                return self.guarded(block, written)
            case SleepBlock() | SignalBlock() | HumanBlock():
                return written | self.wait(block)
            case InlineBlock() | EachBlock() | ChildBlock() | SagaBlock():
                raise NotImplementedError

    def perhaps_fail(self) -> None:
        if self.caught and self.random.random() < 0.2:
            raise Failed

    def parallel(self, block: ParallelBlock, written: frozenset[str]) -> frozenset[str]:
        ends = [self.go(branch, written) for branch in block.branches]
        self.random.shuffle(ends)
        wanted = {"all": len(ends), "first": 1}.get(str(block.wait)) or int(block.wait)
        return written.union(*ends[:wanted])

    def branch(self, block: BranchBlock, written: frozenset[str]) -> frozenset[str]:
        field = drafts.shape.fields[block.field].definition
        ways = [case.block for case in block.cases if case.value is not None]
        ways += [] if isinstance(block.otherwise, msgspec.UnsetType) else [block.otherwise]
        if field.nullable and block.field not in written:
            ways = [case.block for case in block.cases if case.value is None] or ways[-1:]
        return self.go(self.random.choice(ways), written)

    def loop(self, block: LoopBlock, written: frozenset[str]) -> frozenset[str]:
        try:
            for _ in range(block.max_rounds):
                written = self.go(block.body, written)
        except Left as left:
            return left.written
        if block.on_exhausted == "continue":
            return written
        raise Failed

    def guarded(self, block: RescueBlock | WithinBlock, written: frozenset[str]) -> frozenset[str]:
        self.caught += 1
        try:
            behind = self.go(block.body, written)
            self.perhaps_fail()
        except Failed:
            self.caught -= 1
            others = inner_blocks(block)[1:]
            if not others:
                raise
            return self.go(self.random.choice(others), written)
        except Left:
            self.caught -= 1
            raise
        self.caught -= 1
        return behind

    def wait(self, block: SleepBlock | SignalBlock | HumanBlock) -> set[str]:
        self.perhaps_fail()
        match block:
            case SleepBlock():
                return set()
            case SignalBlock(writes=name):
                comes = block.on_timeout == "fail" or self.random.random() < 0.5
                return {name} if name is not None and comes else set()
            case HumanBlock(writes=name, answer=answer):
                verbs = [*block.allow, *({block.on_timeout} & {"approve", "reject"})]
                answered = self.random.choice(verbs) in ("edit", "respond")
                return {name, answer} if answered and answer is not None else {name}
