"""What the example needs of the world outside, and how it is opened."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol


class Shop(Protocol):
    """A bank, a warehouse and an office in one."""

    async def charge(self, order: str, amount: int, *, key: str) -> str: ...

    async def refund(self, order: str, receipt: str | None, *, key: str) -> None: ...

    async def ship(self, order: str) -> str: ...

    async def parcel_of(self, order: str) -> str | None: ...

    async def call_back(self, order: str, *, key: str) -> None: ...

    async def declare(self, order: str) -> None: ...


@asynccontextmanager
async def open_shop() -> AsyncIterator[Shop]:
    """Yours: a client of your bank, your warehouse, your office."""
    shop: Shop | None = None  # connect to your bank, your warehouse and your office here; tests replace this opener
    if shop is None:
        raise NotImplementedError("examples/payment/outside.py does not know your shop")
    yield shop
