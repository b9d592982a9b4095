"""`try_out`: the production engine and worker in memory, with time that jumps."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import pytest
from tests.integration.runs.looking_back import expected, surveys

from logkeel.errors import InvalidInput, RunFailed, WaitTimedOut
from logkeel.workflow import ONCE, Concurrency, Rate, Resource, Retry, State, StepContext, Workflow, parallel


class Parcel(State):
    """What is sent."""

    address: str
    weight: int | None = None
    price: int | None = None
    label: str | None = None


def parcels() -> "Workflow[Parcel]":
    """Two branches and a merge; the first branch fails until its fourth attempt, and waits for hours in between."""
    workflow = Workflow("parcels", state=Parcel, returns="label")

    @workflow.step(writes=lambda s: s.weight, retry=Retry(max_attempts=5, initial="2h", maximum="24h"))
    async def weigh(step: StepContext) -> int:
        if step.attempt < 4:
            raise RuntimeError("the scale sways")
        return 3

    @workflow.step(writes=lambda s: s.price)
    def look_up_price() -> int:
        return 7

    @workflow.step(writes=lambda s: s.label)
    async def print_label(address: str, weight: int, price: int) -> str:
        return f"{address}: {weight * price}"

    workflow.flow(parallel(weigh, look_up_price), print_label)
    return workflow


async def test_it_returns_what_the_workflow_returns_and_hours_pass_at_once() -> None:
    assert await parcels().try_out(address="Berlin") == "Berlin: 21"


async def test_input_is_validated_before_anything_runs() -> None:
    with pytest.raises(InvalidInput, match="address"):
        await parcels().try_out()


async def test_a_failed_run_raises_with_the_steps_error() -> None:
    workflow = Workflow("failing", state=Parcel)

    @workflow.step(writes=lambda s: s.weight, retry=Retry(max_attempts=2))
    async def weigh() -> int:
        raise RuntimeError("the scale is broken")

    workflow.flow(weigh)
    with pytest.raises(RunFailed, match="the scale is broken"):
        await workflow.try_out(address="Berlin")


async def test_a_step_is_cut_at_its_timeout_in_real_time() -> None:
    workflow = Workflow("hanging", state=Parcel)

    @workflow.step(writes=lambda s: s.weight, timeout="50ms", retry=Retry(max_attempts=1))
    async def weigh() -> int:
        await asyncio.sleep(60)
        return 1

    workflow.flow(weigh)
    with pytest.raises(RunFailed, match=r"time-?out"):
        await workflow.try_out(address="Berlin")


async def test_a_run_that_needs_a_human_says_which_step() -> None:
    workflow = Workflow("paying", state=Parcel)

    @workflow.step(effect=ONCE, timeout="50ms")
    async def pay() -> None:
        await asyncio.sleep(60)

    workflow.flow(pay)
    with pytest.raises(WaitTimedOut, match="step pay is in_doubt"):
        await workflow.try_out(address="Berlin")


opened: list[str] = []


@asynccontextmanager
async def scale() -> AsyncIterator[int]:
    """The real one, which must not be touched in a test."""
    opened.append("the real scale")
    yield 0


@asynccontextmanager
async def fake_scale() -> AsyncIterator[int]:
    """A fake."""
    yield 11


async def test_resources_are_replaced() -> None:
    workflow = Workflow("weighing", state=Parcel, returns="weight")

    @workflow.step(writes=lambda s: s.weight)
    async def weigh(kilograms: Annotated[int, Resource(scale)]) -> int:
        return kilograms

    workflow.flow(weigh)
    assert await workflow.try_out(address="Berlin", resources={scale: fake_scale}) == 11
    assert not opened


async def test_who_does_not_wait_any_more_stops_the_run() -> None:
    workflow = Workflow("long", state=Parcel)
    begun = threading.Event()
    attempts: list[int] = []

    @workflow.step(writes=lambda s: s.weight, timeout="60s")
    async def weigh(step: StepContext) -> int:
        attempts.append(step.attempt)
        begun.set()
        await asyncio.sleep(0.05)
        raise RuntimeError("again")

    workflow.flow(weigh)
    trying = asyncio.create_task(workflow.try_out(address="Berlin"))
    await asyncio.to_thread(begun.wait, 30.0)
    trying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trying
    assert len(attempts) < 5


async def test_a_run_looks_back_on_itself() -> None:
    result = await surveys().try_out(topic="sea")
    assert result == expected(result)


async def test_a_run_waits_for_its_limits_in_memory_too() -> None:
    """Two branches, one slot, and a rate whose window is hours long."""
    workflow = Workflow("scales", state=Parcel, returns=("weight", "price"), limits=[Concurrency(1)])
    once = (Concurrency(1, name="scale"), Rate(1, per="3h", name="scale"))
    at_once: list[int] = []
    running = 0

    async def use() -> int:
        nonlocal running
        running += 1
        at_once.append(running)
        await asyncio.sleep(0.01)
        running -= 1
        return len(at_once)

    @workflow.step(writes=lambda s: s.weight, limits=once)
    async def weigh() -> int:
        return await use()

    @workflow.step(writes=lambda s: s.price, limits=once)
    async def rate() -> int:
        return await use()

    workflow.flow(parallel(weigh, rate))
    result = await workflow.try_out(address="Berlin")
    assert sorted(result.values()) == [1, 2]
    assert at_once == [1, 1]
