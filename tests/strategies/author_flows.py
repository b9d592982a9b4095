"""Random flows as authors write them: right ones, wrong ones, and some with values that no type checker lets by."""

import enum
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from hypothesis import strategies as st

from logkeel.workflow import (
    KEYED,
    NONE,
    State,
    Workflow,
    branch,
    human,
    leave,
    loop,
    parallel,
    rescue,
    sequence,
    sleep,
    wait_signal,
    within,
)
from logkeel.workflow.blocks import FlowBlock


class Kind(enum.Enum):
    """Choices as an Enum has them: names and values differ."""

    LETTER = "letter"
    MEMO = "memo"


class Draft(State):
    """Three payloads, and control fields of every sort that has choices."""

    topic: str
    a: str | None = None
    b: str | None = None
    c: str | None = None
    verdict: Literal["good", "poor"] | None = None
    ready: bool = False
    kind: Kind = Kind.MEMO
    decision: Literal["approve", "reject", "respond"] | None = None


drafts = Workflow("drafts", state=Draft)


@drafts.step(writes=lambda s: s.a)
def write_a(topic: str) -> str:
    return topic


@drafts.step(writes=lambda s: s.b)
def write_b(topic: str) -> str:
    return topic


@drafts.step(writes=lambda s: s.c)
def write_c(topic: str) -> str:
    return topic


@drafts.step(writes=lambda s: s.ready)
def decide(topic: str) -> bool:
    return bool(topic)


@drafts.step(writes=lambda s: s.b)
def b_from_a(a: str) -> str:
    return a


@drafts.step(writes=lambda s: s.c)
def c_from_b(b: str) -> str:
    return b


@drafts.step(writes=lambda s: (s.verdict, s.ready))
def judge(a: str) -> tuple[Literal["good", "poor"], bool]:
    return "good", bool(a)


@drafts.step(effect=NONE)
def look(c: str) -> None: ...


@drafts.step(effect=KEYED)
def send(topic: str) -> None: ...


READERS = (b_from_a, c_from_b, look)
"""Of a, b and c."""

TAME: tuple[FlowBlock, ...] = (write_a, write_b, write_c, decide)
STEPS: tuple[FlowBlock, ...] = (*TAME, *READERS, judge, send)
CASES: dict[str, tuple[Any, ...]] = {
    "verdict": ("good", "poor", None),
    "ready": (True, False),
    "kind": (Kind.LETTER, Kind.MEMO),
    "decision": ("approve", "reject", "respond"),
}
NAMES = ("parallel", "loop", "write_a", "write_a-2", "leave", "sequence")
"""Names that steps, blocks and ordinals have as well."""

WRONG: tuple[Any, ...] = (None, True, 0, 1, -1, 1.5, float("nan"), "", "x", "a/b", "0s", (), TimeoutError, Kind.MEMO)


Manner = Literal["tame", "any", "wrong"]


@st.composite
def flows(draw: st.DrawFn, *, manner: Manner = "any") -> tuple[FlowBlock, ...]:
    """Flows of up to four levels.

    `tame`: with nothing in them that is refused, but for branches of parallel that get into each other's way; `wrong`:
    with values of wrong types among the others.
    """
    return tuple(_Drawing(draw, manner, depth=3, in_loop=False).blocks(1, 4))


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Draws the parts of one block; `depth` levels may be inside."""

    draw: st.DrawFn
    manner: Manner
    depth: int
    in_loop: bool

    def one(self, *values: Any) -> Any:
        """One of these, or something wrong."""
        if self.manner == "wrong" and self.draw(st.integers(0, 9)) == 0:
            return self.draw(st.sampled_from(WRONG))
        return self.draw(st.sampled_from(values))

    def field(self) -> Any:
        """A control field, in a tame flow one that always has a value."""
        return self.one(*(("ready", "kind") if self.manner == "tame" else CASES))

    def block(self, *, in_loop: bool | None = None) -> FlowBlock:
        """A block inside."""
        inside = replace(self, depth=self.depth - 1, in_loop=self.in_loop if in_loop is None else in_loop)
        leaves = (_leave,) if inside.in_loop or self.manner == "wrong" else ()
        kinds = (*_WAITS, *leaves, *(_COMPOSED * 2 if self.depth else ()))
        steps = TAME if self.manner == "tame" else STEPS
        kind = self.draw(st.sampled_from((None, *kinds)) if self.depth else st.sampled_from((None, None, None, *kinds)))
        drawn: FlowBlock = self.draw(st.sampled_from(steps)) if kind is None else kind(inside)
        return drawn

    def blocks(self, least: int, most: int, *, in_loop: bool | None = None) -> list[FlowBlock]:
        """Several."""
        return [self.block(in_loop=in_loop) for _ in range(self.draw(st.integers(least, most)))]


_Kind = Callable[[_Drawing], FlowBlock]


def _several(d: _Drawing) -> FlowBlock:
    blocks = d.blocks(1, 3)
    return sequence(*blocks) if d.draw(st.booleans()) else tuple(blocks)


def _parallel(d: _Drawing) -> FlowBlock:
    branches = d.blocks(2, 3, in_loop=d.manner == "wrong" and d.in_loop)
    return parallel(*branches, wait=d.one("all", "all", "first", 1, 2), name=d.one(*NAMES))


def _branch(d: _Drawing) -> FlowBlock:
    field = d.field()
    cases = [case for case in CASES.get(field, ("x",)) if d.draw(st.integers(0, 9))]
    rest = {"otherwise": d.one(d.block(), ())} if len(cases) < len(CASES.get(field, ("x",))) else {}
    return branch(field, {d.one(case): d.one(d.block(), ()) for case in cases}, name=d.one(*NAMES), **rest)


def _loop(d: _Drawing) -> FlowBlock:
    decided = [decide] if d.manner == "tame" else []
    body = [*d.blocks(0, 2, in_loop=True), *decided, _leave(d), *d.blocks(0, 2, in_loop=True)]
    return loop(*body, max_rounds=d.one(1, 3), on_exhausted=d.one("fail", "continue"), name=d.one(*NAMES))


def _leave(d: _Drawing) -> FlowBlock:
    field = "ready" if d.manner == "tame" else d.field()
    return leave(field, d.one(*CASES.get(field, ("x",))))


def _rescue(d: _Drawing) -> FlowBlock:
    handlers = {d.one("timeout", "*", "boom"): d.one(d.block(), ()) for _ in range(d.draw(st.integers(1, 2)))}
    return rescue(d.block(), on=d.one(handlers), name=d.one(*NAMES))


def _within(d: _Drawing) -> FlowBlock:
    return within(d.one("10m", 3), d.block(), on_timeout=d.one(d.block(), (), None), name=d.one(*NAMES))


def _sleep(d: _Drawing) -> FlowBlock:
    return sleep(d.one("1s", "30d"), name=d.one(*NAMES))


def _signal(d: _Drawing) -> FlowBlock:
    timeout, policy = d.draw(st.sampled_from(((None, "fail"), ("1h", "fail"), ("1h", "continue"))))
    return wait_signal(
        d.one("go", "leave"), writes=d.one("a", "b", None), timeout=d.one(timeout), on_timeout=d.one(policy)
    )


QUESTIONS: tuple[tuple[tuple[str, ...], str, str | None], ...] = (
    (("approve", "reject"), "fail", None),
    (("approve", "reject"), "reject", None),
    (("respond",), "fail", "c"),
    (("approve", "respond"), "approve", "a"),
    (("approve", "respond"), "fail", "a"),
)


def _human(d: _Drawing) -> FlowBlock:
    allow, policy, answer = d.draw(st.sampled_from(QUESTIONS))
    how: Any = {"timeout": d.one("48h"), "allow": d.one(allow), "on_timeout": d.one(policy)}
    if answer is not None:
        how["answer"] = d.one(answer)
    return human(d.one("ask", "leave"), writes=d.one("decision"), **how)


_WAITS: tuple[_Kind, ...] = (_sleep, _signal, _human)
_COMPOSED: tuple[_Kind, ...] = (_parallel, _branch, _loop, _rescue, _within, _several)
