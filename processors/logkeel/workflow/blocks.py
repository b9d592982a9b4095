"""The flow as the author writes it. Values only; `translating` makes the blocks of a definition of them.

A block is a step, one of the values below, or a tuple of blocks, which is a sequence. Inside of blocks fields are named
by strings, which are checked when the flow is built.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Required, TypeAlias, TypedDict, Unpack

from logkeel.definitions import Verb
from logkeel.workflow.children import Child, child
from logkeel.workflow.durations import Duration
from logkeel.workflow.each import Each, Gathering, each
from logkeel.workflow.inlining import Inline, inline
from logkeel.workflow.reducing import Reduce, Reducing, reduce
from logkeel.workflow.saga import Saga
from logkeel.workflow.steps import Step


@dataclass(frozen=True, slots=True)
class Sequential:
    """Blocks one after the other, see `sequence`."""

    blocks: tuple["FlowBlock", ...]


@dataclass(frozen=True, slots=True)
class Parallel:
    """Blocks at once, see `parallel`."""

    branches: tuple["FlowBlock", ...]
    wait: Literal["all", "first"] | int
    name: str


@dataclass(frozen=True, slots=True)
class Branch:
    """One of several blocks, see `branch`."""

    field: str
    cases: tuple[tuple[Any, "FlowBlock"], ...]
    otherwise: "FlowBlock | None"
    name: str


@dataclass(frozen=True, slots=True)
class Loop:
    """Blocks again and again, see `loop`."""

    blocks: tuple["FlowBlock", ...]
    max_rounds: int
    on_exhausted: str
    name: str


@dataclass(frozen=True, slots=True)
class Leave:
    """The way out of a loop, see `leave`."""

    field: str
    value: Any


@dataclass(frozen=True, slots=True)
class Rescue:
    """A block whose failure is caught, see `rescue`."""

    body: "FlowBlock"
    on: Mapping[str, "FlowBlock"]
    name: str


@dataclass(frozen=True, slots=True)
class Within:
    """A block that has so much time, see `within`."""

    timeout: Duration
    body: "FlowBlock"
    on_timeout: "FlowBlock | None"
    name: str


@dataclass(frozen=True, slots=True)
class Sleep:
    """See `sleep`."""

    duration: Duration
    name: str


@dataclass(frozen=True, slots=True)
class WaitSignal:
    """See `wait_signal`."""

    signal: str
    writes: str | None
    correlate: str | None
    timeout: Duration | None
    on_timeout: str
    name: str


class Asking(TypedDict, total=False):
    """How a human is asked, see `human`."""

    timeout: Required[Duration | None]
    question: str
    allow: Sequence[Verb]
    answer: str
    shows: Sequence[str]
    assignee: str
    notify: str
    remind: Duration
    on_timeout: Literal["approve", "reject", "fail", "escalate"]
    escalate_to: str
    then: Literal["approve", "reject", "fail"]


@dataclass(frozen=True, slots=True)
class Human:
    """See `human`."""

    name: str
    writes: str
    how: Asking


FlowBlock: TypeAlias = (
    Step[..., Any]
    | Sequential
    | Parallel
    | Branch
    | Loop
    | Leave
    | Rescue
    | Within
    | Sleep
    | WaitSignal
    | Human
    | Inline
    | Each
    | Reduce
    | Child
    | Saga
    | tuple[Any, ...]
)
"""A step, a block, or a tuple of blocks, which is a sequence."""


def sequence(*blocks: FlowBlock) -> Sequential:
    """One after the other; a tuple of blocks means the same."""
    return Sequential(blocks)


def parallel(*branches: FlowBlock, wait: Literal["all", "first"] | int = "all", name: str = "parallel") -> Parallel:
    """All branches at once; what follows starts when all have ended, or the first one, or so many of them.

    A branch reads the state at the fork plus its own writes; those of its siblings appear at the join, in the order of
    the branches. Branches that are not waited for are cancelled, and what they wrote is dropped.
    """
    return Parallel(branches, wait, name)


def branch(
    field: str,
    cases: Mapping[Any, FlowBlock] | None = None,
    /,
    *,
    otherwise: FlowBlock | None = None,
    name: str | None = None,
    **by_text: FlowBlock,
) -> Branch:
    """The block whose value a control field has: `branch("decision", approve=publish, reject=archive)`.

    Values that are no Python names go into a mapping: `branch("ok", {True: go_on, False: stop})`. Exhaustive over the
    field's choices, unless `otherwise` says what to do with the rest: a block, or () for nothing.
    """
    return Branch(field, (*(cases or {}).items(), *by_text.items()), otherwise, name or field)


def loop(
    *blocks: FlowBlock, max_rounds: int, on_exhausted: Literal["fail", "continue"] = "fail", name: str = "loop"
) -> Loop:
    """The blocks again and again, until a `leave` among them leaves; at most `max_rounds` times.

    `on_exhausted`: the failure `loop_exhausted`, or the next block.
    """
    return Loop(blocks, max_rounds, on_exhausted, name)


def leave(field: str, value: Any) -> Leave:
    """Leave the innermost loop, here and now, if a control field has this value."""
    return Leave(field, value)


def rescue(body: FlowBlock, *, on: Mapping[str, FlowBlock], name: str = "rescue") -> Rescue:
    """The body; if it fails for good, the block for its error code, else for its kind (`timeout`), else for "*".

    What still runs in the body is cancelled then, and what its open branches wrote is dropped.
    """
    return Rescue(body, on, name)


def within(timeout: Duration, body: FlowBlock, *, on_timeout: FlowBlock | None = None, name: str = "within") -> Within:
    """The body, for so long at most; then it is cancelled and `on_timeout` runs. Without it: the failure `timeout`."""
    return Within(timeout, body, on_timeout, name)


def sleep(duration: Duration, *, name: str = "sleep") -> Sleep:
    """Wait: a row and a timer, however long."""
    return Sleep(duration, name)


def wait_signal(
    signal: str,
    *,
    writes: str | None = None,
    correlate: str | None = None,
    timeout: Duration | None = None,
    on_timeout: Literal["fail", "continue"] = "fail",
) -> WaitSignal:
    """Wait for a signal of this name, for ever unless `timeout` is given; one that came before is taken.

    `writes`: the field that its payload goes to. `correlate`: a control field of text; only signals sent with that
    correlation count. `on_timeout`: the failure `signal_timed_out`, or the next block.
    """
    return WaitSignal(signal, writes, correlate, timeout, on_timeout, signal)


def human(name: str, *, writes: str, **how: Unpack[Asking]) -> Human:
    """Ask a human and wait, holding nothing: the verb of the answer goes to the control field `writes`.

    `allow`: the verbs that are taken, approve and reject unless said. `answer`: the field that the answer of `edit` and
    `respond` goes to; its type makes the form. `shows`: fields that the human is to see. `assignee` and `notify`: whom
    to ask, and where. `remind`: how often. `timeout` must be said, None for ever. When it is over: `on_timeout`, a
    failure unless said, where `escalate` asks `escalate_to` for as long again and then does `then`.
    """
    return Human(name, writes, how)


__all__ = [
    "Asking",
    "Branch",
    "Child",
    "Each",
    "FlowBlock",
    "Gathering",
    "Human",
    "Inline",
    "Leave",
    "Loop",
    "Parallel",
    "Reduce",
    "Reducing",
    "Rescue",
    "Sequential",
    "Sleep",
    "WaitSignal",
    "Within",
    "branch",
    "child",
    "each",
    "human",
    "inline",
    "leave",
    "loop",
    "parallel",
    "reduce",
    "rescue",
    "sequence",
    "sleep",
    "wait_signal",
    "within",
]
