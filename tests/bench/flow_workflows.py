"""W3, W4, W5, W7 and `each` as logkeel workflows: served by `make bench ARGS="--only flows"` and beside the peers.

Sizes come with the input or from the workload file. Steps do nothing but hand on what they got.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from tests.bench.peers import workloads
from tests.bench.peers.adapters import contract

from logkeel.workflow import (
    IDEMPOTENT,
    Append,
    Concurrency,
    Resource,
    State,
    StepContext,
    Workflow,
    durable,
    each,
    human,
    leave,
    loop,
    parallel,
)

FILE = workloads.load()
TIMEOUT = "10s"


class Fan(State):
    """Items, what became of them, and how many it were."""

    value: str
    width: int = FILE.fan_out.width
    items: Annotated[list[str], Append] = []  # noqa: RUF012  # pydantic copies defaults
    done: str | None = None
    results: Annotated[list[str], Append] = []  # noqa: RUF012  # pydantic copies defaults
    merged: int | None = None


def _fan_each(name: str, concurrency: int, *, merges: bool) -> "Workflow[Fan]":
    workflow = Workflow(name, state=Fan)

    @workflow.step(writes=lambda s: s.items, timeout=TIMEOUT)
    async def spread(value: str, width: int) -> list[str]:
        return [value] * width

    @workflow.step(writes=lambda s: s.done, effect=IDEMPOTENT, timeout=TIMEOUT)
    async def work(item: str) -> str:
        return item

    over = each("items", work, item="item", collect="results", concurrency=concurrency)
    if not merges:
        workflow.flow(spread, over)
        return workflow

    @workflow.step(writes=lambda s: s.merged, timeout=TIMEOUT)
    async def merge(results: list[str]) -> int:
        return len(results)

    workflow.flow(spread, over, merge)
    return workflow


def _fan_parallel(name: str) -> "Workflow[Fan]":
    workflow = Workflow(name, state=Fan)

    async def work(value: str) -> list[str]:
        return [value]

    names = [f"work_{number:03}" for number in range(FILE.fan_out.width)]
    declare = (workflow.step(writes=lambda s: s.results, effect=IDEMPOTENT, timeout=TIMEOUT, name=n) for n in names)

    @workflow.step(writes=lambda s: s.merged, timeout=TIMEOUT)
    async def merge(results: list[str]) -> int:
        return len(results)

    workflow.flow(parallel(*(step(work) for step in declare)), merge)
    return workflow


fan_out_each = _fan_each("fan-out-each", FILE.fan_out.width, merges=True)
fan_out_parallel = _fan_parallel("fan-out-parallel")
many_100 = _fan_each("many-100", 100, merges=False)
many_1000 = _fan_each("many-1000", 1_000, merges=False)


class Value(State):
    """One value goes through."""

    value: str
    decision: Literal["approve", "reject"] | None = None


one = Workflow("one", state=Value)


@one.step(writes=lambda s: s.value, effect=IDEMPOTENT, timeout=TIMEOUT)
async def work(value: str) -> str:
    """Hands on: the step of each element of `each`, in a run of its own."""
    return value


one.flow(work)

approval = Workflow("approval", state=Value)


@approval.step(writes=lambda s: s.value, effect=IDEMPOTENT, timeout=TIMEOUT)
async def go_on(value: str) -> str:
    """Hands on, after the answer."""
    return value


approval.flow(human("approve", writes="decision", timeout="1h", on_timeout="reject"), go_on)


@durable(name="sleeper")
async def sleeper(step: StepContext, value: str, until_ms: int) -> str:
    """Sleeps until that moment."""
    now = await step.run("now", _now)
    await step.sleep(max(timedelta(0), datetime.fromtimestamp(until_ms / 1_000, UTC) - now))
    return value


def _now() -> datetime:
    return datetime.now(UTC)


class Model:
    """The one that the peers' agents have."""

    async def reply(self, messages: list[str]) -> str:
        """One turn."""
        return await contract.reply(messages)


@asynccontextmanager
async def open_model() -> AsyncIterator[Model]:
    """Needs nothing."""
    yield Model()


@durable(name="agent-code")
async def agent_code(step: StepContext, value: str, turns: int, model: Annotated[Model, Resource(open_model)]) -> int:
    """W7 as durable code: one journaled call for each turn."""
    messages = [value]
    for _ in range(turns):
        messages.append(await step.run("model", model.reply, messages))
    return len(messages)


class Talk(State):
    """The messages so far; `over` is written by each turn."""

    value: str
    turns: int
    messages: Annotated[list[str], Append] = []  # noqa: RUF012  # pydantic copies defaults
    over: Literal["yes", "no"] = "no"


def _agent_loop() -> "Workflow[Talk]":
    workflow = Workflow("agent-loop", state=Talk, returns="over")

    @workflow.step(writes=lambda s: (s.messages, s.over), effect=IDEMPOTENT, timeout=TIMEOUT)
    async def turn(
        value: str, turns: int, messages: list[str], model: Annotated[Model, Resource(open_model)]
    ) -> tuple[list[str], Any]:
        reply = await model.reply([value, *messages])
        return [reply], "yes" if len(messages) + 1 == turns else "no"

    workflow.flow(loop(turn, leave("over", "yes"), max_rounds=10_000))
    return workflow


agent_loop = _agent_loop()

SLOTS = 16
HELD_S = 2.0
"""How long the greedy tenant holds each of its slots."""


class Metered(State):
    """One step with a limit for each tenant."""

    tenant: Literal["calm", "greedy"]
    value: str
    done: str | None = None


metered = Workflow("metered", state=Metered)


@metered.step(writes=lambda s: s.done, timeout=TIMEOUT, limits=[Concurrency(SLOTS, key="tenant")])
async def _hold(tenant: Literal["calm", "greedy"], value: str) -> str:
    if tenant == "greedy":
        await asyncio.sleep(HELD_S)
    return value


metered.flow(_hold)
