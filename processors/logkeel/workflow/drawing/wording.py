"""Blocks in a few words, for every kind of picture. Pure."""

from typing import assert_never

from logkeel.definitions import (
    Block,
    BranchBlock,
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
)

_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000))


def time_of(milliseconds: int) -> str:
    """A duration as an author writes it: `48h`, `1m30s`, `250ms`."""
    parts, left = [], milliseconds
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    if left or not parts:
        parts.append(f"{left}ms")
    return "".join(parts)


def words_for(block: Block) -> str:
    """What a block does."""
    match block:
        case StepBlock():
            return block.id
        case SequenceBlock():
            return "one after the other"
        case ParallelBlock(wait="all"):
            return f"{block.id}: all of"
        case ParallelBlock():
            return f"{block.id}: the first {1 if block.wait == 'first' else block.wait} of"
        case BranchBlock():
            return f"branch on {block.field}"
        case LoopBlock():
            rest = "then go on" if block.on_exhausted == "continue" else "then fail"
            return f"{block.id}: at most {block.max_rounds} times, {rest}"
        case LeaveBlock():
            return f"leave if {block.field} is {block.value}"
        case RescueBlock():
            return block.id
        case WithinBlock():
            return f"{block.id} {time_of(block.timeout_ms)}"
        case InlineBlock() | EachBlock() | SagaBlock():
            return _inside(block)
        case SleepBlock() | SignalBlock() | HumanBlock():
            return _wait(block)
        case _:
            assert_never(block)


def _inside(block: InlineBlock | EachBlock | SagaBlock) -> str:
    if isinstance(block, SagaBlock):
        return f"{block.id}: undone as a whole if it fails"
    if isinstance(block, InlineBlock):
        return f"workflow {block.workflow}"
    return f"{block.id}: for each {block.item} of {block.items}, {block.concurrency} at a time"


def _wait(block: SleepBlock | SignalBlock | HumanBlock) -> str:
    match block:
        case SleepBlock():
            return f"sleep {time_of(block.duration_ms)}"
        case SignalBlock():
            until = (
                "" if block.timeout_ms is None else f", at most {time_of(block.timeout_ms)}, then {block.on_timeout}"
            )
            return f"wait for signal {block.name}{until}"
        case HumanBlock():
            policy = f"escalate to {block.escalate_to}" if block.on_timeout == "escalate" else block.on_timeout
            until = "" if block.timeout_ms is None else f", at most {time_of(block.timeout_ms)}, then {policy}"
            return f"ask {block.assignee or 'a human'}: {block.question}{until}"
