"""Parcels that cannot be delivered while the door is shut: steps note what they do, and under which key, in a file."""

import asyncio
import os
from pathlib import Path

from logkeel.workflow import KEYED, ONCE, Fail, State, StepContext, Workflow, parallel


class Parcel(State):
    """One parcel."""

    order: str
    packed: str | None = None
    delivered: str | None = None
    weight: int | None = None


delivery: Workflow[Parcel] = Workflow("delivery", state=Parcel, returns="delivered")


def place() -> Path:
    """Where the door and the notes are."""
    return Path(os.environ["DELIVERY"])


def note(what: str, order: str, key: str) -> None:
    """One line, written as a whole."""
    with (place() / "notes").open("a") as notes:
        notes.write(f"{what} {order} {key}\n")


@delivery.step(writes=lambda s: s.packed, effect=KEYED)
async def pack(order: str, step: StepContext) -> str:
    """Done before anything fails."""
    note("pack", order, step.idempotency_key)
    return f"parcel {order}"


@delivery.step(writes=lambda s: s.delivered, effect=KEYED, timeout="20s")
async def deliver(order: str, packed: str, step: StepContext) -> str:
    """Takes a while; fails for good while the door is shut."""
    note("deliver", order, step.idempotency_key)
    await asyncio.sleep(0.4)
    if not (place() / "open").exists():
        raise Fail("shut", "the door is shut")
    return f"{packed} at the door"


@delivery.step(effect=ONCE, timeout="20s")
async def insure(order: str, step: StepContext) -> None:
    """Never repeated, and over before anything fails."""
    note("insure", order, step.idempotency_key)


@delivery.step(writes=lambda s: s.weight, timeout="20s")
async def weigh(order: str) -> int:
    """Slower than the delivery beside it, whose failure cuts it off."""
    await asyncio.sleep(1.0)
    return len(order)


@delivery.step(effect=KEYED)
async def thank(order: str, delivered: str, weight: int, step: StepContext) -> None:
    """The last one."""
    note("thank", order, step.idempotency_key)


delivery.flow(pack, insure, parallel(deliver, weigh, name="both"), thank)
