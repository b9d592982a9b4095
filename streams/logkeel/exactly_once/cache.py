"""A bounded, roughly least-recently-used map of rows, absence included. Values are immutable bytes (P7).

It knows no store: who fills it answers for it.
"""


class RowCache:
    """Rows of one partition as last committed. Eviction drops the row longest unused, approximately.

    A plain dict keeps insertion order; a hit moves no row (that would cost more than it saves), but a row that is
    written or read from the store again enters at the young end.
    """

    __slots__ = ("_limit", "rows")

    def __init__(self, limit: int) -> None:
        self.rows: dict[bytes, bytes | None] = {}
        self._limit = limit

    def fill(self, key: bytes, value: bytes | None) -> None:
        """Remember what the store holds under `key`."""
        self.rows[key] = value
        if len(self.rows) > self._limit:
            self._evict()

    def apply(self, batch: dict[bytes, bytes | None]) -> None:
        """Take over rows that were written to the store."""
        rows = self.rows
        for key in batch:
            rows.pop(key, None)
        rows.update(batch)
        if len(rows) > self._limit:
            self._evict()

    def clear(self) -> None:
        """Forget everything (P6, P7)."""
        self.rows.clear()

    def _evict(self) -> None:
        surplus = len(self.rows) - self._limit + self._limit // 16
        for key in list(self.rows)[:surplus]:
            del self.rows[key]
