"""What both type checkers must take: every form of step and block."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Literal, TypedDict

from logkeel.workflow import (
    CHECKED,
    KEYED,
    NONE,
    Add,
    Append,
    Budget,
    Concurrency,
    Control,
    Put,
    Rate,
    Resource,
    State,
    StepContext,
    StepErrorView,
    Workflow,
    branch,
    child,
    each,
    human,
    leave,
    loop,
    parallel,
    reduce,
    removed,
    replaced,
    rescue,
    sequence,
    sleep,
    wait_signal,
    within,
)


class Draft(State):
    """As a pydantic model."""

    topic: str
    text: str | None = None
    words: int | None = None
    letter: str | None = None
    verdict: Literal["good", "poor"] | None = None
    decision: Literal["approve", "reject", "edit"] | None = None
    order: Annotated[str, Control] = ""


class Note(TypedDict):
    """As a TypedDict."""

    topic: str
    text: str


@dataclass
class Memo:
    """As a dataclass."""

    topic: str
    text: str = ""


drafts = Workflow("drafts", state=Draft, returns=("text", "words"))
notes = Workflow("notes", state=Note)
memos = Workflow("memos", state=Memo, returns="text")


@asynccontextmanager
async def open_dictionary() -> AsyncIterator[dict[str, str]]:
    """A resource."""
    yield {}


@drafts.step(writes=lambda s: s.text, timeout=None)
def write(topic: str) -> str:
    """A plain function."""
    return topic


@drafts.step(writes=lambda s: (s.text, s.words), timeout="30s")
async def count(text: str, dictionary: Annotated[dict[str, str], Resource(open_dictionary)]) -> tuple[str, int]:
    """Two fields, and a resource."""
    return dictionary.get(text, text), len(text)


@drafts.step(writes=lambda s: s.verdict, effect=NONE)
async def judge(text: str, step: StepContext) -> Literal["good", "poor"]:
    """A choice."""
    return "good" if text and step.attempt else "poor"


@drafts.step(effect=CHECKED(settle="1s"))
async def send(text: str) -> None:
    """An effect."""


@send.check
async def is_sent(text: str) -> bool:
    """Of the effect."""
    return bool(text)


@drafts.step(effect=KEYED)
def archive() -> None:
    """No field at all."""


drafts.flow(
    parallel(write, sequence(sleep("1s"), archive)),
    loop(judge, leave("verdict", "good"), count, max_rounds=2, on_exhausted="continue"),
    human(
        "approve",
        question="?",
        writes="decision",
        allow=("approve", "edit", "reject"),
        answer="letter",
        shows=["text"],
        assignee="ada",
        notify="mail",
        timeout="48h",
        remind="20h",
        on_timeout="escalate",
        escalate_to="bob",
        then="reject",
    ),
    branch("decision", approve=within("1m", send, on_timeout=archive), edit=archive, reject=archive),
    branch("decision", {"approve": send}, otherwise=rescue(send, on={"*": archive})),
    (wait_signal("paid", writes="letter", correlate="order", timeout="1h", on_timeout="continue"), archive),
    parallel(sleep("1s"), wait_signal("go"), wait="first"),
    parallel(sleep("1s"), sleep("2s"), wait=1),
)


@memos.step(writes=lambda s: s.text)
def jot(topic: str) -> str:
    """Of a dataclass."""
    return topic


memos.flow(jot)


@notes.step(writes=lambda s: s["text"])
def scribble(topic: str) -> str:
    """Of a TypedDict."""
    return topic


notes.flow(scribble)


async def typed() -> None:
    """A step stays the function it was."""
    text: str | None = write("topic")
    await drafts.try_out(topic=text, humans={"approve": ("edit", "letter")}, signals=[("paid", {})])


class Pages(State):
    """Fields with reducers."""

    pages: Annotated[list[str], Append] = []  # noqa: RUF012  # pydantic copies defaults
    title: str | None = None
    length: int | None = None
    lengths: Annotated[dict[str, int], Put] = {}  # noqa: RUF012  # pydantic copies defaults
    failed: Annotated[dict[str, StepErrorView], Put] = {}  # noqa: RUF012  # pydantic copies defaults
    cost: Annotated[float, Control, Add] = 0.0


pages = Workflow("pages", state=Pages, returns="lengths")


@pages.step(writes=lambda s: (s.pages, s.lengths))
def add() -> tuple[list[str], dict[str, int]]:
    return ["one"], {"zero": 0}


@pages.step(writes=lambda s: s.pages)
async def find() -> AsyncIterator[str]:
    yield "one"


@pages.step(writes=lambda s: (s.length, s.cost))
async def measure(page: str) -> tuple[int, float]:
    return len(page), 0.5


@pages.step(writes=lambda s: (removed(s.lengths), replaced(s.pages)))
def tidy(lengths: dict[str, int]) -> tuple[list[str], list[str]]:
    return [key for key, length in lengths.items() if not length], []


@pages.step(writes=lambda s: s.title)
async def entitle(group: list[str]) -> str:
    return max(group)


pages.flow(
    add,
    reduce("pages", entitle, item="group", into="title", value="title", fan_in=5),
    each("pages", measure, item="page", value="length", collect="lengths", failed="failed", max_failures="5%"),
    tidy,
)


class Chat(State):
    """Turns of a conversation."""

    who: str
    said: str
    messages: Annotated[list[str], Append] = []  # noqa: RUF012  # pydantic copies defaults
    answer: str | None = None


chat = Workflow("chat", state=Chat, returns="answer", conversation="who", keep=("messages",), on_busy="interrupt")


@chat.step(writes=lambda s: (s.answer, s.messages))
async def chat_answer(said: str, messages: list[str]) -> tuple[str, list[str]]:
    return said, [said]


chat.flow(chat_answer)

tree = Workflow("tree", state=Draft, returns="text", max_depth=2, max_descendants=10)
tree.flow(
    rescue(child(tree, writes="text", on_cancel="abandon"), on={"child_too_deep": ()}),
    child(tree, inputs={"topic": "topic"}, detach=True, name="free"),
)

metered = Workflow("metered", state=Draft, returns="text", limits=[Concurrency(10), Rate(60, per="1m", key="verdict")])


@metered.step(writes=lambda s: s.text, limits=(Concurrency(2, name="gpt"), Rate(5, "1s")))
async def metered_write(topic: str) -> str:
    return topic


metered.flow(metered_write)


costly = Workflow(
    "costly", state=Draft, returns="text", budgets=[Budget("tokens", 9_000), Budget("calls", 5, per="1h")]
)


@costly.step(writes=lambda s: s.text, uses={"tokens": 900, "calls": 1})
async def costly_write(topic: str, step: StepContext) -> str:
    step.used(tokens=120, calls=1)
    return topic


costly.flow(costly_write)
