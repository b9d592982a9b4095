"""Answers that may cost only so much: tokens of each run, and money of each tenant within a time.

Run it: `logkeel dev examples/agents/frugal.py`, then ask more than a tenant can pay for at once:

    for i in 1 2 3 4 5 6; do logkeel run start frugal -i tenant=acme -i question="q$i"; done
    logkeel run list; logkeel run show <run>
"""

import asyncio
from typing import Annotated

from logkeel.workflow import Budget, Control, State, StepContext, Workflow, rescue

COSTS = {"tokens": 1_000, "usd_micros": 10_000}
"""What one call of the model costs at most."""


class Answers(State):
    tenant: Annotated[str, Control]
    question: str
    draft: str | None = None
    answer: str | None = None


BUDGETS = [
    Budget("tokens", 2_500),
    Budget("usd_micros", 40_000, key="tenant", per="3s", on_exhausted="wait"),  # in earnest per="24h"
]
frugal = Workflow("frugal", state=Answers, returns="answer", budgets=BUDGETS)


async def model(prompt: str) -> tuple[str, int]:
    """A text, and how many tokens it took; a stand-in for one that costs money."""
    await asyncio.sleep(0.1)
    return f"{prompt}, thought over", 400


@frugal.step(writes=lambda s: s.draft, timeout="30s", uses=COSTS)
async def think(question: str, step: StepContext) -> str:
    text, tokens = await model(question)
    step.used(tokens=tokens, usd_micros=10 * tokens)
    return text


@frugal.step(writes=lambda s: s.answer, timeout="30s", uses=COSTS)
async def polish(draft: str, step: StepContext) -> str:
    text, tokens = await model(draft)
    step.used(tokens=tokens, usd_micros=10 * tokens)
    return text


@frugal.step(writes=lambda s: s.answer, timeout="30s")
async def settle_for(draft: str) -> str:
    return draft


frugal.flow(think, rescue(polish, on={"budget_exhausted": settle_for}))
