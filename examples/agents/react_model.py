"""What the agent of `react.py` works with: messages, three tools, and a model that stands for a real one."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True)
class Call:
    """A tool that the model wants to use."""

    id: str
    tool: str
    argument: str


@dataclass(frozen=True)
class Message:
    """One message of the conversation."""

    role: Literal["user", "model", "tool"]
    text: str
    calls: tuple[Call, ...] = ()


class Model(Protocol):
    """A language model."""

    async def reply(self, messages: list[Message]) -> Message:
        """What it says to all that."""
        ...


class Scripted:
    """Looks two things up, sends what it found, and says so."""

    async def reply(self, messages: list[Message]) -> Message:
        """By how far the conversation has come."""
        told = [message.text for message in messages if message.role == "tool"]
        if not told:
            return Message("model", "", (Call("a", "search", messages[0].text), Call("b", "count", messages[0].text)))
        if len(told) == 2:
            return Message("model", "", (Call("c", "send", " and ".join(told)),))
        return Message("model", f"done: {told[-1]}")


@asynccontextmanager
async def open_model() -> AsyncIterator[Model]:
    """Put the client of a real model here."""
    yield Scripted()


async def search(query: str) -> str:
    """Reads only."""
    return f"found {query}"


async def count(text: str) -> str:
    """Reads only."""
    return f"{len(text)} characters"


async def send(text: str, *, idempotency_key: str = "") -> str:
    """Tells the outside world. Its system removes duplicates by the key, which is this call's own."""
    return f"sent {text}" if idempotency_key else "sent without a key"


TOOLS: Mapping[str, Callable[[str], Awaitable[str]]] = {"search": search, "count": count, "send": send}
