"""The outside of the purchase example, for tests: a shop that knows its keys, and may have nothing to ship."""

from collections.abc import Callable
from typing import Any

from examples.payment.outside import open_shop

from logkeel.testing.crashes import Outside
from logkeel.workflow import Fail


class FakeShop:
    """Keeps everything in the outside of the schedule."""

    def __init__(self, outside: Outside, *, in_stock: bool) -> None:
        self._outside = outside
        self._in_stock = in_stock

    async def charge(self, order: str, amount: int, *, key: str) -> str:
        self._outside.do("charge", key=key)
        return f"receipt {order}"

    async def refund(self, order: str, receipt: str | None, *, key: str) -> None:
        self._outside.do("refund", key=key)

    async def ship(self, order: str) -> str:
        if not self._in_stock:
            raise Fail("no_stock", "there is nothing to ship")
        self._outside.do("ship")
        return f"parcel {order}"

    async def parcel_of(self, order: str) -> str | None:
        return f"parcel {order}" if self._outside.happened("ship") else None

    async def call_back(self, order: str, *, key: str) -> None:
        self._outside.do("call back", key=key)

    async def declare(self, order: str) -> None:
        self._outside.do("declare")


def shop(*, in_stock: bool) -> Callable[[Outside], dict[Any, Any]]:
    """For `resources=`."""
    return lambda outside: {open_shop: outside.opener(lambda each: FakeShop(each, in_stock=in_stock))}
