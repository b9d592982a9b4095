"""Version 2: first and last name apart, and a step more."""

import asyncio
from typing import Any

from logkeel.workflow import State, Workflow, wait_signal


class Letter(State):
    """One recipient."""

    schema_version: int = 2
    first: str
    last: str
    text: str | None = None
    checked: str | None = None
    sent: str | None = None


letters = Workflow("letters", state=Letter, returns="sent", version="2")


@letters.migration(from_version=1)
def apart(state: dict[str, Any]) -> dict[str, Any]:
    """A name is two of them."""
    first, _, last = state["name"].partition(" ")
    return {"first": first, "last": last, "text": state.get("text")}


@letters.step(writes=lambda s: s.text)
async def write(first: str, last: str) -> str:
    return f"Dear {first} {last}"


@letters.step(writes=lambda s: s.checked)
async def check(text: str, last: str) -> str:
    await asyncio.sleep(2.0)
    return f"{text} (to {last})"


@letters.step(writes=lambda s: s.sent)
async def send(checked: str) -> str:
    return f"{checked}, sent by version 2"


letters.flow(write, wait_signal("agreed"), check, send)
