"""What the example needs of the world outside, and how it is opened.

The shop is a stand-in in one SQLite file, $SHOP (default: shop.sqlite), so that the example runs as it is: it knows its
keys, keeps a ledger of all that happened, and has nothing to ship for orders that begin with "lost".
"""

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Protocol

from logkeel.workflow import Fail

CREATE_LEDGER = 'create table if not exists ledger (what text, "order" text, key text unique)'


class Shop(Protocol):
    """A bank, a warehouse and an office in one."""

    async def charge(self, order: str, amount: int, *, key: str) -> str: ...

    async def refund(self, order: str, receipt: str | None, *, key: str) -> None: ...

    async def ship(self, order: str) -> str: ...

    async def parcel_of(self, order: str) -> str | None: ...

    async def call_back(self, order: str, *, key: str) -> None: ...

    async def declare(self, order: str) -> None: ...


class FileShop:
    """The stand-in. Each entry of its ledger is one transaction; with a key that it knows there is no second one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def charge(self, order: str, amount: int, *, key: str) -> str:
        self._enter("charge", order, key)
        return f"receipt {order}"

    async def refund(self, order: str, receipt: str | None, *, key: str) -> None:
        if self._happened("charge", order):  # no receipt: it looks for the charge
            self._enter("refund", order, key)

    async def ship(self, order: str) -> str:
        if order.startswith("lost"):
            raise Fail("no_stock", "there is nothing to ship")
        self._enter("ship", order)
        return f"parcel {order}"

    async def parcel_of(self, order: str) -> str | None:
        return f"parcel {order}" if self._happened("ship", order) else None

    async def call_back(self, order: str, *, key: str) -> None:
        if self._happened("ship", order):
            self._enter("call back", order, key)

    async def declare(self, order: str) -> None:
        self._enter("declare", order)

    def entries(self) -> list[tuple[str, str]]:
        """The ledger: what happened for which order, in order."""
        with closing(sqlite3.connect(self._path, timeout=5)) as database:
            database.execute(CREATE_LEDGER)
            return list(database.execute('select what, "order" from ledger order by rowid'))

    def _enter(self, what: str, order: str, key: str | None = None) -> None:
        with closing(sqlite3.connect(self._path, timeout=5)) as database, database:
            database.execute(CREATE_LEDGER)
            database.execute("insert or ignore into ledger values (?, ?, ?)", (what, order, key))

    def _happened(self, what: str, order: str) -> bool:
        return (what, order) in self.entries()


@asynccontextmanager
async def open_shop() -> AsyncIterator[Shop]:
    """Put the clients of your bank, your warehouse and your office here."""
    yield FileShop(Path(os.environ.get("SHOP", "shop.sqlite")))
