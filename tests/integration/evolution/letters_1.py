"""Version 1: one name, one letter, once somebody has agreed."""

import asyncio

from logkeel.workflow import State, Workflow, wait_signal


class Letter(State):
    """One recipient."""

    schema_version: int = 1
    name: str
    text: str | None = None
    sent: str | None = None


letters = Workflow("letters", state=Letter, returns="sent")


@letters.step(writes=lambda s: s.text)
async def write(name: str) -> str:
    return f"Dear {name}"


@letters.step(writes=lambda s: s.sent)
async def send(text: str) -> str:
    await asyncio.sleep(0)
    return f"{text}, sent by version 1"


letters.flow(write, wait_signal("agreed"), send)
