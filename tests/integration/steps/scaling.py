"""A step of 50 to 200 ms that writes its begin and end down, `ONCE` or `KEYED`. Served by `logkeel worker`."""

import asyncio
import zlib

from tests.chaos.outside import note

from logkeel.workflow import KEYED, ONCE, State, StepContext, Workflow


class Order(State):
    """What is paid for."""

    number: int


scaling = Workflow("scaling", state=Order)


@scaling.step(effect=ONCE, timeout="30s")
async def pay(step: StepContext) -> None:
    """Takes 50 to 200 ms, always the same for the same key."""
    await pay_for(step)


scaling.flow(pay)

keyed = Workflow("keyed", state=Order)


@keyed.step(effect=KEYED, timeout="30s")
async def pay_with_key(step: StepContext) -> None:
    """As `pay`, for a shop that knows the key."""
    await pay_for(step)


keyed.flow(pay_with_key)


async def pay_for(step: StepContext) -> None:
    """Tell the ledger before and after."""
    note("begin", key=step.idempotency_key, run=step.run_id)
    await asyncio.sleep((50 + zlib.crc32(step.idempotency_key.encode()) % 150) / 1_000)
    note("end", key=step.idempotency_key, run=step.run_id)
