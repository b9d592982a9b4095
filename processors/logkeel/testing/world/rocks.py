"""An engine's disk with RocksDB on it, beside the rows in memory that it must agree with at each read.

Faults of the disk are those of the memory store. What a fault took away, RocksDB gets anew from what was left.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import TypeVar

from logkeel.errors import InvariantViolation
from logkeel.simulation import MemoryStoreDirectory
from logkeel.simulation.store import MemoryStore, StoredRows
from logkeel.tables import RocksStore, RocksStoreDirectory

T = TypeVar("T")


class RocksDisk(MemoryStoreDirectory):
    """A new folder below `directory`. A process that reads what was not written ends by `InvariantViolation`."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = RocksStoreDirectory(Path(mkdtemp(prefix="rocks-", dir=directory)))
        self._written: list[StoredRows] = []

    def lose_newest(self, batches: int) -> int:
        lost = super().lose_newest(batches)
        # Their number is their folder, so an empty place is kept.
        self._written = [StoredRows() for _ in self._written]
        return lost

    def _store(self, place: tuple[str, int], rows: StoredRows) -> MemoryStore:
        number = next((number for number, each in enumerate(self._written) if each is rows), None)
        if number is not None:
            return _PairedStore(rows, self, self._directory.open(place[0], number))
        self._written.append(rows)
        store = self._directory.open(place[0], len(self._written) - 1)
        store.write(rows.values)
        return _PairedStore(rows, self, store)


class _PairedStore(MemoryStore):
    def __init__(self, rows: StoredRows, directory: RocksDisk, store: RocksStore) -> None:
        super().__init__(rows, directory)
        self._store = store

    def get(self, key: bytes) -> bytes | None:
        return _agreed(super().get(key), self._store.get(key))

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter(_agreed(list(super().scan(start, end)), list(self._store.scan(start, end))))

    def close(self) -> None:
        super().close()
        self._store.close()

    def _apply(self, rows: StoredRows, batch: Mapping[bytes, bytes | None]) -> None:
        self._store.write(batch)
        super()._apply(rows, batch)


def _agreed(written: T, found: T) -> T:
    if found != written:
        raise InvariantViolation(f"RocksDB gave {found!r}, written was {written!r}")
    return found
