"""The store port: one ordered byte map per table partition, written in atomic batches.

Contract, kept by `logkeel.tables` (RocksDB) and `logkeel.simulation` (memory) and tested by `tests/conformance`:
- `write` is atomic over the whole batch and survives kill -9 of the process once it returned; a power failure may lose
  a suffix of the batches, never a part of one and never one before another.
- Keys are compared as unsigned bytes, shorter prefix first.
- One process holds a partition at a time; a second one gets `StoreLocked`.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol


class Store(Protocol):
    """One partition's rows. Not safe for use from several threads at once."""

    def get(self, key: bytes) -> bytes | None:
        """The value under `key`, or None. Raises `StoreCorrupt`, `StoreUnavailable`."""
        ...

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Rows with start <= key < end in ascending key order, as of the call (later writes are not seen)."""
        ...

    def write(self, batch: Mapping[bytes, bytes | None]) -> None:
        """Apply all puts and deletes (None) at once. Raises `StoreCorrupt`, `StoreUnavailable` (e.g. disk full)."""
        ...

    def approximate_rows(self) -> int:
        """A cheap estimate of the number of rows."""
        ...

    def close(self) -> None:
        """Release the partition; idempotent."""
        ...


class StoreDirectory(Protocol):
    """Where a process keeps its stores: one directory on disk, or memory."""

    def open(self, table: str, partition: int) -> Store:
        """Open or create the store of `partition`. Raises `StoreLocked`, `StoreCorrupt`, `StoreUnavailable`."""
        ...

    def exists(self, table: str, partition: int) -> bool:
        """Whether a store of that partition was ever opened here and not destroyed."""
        ...

    def set_aside(self, table: str, partition: int) -> str:
        """Move the closed store of `partition` away, where `open` does not find it; answers where to. Nothing is lost.

        Raises `StoreLocked` while it is open, `StoreUnavailable`.
        """
        ...

    def destroy(self, table: str, partition: int) -> None:
        """Delete the closed store of `partition` for good. The caller answers for P17 (never the last copy)."""
        ...
