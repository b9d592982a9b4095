"""A purchase as a saga: what was charged and reserved is undone if the parcel cannot go out, or the run is cancelled.

In memory: `await purchase.try_out(order="o-1", amount=12, resources={open_shop: ...})`. For real: logkeel dev shop.py
"""

from typing import Annotated

from examples.payment.outside import Shop, open_shop

from logkeel.workflow import CHECKED, KEYED, ONCE, Resource, Retry, State, StepContext, Workflow, saga

AnyShop = Annotated[Shop, Resource(open_shop)]


class Purchase(State):
    order: str
    amount: int
    receipt: str | None = None
    parcel: str | None = None


purchase = Workflow("purchase", state=Purchase, returns=("receipt", "parcel"))


@purchase.step(writes=lambda s: s.receipt, effect=KEYED, timeout="10s")
async def charge(order: str, amount: int, shop: AnyShop, step: StepContext) -> str:
    return await shop.charge(order, amount, key=step.idempotency_key)


@charge.undo
async def refund(order: str, receipt: str | None, shop: AnyShop, step: StepContext) -> None:
    await shop.refund(order, receipt, key=step.idempotency_key)  # no receipt: the shop looks for the charge


@purchase.step(writes=lambda s: s.parcel, effect=CHECKED(settle="1s"), timeout="10s", retry=Retry(max_attempts=2))
async def ship(order: str, shop: AnyShop) -> str:
    return await shop.ship(order)


@ship.check
async def is_shipped(order: str, shop: AnyShop) -> str | None:
    return await shop.parcel_of(order)


@ship.undo(effect=KEYED)
async def call_back(order: str, shop: AnyShop, step: StepContext) -> None:
    await shop.call_back(order, key=step.idempotency_key)


@purchase.step(effect=ONCE, timeout="10s")
async def tell_the_tax_office(order: str, shop: AnyShop) -> None:
    await shop.declare(order)


purchase.flow(saga(charge, ship, on_cancel="undo"), tell_the_tax_office)
