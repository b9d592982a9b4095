"""A workflow that pays, honest or lying, and its outside for tests."""

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any

from logkeel.testing.crashes import Outside
from logkeel.workflow import (
    CHECKED,
    IDEMPOTENT,
    KEYED,
    NONE,
    ONCE,
    EffectDeclaration,
    Resource,
    State,
    StepContext,
    Workflow,
)


class Order(State):
    """What is bought."""

    article: str
    price: int | None = None
    receipt: str | None = None
    stamp: str | None = None


class Shop:
    """The real one, which no test may reach."""

    def pay(self, article: str, key: str | None) -> str:
        raise NotImplementedError

    def mail(self, what: str) -> None:
        raise NotImplementedError

    def was_mailed(self, what: str) -> bool:
        raise NotImplementedError


@asynccontextmanager
async def open_shop() -> Any:
    yield Shop()


class FakeShop(Shop):
    """Knows its keys."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    def pay(self, article: str, key: str | None) -> str:
        self._outside.do("pay", key=key)
        return f"receipt for {article}"

    def mail(self, what: str) -> None:
        self._outside.do(f"mail {what}")

    def was_mailed(self, what: str) -> bool:
        return self._outside.happened(f"mail {what}")


AnyShop = Annotated[Shop, Resource(open_shop)]


def fakes(outside: Outside) -> dict[Any, "AbstractAsyncContextManager[Any] | Any"]:
    """For `resources=`."""
    return {open_shop: outside.opener(FakeShop)}


def shopping(*, sends_key: bool = True, looks: bool = True, pays: EffectDeclaration = KEYED) -> "Workflow[Order]":
    """Looks up, pays by key, mails with a check, stamps once."""
    workflow = Workflow("shopping", state=Order, returns="receipt")

    @workflow.step(writes=lambda s: s.price, effect=NONE)
    async def look_up(article: str) -> int:
        return len(article)

    @workflow.step(writes=lambda s: s.receipt, effect=pays)
    async def pay(article: str, price: int, shop: AnyShop, step: StepContext) -> str:
        return shop.pay(article, step.idempotency_key if sends_key else None)

    @workflow.step(effect=CHECKED(settle="100ms"), timeout="2s")
    async def confirm(receipt: str, shop: AnyShop) -> None:
        shop.mail(receipt)

    @confirm.check
    async def was_confirmed(receipt: str, shop: AnyShop) -> bool:
        return looks and shop.was_mailed(receipt)

    @workflow.step(writes=lambda s: s.stamp, effect=ONCE)
    async def stamp(receipt: str, shop: AnyShop) -> str:
        shop.mail("stamp")
        return "stamped"

    @workflow.step(effect=IDEMPOTENT)
    async def note(stamp: str) -> None:
        pass

    workflow.flow(look_up, pay, confirm, stamp, note)
    return workflow
