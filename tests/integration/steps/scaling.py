"""One `ONCE` step of 50 to 200 ms that writes its begin and end down. Served by `logkeel worker`."""

import asyncio
import zlib

from tests.chaos.outside import note

from logkeel.workflow import ONCE, State, StepContext, Workflow


class Order(State):
    """What is paid for."""

    number: int


scaling = Workflow("scaling", state=Order)


@scaling.step(effect=ONCE, timeout="30s")
async def pay(step: StepContext) -> None:
    """Takes 50 to 200 ms, always the same for the same key."""
    note("begin", key=step.idempotency_key, run=step.run_id)
    await asyncio.sleep((50 + zlib.crc32(step.idempotency_key.encode()) % 150) / 1_000)
    note("end", key=step.idempotency_key, run=step.run_id)


scaling.flow(pay)
