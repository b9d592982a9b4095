"""A workflow that is started every two seconds, and one that is started one after the other."""

import asyncio

from logkeel.workflow import State, Workflow


class Tick(State):
    """What is ticked."""

    word: str
    said: str | None = None


ticking = Workflow("ticking", state=Tick, returns="said")


@ticking.step(writes=lambda s: s.said)
async def tick(word: str) -> str:
    """It takes a moment, so that a kill hits some."""
    await asyncio.sleep(0.3)
    return f"{word}!"


ticking.flow(tick)
ticking.schedule("beside", every="2s", overlap="allow", backfill="all", input={"word": "tick"})
ticking.schedule(
    "in-line", cron="*/3 * * * * *", tz="Europe/Berlin", overlap="queue", backfill="all", input={"word": "tock"}
)
