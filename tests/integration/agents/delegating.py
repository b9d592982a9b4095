"""Durable code that starts itself as child runs, two and two, down to a depth."""

from typing import Any

from logkeel.workflow import StepContext, Workflow, durable


def itself() -> "list[Workflow[Any]]":
    """Defined further below."""
    return [delegate]


def halves(topic: str) -> list[str]:
    """What a run hands on."""
    return [f"{topic}l", f"{topic}r"]


@durable(children=itself)
async def delegate(step: StepContext, topic: str, depth: int = 0) -> list[str]:
    """The topics of all leaves below it, after a second each."""
    if depth == 2:
        await step.sleep("1s")
        return [topic]
    parts = await step.run("plan", halves, topic)
    found = await step.gather(*(step.child(delegate, {"topic": part, "depth": depth + 1}) for part in parts))
    return [leaf for leaves in found for leaf in leaves]
