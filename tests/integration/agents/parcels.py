"""An order whose parcel is a run of its own, code with two parcels, and a talk; all fail while the door is shut."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

from logkeel.workflow import KEYED, Append, Fail, State, StepContext, Workflow, child, current_step, durable


class Parcel(State):
    """What is delivered."""

    order: str
    packed: str | None = None
    delivered: str | None = None


class Order(State):
    """What was asked for."""

    order: str
    delivered: str | None = None
    told: str | None = None


class Talk(State):
    """What was said about it."""

    who: str
    message: str
    messages: Annotated[list[str], Append] = []  # noqa: RUF012  # pydantic copies defaults
    reply: str | None = None


def note(what: str, key: str) -> None:
    """One line, written as a whole."""
    with (Path(os.environ["PARCELS"]) / "notes").open("a") as notes:
        notes.write(f"{what} {key}\n")


def is_open() -> bool:
    """Whether anything gets through."""
    return (Path(os.environ["PARCELS"]) / "open").exists()


parcel: Workflow[Parcel] = Workflow("parcel", state=Parcel, returns="delivered")


@parcel.step(writes=lambda s: s.packed, effect=KEYED, timeout="20s")
async def pack(order: str, step: StepContext) -> str:
    """Done before anything fails."""
    note(f"pack {order}", step.idempotency_key)
    return f"parcel {order}"


@parcel.step(writes=lambda s: s.delivered, effect=KEYED, timeout="20s")
async def deliver(order: str, packed: str, step: StepContext) -> str:
    """Takes a while."""
    note(f"deliver {order}", step.idempotency_key)
    await asyncio.sleep(0.4)
    if not is_open():
        raise Fail("shut", "the door is shut")
    return f"{packed} at the door"


parcel.flow(pack, deliver)

order: Workflow[Order] = Workflow("order", state=Order, returns="told")


@order.step(writes=lambda s: s.told, effect=KEYED, timeout="20s")
async def tell(order: str, delivered: str, step: StepContext) -> str:
    """What follows the parcel."""
    note(f"tell {order}", step.idempotency_key)
    return delivered.upper()


order.flow(child(parcel, name="parcel", writes="delivered"), tell)

talk: Workflow[Talk] = Workflow("talk", state=Talk, returns="reply", conversation="who", keep=("messages",))


@talk.step(writes=lambda s: s.messages, effect=KEYED, timeout="20s")
async def hear(message: str, step: StepContext) -> list[str]:
    """Said once."""
    note(f"hear {message}", step.idempotency_key)
    return [message]


@talk.step(writes=lambda s: s.reply, effect=KEYED, timeout="20s")
async def answer(message: str, messages: list[str], step: StepContext) -> str:
    """Knows all that was said."""
    note(f"answer {message}", step.idempotency_key)
    await asyncio.sleep(0.4)
    if not is_open():
        raise Fail("shut", "nobody hears you")
    return ", ".join(messages)


talk.flow(hear, answer)


def listed(order: str) -> list[str]:
    """What is to be sent; said once."""
    note(f"list {order}", current_step().idempotency_key)
    return [f"{order}-{part}" for part in ("box", "bag")]


@durable(children=[parcel])
async def errand(step: StepContext, order: str) -> str:
    """Durable code that has two parcels sent side by side, and tells of both."""
    parts = await step.options(effect=KEYED).run("list", listed, order)
    sent = await step.gather(*(step.child(parcel, {"order": part}) for part in parts))
    return ", ".join(sent).upper()
