"""The blocks of a flow, as data: what a definition says of them, and nothing of how they are carried out.

Every block has an `id`, unique among the blocks that share its path segment. A block path joins the ids of the
enclosing blocks and its own with "/"; sequences add no segment. A round of a loop stands in brackets behind the loop's
id, `refine[2]/judge`, and the key of an element behind that of an each block, `items[42]/summarise`. So every
occurrence of a step has a path of its own (P30).

Optional fields are unset rather than None where they came later than the block, so that digests stay as they were.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from logkeel.definitions.fields import FieldDefinition
from logkeel.records import Control


class StepBlock(msgspec.Struct, frozen=True, kw_only=True, tag="step"):
    """Run one step."""

    id: str
    step: str


class SequenceBlock(msgspec.Struct, frozen=True, kw_only=True, tag="sequence"):
    """One after the other. Adds no path segment."""

    id: str
    blocks: tuple["Block", ...]


class ParallelBlock(msgspec.Struct, frozen=True, kw_only=True, tag="parallel"):
    """All branches at once, joined at the end. A branch reads the state at the fork plus its own writes.

    `wait`: how many branches have to end; "first" is 1. The others are cancelled then, and what they wrote is dropped.
    """

    id: str
    branches: tuple["Block", ...]
    wait: Literal["all", "first"] | int = "all"


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What a branch does for one value of its field."""

    value: Control
    block: "Block"


class BranchBlock(msgspec.Struct, frozen=True, kw_only=True, tag="branch"):
    """One of the cases, by the value of a control field; `otherwise` for any other value, unset: nothing."""

    id: str
    field: str
    cases: tuple[Case, ...]
    otherwise: "Block | msgspec.UnsetType" = msgspec.UNSET


class LoopBlock(msgspec.Struct, frozen=True, kw_only=True, tag="loop"):
    """The body again and again, until a `LeaveBlock` in it leaves; at most `max_rounds` times.

    `on_exhausted`: what follows the last round if nothing has left: the failure `loop_exhausted`, or the next block.
    """

    id: str
    body: "Block"
    max_rounds: int
    on_exhausted: Literal["fail", "continue"] = "fail"


class LeaveBlock(msgspec.Struct, frozen=True, kw_only=True, tag="leave"):
    """Leave the innermost enclosing loop, here and now, if a control field has this value."""

    id: str
    field: str
    value: Control


class Handler(msgspec.Struct, frozen=True, kw_only=True):
    """What follows a failure. `on`: an error code, else an error kind (`timeout`), else "*"."""

    on: str
    block: "Block"


class RescueBlock(msgspec.Struct, frozen=True, kw_only=True, tag="rescue"):
    """The body. If it fails by an error that a handler is for, what still runs in it is cancelled and the handler runs.

    An exact code goes before a kind, a kind before "*".
    """

    id: str
    body: "Block"
    handlers: tuple[Handler, ...]


class WithinBlock(msgspec.Struct, frozen=True, kw_only=True, tag="within"):
    """The body, for so long at most; then it is cancelled and `on_timeout` runs; unset: the failure `timeout`."""

    id: str
    timeout_ms: int
    body: "Block"
    on_timeout: "Block | msgspec.UnsetType" = msgspec.UNSET


class SleepBlock(msgspec.Struct, frozen=True, kw_only=True, tag="sleep"):
    """Wait; a row and a timer."""

    id: str
    duration_ms: int


class SignalBlock(msgspec.Struct, frozen=True, kw_only=True, tag="wait_signal"):
    """Wait for a signal of this name; one that came before is taken, the oldest first.

    `correlate`: a control field; only a signal whose correlation is its value, as text, is taken. `writes`: the payload
    field that the signal's payload goes to. `on_timeout`: the failure `signal_timed_out`, or the next block.
    """

    id: str
    name: str
    writes: str | None = None
    correlate: str | None = None
    timeout_ms: int | None = None
    on_timeout: Literal["fail", "continue"] = "fail"


Verb = Literal["approve", "edit", "reject", "respond"]


class HumanBlock(msgspec.Struct, frozen=True, kw_only=True, tag="human"):
    """Ask a human and wait: a row and its timers.

    The first valid answer counts. `writes`: the control field that gets the verb; `answer`: the payload field that gets
    the answer of `edit` and `respond`, `answer_schema` being its JSON Schema (canonical JSON). `shows`: fields that the
    human is to see. `timeout_ms` None: for ever. When it is over: `approve` and `reject` write that verb, `fail` is the
    failure `human_timed_out`, `escalate` asks `escalate_to` for as long again and then does `then`.
    """

    id: str
    question: str
    writes: str
    allow: tuple[Verb, ...] = ("approve", "reject")
    answer: str | None = None
    answer_schema: str | None = None
    shows: tuple[str, ...] = ()
    assignee: str | None = None
    notify: str | None = None
    timeout_ms: int | None = None
    remind_ms: int | None = None
    on_timeout: Literal["approve", "reject", "fail", "escalate"] = "fail"
    escalate_to: str | None = None
    then: Literal["approve", "reject", "fail"] = "fail"


class Mapped(msgspec.Struct, frozen=True, kw_only=True):
    """A field of the inner workflow that begins with the value of an outer one."""

    inner: str
    outer: str


class InlineBlock(msgspec.Struct, frozen=True, kw_only=True, tag="inline"):
    """Another workflow at this place, in the same run, with a state of its own.

    Its steps are among those of the document, as `<workflow>:<step>`; they see `fields` and nothing else. `inputs` are
    copied when it begins. When it ends, its field `returns` is copied to the outer field `writes`, and its state goes.
    """

    id: str
    workflow: str
    version: str
    fields: tuple[FieldDefinition, ...]
    flow: "Block"
    inputs: tuple[Mapped, ...] = ()
    returns: str | None = None
    writes: str | None = None


class EachBlock(msgspec.Struct, frozen=True, kw_only=True, tag="each"):
    """The body once for every element of a field that is kept element by element, `concurrency` of them at a time.

    The body reads the element as `item`; what it writes stays with the element, but for numbers with a reducer. `value`
    is the field of the body's whose value goes into `collect`, in the order of the elements. An element that fails goes
    into the map `failed`, by its key. More failures than `max_failures` (a count) or `max_failures_percent` of all
    elements are the failure `too_many_failures` of the block; both None: any number may fail.

    With `fan_in` the body works on so many elements at a time: `item` is a list of them, in their order, and all values
    are gone through again, until one is left, which is written to `into`. Of one element that is the element, of none
    nothing is written.
    """

    id: str
    items: str
    body: "Block"
    item: str
    value: str | None = None
    collect: str | None = None
    failed: str | None = None
    concurrency: int = 100
    max_failures: int | None = None
    max_failures_percent: float | None = None
    fan_in: int | msgspec.UnsetType = msgspec.UNSET
    into: str | msgspec.UnsetType = msgspec.UNSET


class ChildBlock(msgspec.Struct, frozen=True, kw_only=True, tag="child"):
    """A run of its own of another workflow, maybe on another partition; `inputs` are what it begins with.

    It is awaited: when it has succeeded, its field `returns` is copied to the outer field `writes`; any other end is
    the failure `child_failed` of the block. `detach`: nobody waits for it. `on_cancel`: what becomes of it when nobody
    waits for it any more. `leaf`: it has no children itself, so none are kept free for it (`docs/inline-and-child.md`).
    `uses`: what it and all below it may use of the outer workflow's budgets, by unit; of others it gets a share.
    """

    id: str
    workflow: str
    version: str
    inputs: tuple[Mapped, ...] = ()
    returns: str | None = None
    writes: str | None = None
    detach: bool = False
    on_cancel: Literal["cancel", "abandon"] = "cancel"
    leaf: bool = False
    uses: dict[str, int] | UnsetType = UNSET


class SagaBlock(msgspec.Struct, frozen=True, kw_only=True, tag="saga"):
    """The body. If it fails or is cancelled, what its steps did is undone first, the newest first, then that follows.

    `undo`: the step that undoes a step, by its name. It reads what that step read and wrote. `on_cancel`: whether a
    cancel of the run undoes as well, or leaves things as they are.
    """

    id: str
    body: "Block"
    undo: dict[str, str]
    on_cancel: Literal["undo", "leave"] = "undo"


Block = (
    StepBlock
    | SequenceBlock
    | ParallelBlock
    | BranchBlock
    | LoopBlock
    | LeaveBlock
    | RescueBlock
    | WithinBlock
    | SleepBlock
    | SignalBlock
    | HumanBlock
    | InlineBlock
    | EachBlock
    | ChildBlock
    | SagaBlock
)
WaitBlock = SleepBlock | SignalBlock | HumanBlock


def inner_blocks(block: Block) -> tuple[Block, ...]:
    """The blocks directly inside of a block, in their order."""
    match block:
        case SequenceBlock(blocks=blocks) | ParallelBlock(branches=blocks):
            return blocks
        case BranchBlock(cases=cases, otherwise=otherwise):
            rest = () if isinstance(otherwise, msgspec.UnsetType) else (otherwise,)
            return (*(case.block for case in cases), *rest)
        case LoopBlock(body=body) | InlineBlock(flow=body) | EachBlock(body=body) | SagaBlock(body=body):
            return (body,)
        case RescueBlock(body=body, handlers=handlers):
            return (body, *(handler.block for handler in handlers))
        case WithinBlock(body=body, on_timeout=late):
            return (body,) if isinstance(late, msgspec.UnsetType) else (body, late)
        case _:
            return ()


def all_blocks(block: Block) -> Iterator[Block]:
    """The block, and every block inside of it, in their order."""
    yield block
    for inner in inner_blocks(block):
        yield from all_blocks(inner)


def fields_written_by(block: Block) -> tuple[str, ...]:
    """The fields that a block itself writes, not those of steps and blocks inside of it."""
    match block:
        case SignalBlock(writes=name) | InlineBlock(writes=name) | ChildBlock(writes=name):
            names: tuple[str | None, ...] = (name,)
        case HumanBlock(writes=name, answer=answer):
            names = (name, answer)
        case EachBlock(collect=collect, failed=failed, into=into):
            names = (collect, failed, None if isinstance(into, msgspec.UnsetType) else into)
        case _:
            names = ()
    return tuple(name for name in names if name is not None)
