"""Stores in memory, with the contract of `logkeel.log.store`. They outlive `close`, as a folder on disk does.

A directory belongs to one machine, and can suffer what disks suffer: it may be full, damaged, lost, or lose the newest
batches, whole and in order, as a power failure may.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator, Mapping

from logkeel.errors import StoreCorrupt, StoreLocked, StoreUnavailable
from logkeel.simulation.effects import Client, effect

UNSYNCED = 64
"""How many batches a power failure can take back at most."""


class StoredRows:
    """One partition's rows, sorted by key, and what undoes the newest batches."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.keys: list[bytes] = []
        self.is_damaged = False
        self._undo: deque[dict[bytes, bytes | None]] = deque(maxlen=UNSYNCED)

    def apply(self, batch: Mapping[bytes, bytes | None]) -> None:
        self._undo.append({key: self.values.get(key) for key in batch})
        self._put(batch)

    def lose(self, batches: int) -> int:
        """Take back the newest batches; how many could be."""
        lost = min(batches, len(self._undo))
        for _ in range(lost):
            self._put(self._undo.pop())
        return lost

    def _put(self, batch: Mapping[bytes, bytes | None]) -> None:
        for key, value in batch.items():
            if value is None:
                if self.values.pop(key, None) is not None:
                    del self.keys[bisect_left(self.keys, key)]
            else:
                if key not in self.values:
                    insort(self.keys, key)
                self.values[key] = value


class _Nobody:
    """The client of a store whose writes nobody watches."""

    def before(self, effect: str) -> None:
        """Ignored."""

    def after(self, effect: str) -> None:
        """Ignored."""


class MemoryStore:
    """Implements `logkeel.log.Store`. `fail_writes` set to an error makes every write raise it (a full disk)."""

    def __init__(self, rows: StoredRows, directory: "MemoryStoreDirectory") -> None:
        self._rows = rows
        self._directory = directory
        self.client: Client = directory.client
        self.is_open = True
        self.fail_writes: Exception | None = None

    def get(self, key: bytes) -> bytes | None:
        return self._checked().values.get(key)

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        rows = self._checked()
        keys = rows.keys[bisect_left(rows.keys, start) : bisect_left(rows.keys, end)]
        return iter([(key, rows.values[key]) for key in keys])

    @effect("write")
    def write(self, batch: Mapping[bytes, bytes | None]) -> None:
        rows = self._checked()
        error = self.fail_writes or self._directory.fail_writes
        if error is not None:
            raise error
        self._apply(rows, batch)

    def approximate_rows(self) -> int:
        return len(self._checked().keys)

    def close(self) -> None:
        self.is_open = False

    def _apply(self, rows: StoredRows, batch: Mapping[bytes, bytes | None]) -> None:
        rows.apply(batch)

    def _checked(self) -> StoredRows:
        if not self.is_open:
            raise StoreUnavailable("the store is closed")
        if self._rows.is_damaged:
            raise StoreCorrupt("the store is damaged")
        return self._rows


class MemoryStoreDirectory:
    """Implements `logkeel.log.StoreDirectory`. Hand it on to a second process to restart with its state.

    `client` is the process that writes at present. `fail_writes` fails the writes of every store, present and future.
    """

    def __init__(self) -> None:
        self.client: Client = _Nobody()
        self.fail_writes: Exception | None = None
        self._rows: dict[tuple[str, int], StoredRows] = {}
        self._open: dict[tuple[str, int], MemoryStore] = {}
        self.aside: list[tuple[str, int, dict[bytes, bytes]]] = []

    @effect("open_store")
    def open(self, table: str, partition: int) -> MemoryStore:
        place = (table, partition)
        held = self._open.get(place)
        if held is not None and held.is_open:
            raise StoreLocked(f"{table}-{partition} is open already", table=table, partition=partition)
        rows = self._rows.setdefault(place, StoredRows())
        if rows.is_damaged:
            raise StoreCorrupt(f"{table}-{partition} is damaged", table=table, partition=partition)
        store = self._open[place] = self._store(place, rows)
        return store

    def _store(self, place: tuple[str, int], rows: StoredRows) -> MemoryStore:
        return MemoryStore(rows, self)

    def exists(self, table: str, partition: int) -> bool:
        return (table, partition) in self._rows

    @effect("destroy_store")
    def set_aside(self, table: str, partition: int) -> str:
        held = self._open.pop((table, partition), None)
        if held is not None and held.is_open:
            raise StoreLocked(f"{table}-{partition} is open; close it first", table=table, partition=partition)
        rows = self._rows.pop((table, partition), None)
        if rows is not None:
            self.aside.append((table, partition, dict(rows.values)))
        return f"{table}-{partition}.aside-{len(self.aside)}"

    @effect("destroy_store")
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

    # What disks suffer. Open stores see damage at once, the rest when they are opened again.

    def rows(self, table: str, partition: int) -> dict[bytes, bytes] | None:
        """What lies on the disk, past all damage; for judges."""
        found = self._rows.get((table, partition))
        return None if found is None else dict(found.values)

    def is_damaged(self, table: str, partition: int) -> bool:
        """Whether a store cannot be read."""
        found = self._rows.get((table, partition))
        return found is not None and found.is_damaged

    def damage(self) -> None:
        """Make every store unreadable, until it is destroyed."""
        for rows in self._rows.values():
            rows.is_damaged = True

    def lose(self) -> None:
        """The disk is gone, with everything on it."""
        self.release_all()
        self._rows.clear()
        self._open.clear()

    def lose_newest(self, batches: int) -> int:
        """A power failure: each closed store loses its newest batches. How many were lost."""
        return sum(rows.lose(batches) for rows in self._rows.values())
