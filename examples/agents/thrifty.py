"""A lead that has topics looked into by runs of their own: all of them together may use so many tokens, and no more.

Each call of the model keeps to limits that all runs share. Run it: `logkeel dev examples/agents/thrifty.py`, then

    for i in 1 2 3; do logkeel run start thrifty -i question="q$i"; done
    logkeel run list; logkeel run show <run>; logkeel limits list
"""

import asyncio

from logkeel.workflow import Budget, CallFailed, ChildOptions, Concurrency, Rate, StepContext, current_step, durable

MODEL = (Concurrency(3, name="model"), Rate(8, per="1s", name="model"))
MOST = {"tokens": 300}
"""What one call of the model uses at most."""

TREE = 2_000
"""What a question may use, with all runs that look into it."""


async def model(prompt: str) -> str:
    """A stand-in for one that costs money."""
    await asyncio.sleep(0.1)
    current_step().used(tokens=100 + len(prompt))
    return f"{prompt}, thought over"


@durable
async def finder(step: StepContext, topic: str) -> list[str]:
    """Thinks twice about its topic, as far as its share of the budget goes."""
    found = []
    for depth in ("at first", "once more"):
        try:
            found.append(await step.options(limits=MODEL, uses=MOST).run(depth, model, f"{topic} {depth}"))
        except CallFailed as error:
            if error.details["failure_code"] != "budget_exhausted":
                raise
            break
    return found


@durable(name="thrifty", budgets=[Budget("tokens", TREE)], children=[finder])
async def lead(step: StepContext, question: str) -> str:
    """Three topics side by side, with 500 tokens each, then a summary."""
    options = [ChildOptions(name=f"{question}/{topic}", uses={"tokens": 500}) for topic in "abc"]
    found = await step.gather(
        *(step.child(finder, {"topic": each.name or ""}, options=each) for each in options), concurrency=3
    )
    calls = step.options(limits=MODEL, uses=MOST)
    return await calls.run("summary", model, f"{sum(map(len, found))} findings on {question}")
