"""Stores in memory, with the contract of `logkeel.log.store`. They outlive `close`, as a folder on disk does."""

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping

from logkeel.errors import StoreLocked, StoreUnavailable


class _Rows:
    """One partition's rows, sorted by key."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.keys: list[bytes] = []

    def apply(self, batch: Mapping[bytes, bytes | None]) -> None:
        for key, value in batch.items():
            if value is None:
                if self.values.pop(key, None) is not None:
                    del self.keys[bisect_left(self.keys, key)]
            else:
                if key not in self.values:
                    insort(self.keys, key)
                self.values[key] = value


class MemoryStore:
    """Implements `logkeel.log.Store`. `fail_writes` set to an error makes every write raise it (a full disk)."""

    def __init__(self, rows: _Rows) -> None:
        self._rows = rows
        self.is_open = True
        self.fail_writes: Exception | None = None

    def get(self, key: bytes) -> bytes | None:
        return self._checked().values.get(key)

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        rows = self._checked()
        keys = rows.keys[bisect_left(rows.keys, start) : bisect_left(rows.keys, end)]
        return iter([(key, rows.values[key]) for key in keys])

    def write(self, batch: Mapping[bytes, bytes | None]) -> None:
        rows = self._checked()
        if self.fail_writes is not None:
            raise self.fail_writes
        rows.apply(batch)

    def approximate_rows(self) -> int:
        return len(self._checked().keys)

    def close(self) -> None:
        self.is_open = False

    def _checked(self) -> _Rows:
        if not self.is_open:
            raise StoreUnavailable("the store is closed")
        return self._rows


class MemoryStoreDirectory:
    """Implements `logkeel.log.StoreDirectory`. Hand it on to a second process to restart with its state."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, int], _Rows] = {}
        self._open: dict[tuple[str, int], MemoryStore] = {}
        self.aside: list[tuple[str, int, dict[bytes, bytes]]] = []

    def open(self, table: str, partition: int) -> MemoryStore:
        place = (table, partition)
        held = self._open.get(place)
        if held is not None and held.is_open:
            raise StoreLocked(f"{table}-{partition} is open already", table=table, partition=partition)
        store = self._open[place] = MemoryStore(self._rows.setdefault(place, _Rows()))
        return store

    def exists(self, table: str, partition: int) -> bool:
        return (table, partition) in self._rows

    def set_aside(self, table: str, partition: int) -> str:
        held = self._open.pop((table, partition), None)
        if held is not None and held.is_open:
            raise StoreLocked(f"{table}-{partition} is open; close it first", table=table, partition=partition)
        rows = self._rows.pop((table, partition), None)
        if rows is not None:
            self.aside.append((table, partition, dict(rows.values)))
        return f"{table}-{partition}.aside-{len(self.aside)}"

    def destroy(self, table: str, partition: int) -> None:
        held = self._open.pop((table, partition), None)
        if held is not None and held.is_open:
            raise StoreLocked(f"{table}-{partition} is open; close it first", table=table, partition=partition)
        self._rows.pop((table, partition), None)

    def release_all(self) -> None:
        """What the death of a process does to its locks: every store is closed, its rows stay."""
        for store in self._open.values():
            store.close()

    def opened(self, table: str, partition: int) -> MemoryStore | None:
        """The store that is open now, for tests that damage or inspect it."""
        return self._open.get((table, partition))
