"""A payment: a key, a check before a second try, a step that must never be repeated blindly, and a way back.

In memory: `await payment.try_out(order="o-1", amount=12)`. For real: logkeel dev payment.py
"""

from typing import Literal

from logkeel.workflow import CHECKED, KEYED, ONCE, Fail, NotDone, Retry, State, StepContext, Workflow, rescue

LEDGER: dict[str, int] = {}
"""The bank, as far as this example goes: what was charged, by key."""


class Payment(State):
    schema_version: int = 1
    order: str
    amount: int
    receipt: str | None = None
    outcome: Literal["paid", "refunded"] = "paid"


payment = Workflow("payment", state=Payment, returns=("receipt", "outcome"))


@payment.step(writes=lambda s: s.receipt, effect=KEYED(valid_for="24h"), timeout="10s")
async def charge(order: str, amount: int, step: StepContext) -> str:
    LEDGER[step.idempotency_key] = amount  # the bank knows the key: charged again, it is charged once
    return f"receipt {order}"


@payment.step(effect=CHECKED(settle="1s"), timeout="10s", retry=Retry(max_attempts=5))
async def ship(order: str, step: StepContext) -> None:
    if order.startswith("lost"):
        raise Fail("no_stock", "there is nothing to ship")
    LEDGER[f"shipped {order}"] = 1


@ship.check
async def is_shipped(order: str) -> bool:
    return f"shipped {order}" in LEDGER


@payment.step(effect=ONCE, timeout="10s", retry=Retry(max_attempts=3, on="not_done"))
async def tell_the_tax_office(order: str) -> None:
    if order.startswith("closed"):
        raise NotDone("the office is closed: nothing was told")


@payment.step(writes=lambda s: s.outcome, effect=KEYED, timeout="10s")
async def refund(receipt: str, step: StepContext) -> Literal["refunded"]:
    return "refunded"


payment.flow(charge, rescue((ship, tell_the_tax_office), on={"no_stock": refund}))
