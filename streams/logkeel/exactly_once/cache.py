"""A bounded map of rows, absence included. Values are immutable bytes (P7).

It knows no store: who fills it answers for it. Two generations: rows enter the young one, and when that holds half of
the limit it becomes the old one, whose rows are forgotten then. So dropping costs nothing per row, and what was written
or read within the last half of the limit is always there.

A scope is a prefix of keys. One that began empty while the cache watched is known to be complete: a row below it that
is not here does not exist. It is forgotten with the generation it began in, hence never later than any of its rows.
"""

from collections.abc import Iterable, Mapping


class RowCache:
    """Rows of one partition as last committed."""

    __slots__ = ("_half", "_old_scopes", "_young_scopes", "old", "young")

    def __init__(self, limit: int) -> None:
        self.young: dict[bytes, bytes | None] = {}
        self.old: dict[bytes, bytes | None] = {}
        self._young_scopes: set[bytes] = set()
        self._old_scopes: set[bytes] = set()
        self._half = max(1, limit // 2)

    def __contains__(self, key: bytes) -> bool:
        return key in self.young or key in self.old

    def __getitem__(self, key: bytes) -> bytes | None:
        young = self.young
        return young[key] if key in young else self.old[key]

    def __len__(self) -> int:
        return len(self.young) + len(self.old)

    def is_complete(self, scope: bytes) -> bool:
        """Whether every row below `scope` is here, so that any other does not exist."""
        return scope in self._young_scopes or scope in self._old_scopes

    def fill(self, key: bytes, value: bytes | None) -> None:
        """Remember what the store holds under `key`."""
        self._turn_over()
        self.young[key] = value

    def apply(self, rows: Mapping[bytes, bytes | None], began: Iterable[bytes] = ()) -> None:
        """Take over rows that were written to the store, and scopes that were empty before."""
        self._turn_over()
        self._young_scopes.update(began)
        self.young.update(rows)

    def clear(self) -> None:
        """Forget everything (P6, P7)."""
        for part in (self.young, self.old, self._young_scopes, self._old_scopes):
            part.clear()

    def _turn_over(self) -> None:
        if len(self.young) >= self._half:
            self.old, self.young = self.young, {}
            self._old_scopes, self._young_scopes = self._young_scopes, set()
