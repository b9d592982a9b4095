"""Blocks in a few words, for every kind of picture. Pure."""

from typing import assert_never

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
        case ParallelBlock():
            return f"{block.id}: {_how_many(block)} of"
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
        case InlineBlock() | EachBlock() | ChildBlock() | SagaBlock():
            return _inside(block)
        case SleepBlock() | SignalBlock() | HumanBlock():
            return _wait(block)
        case _:
            assert_never(block)


def _how_many(block: ParallelBlock) -> str:
    if block.wait == "all":
        return "all"
    return "the first" if block.wait in ("first", 1) else f"the first {block.wait}"


def _inside(block: InlineBlock | EachBlock | ChildBlock | SagaBlock) -> str:
    if isinstance(block, ChildBlock):
        return f"{'start' if block.detach else 'await'} a run of {block.workflow}@{block.version}"
    if isinstance(block, SagaBlock):
        return f"{block.id}: undone as a whole if it fails"
    if isinstance(block, InlineBlock):
        return f"workflow {block.workflow}"
    if not isinstance(block.fan_in, UnsetType):
        return f"{block.id}: {block.items} to one {block.into}, at most {block.fan_in} at a time, level by level"
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
            policy = (
                f"escalate to {block.escalate_to}, then {block.then}"
                if block.on_timeout == "escalate"
                else block.on_timeout
            )
            until = "" if block.timeout_ms is None else f", at most {time_of(block.timeout_ms)}, then {policy}"
            return f"ask {block.assignee or 'a human'}: {block.question}{until}"
