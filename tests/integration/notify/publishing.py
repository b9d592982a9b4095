"""A workflow that writes, asks, and goes on."""

from pathlib import Path
from typing import Literal

from logkeel.workflow import IDEMPOTENT, State, Workflow, human


class Draft(State):
    """A report that may go out. `ledger`: the file that says how often it did."""

    ledger: str
    topic: str
    report: str | None = None
    decision: Literal["approve", "reject"] | None = None


publishing = Workflow("publishing", state=Draft, returns="decision")


@publishing.step(writes=lambda s: s.report)
async def write(topic: str) -> str:
    """The draft."""
    return f"a report on {topic}"


@publishing.step(effect=IDEMPOTENT)
def go_on(decision: Literal["approve", "reject"] | None, ledger: str, topic: str) -> None:
    """What follows from the answer."""
    with Path(ledger).open("a") as file:
        file.write(f"{topic} {decision}\n")


publishing.flow(
    write,
    human(
        "approve",
        question="May this go out?",
        shows=["report"],
        allow=("approve", "reject"),
        writes="decision",
        assignee="editors",
        timeout="48h",
    ),
    go_on,
)
