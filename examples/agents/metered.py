"""Answers from models that take only so many calls: so many runs of a tenant, calls of a model at once, and a second.

Run it: `logkeel dev examples/agents/metered.py`, then start more runs than it takes, and watch them wait:

    for i in 1 2 3 4 5 6; do logkeel run start answers -i tenant=acme -i model=large -i question="q$i"; done
    logkeel limits list
"""

import asyncio
from typing import Annotated, Literal

from logkeel.workflow import Concurrency, Control, Rate, State, Workflow

CALLS = (Concurrency(2, key="model", name="model"), Rate(20, per="1s", key="model", name="model"))
"""What each model takes, whoever calls it: every step with these waits in the same line."""


class Answers(State):
    tenant: Annotated[str, Control]
    model: Literal["small", "large"]
    question: str
    draft: str | None = None
    answer: str | None = None


answers = Workflow("answers", state=Answers, returns="answer", limits=[Concurrency(4, key="tenant")])


@answers.step(writes=lambda s: s.draft, timeout="30s", limits=CALLS)
async def draft(question: str, model: Literal["small", "large"]) -> str:
    await asyncio.sleep(0.2)
    return f"{model} thinks about {question}"


@answers.step(writes=lambda s: s.answer, timeout="30s", limits=CALLS)
async def polish(draft: str) -> str:
    await asyncio.sleep(0.2)
    return f"{draft}, at length"


answers.flow(draft, polish)
