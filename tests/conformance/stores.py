"""The two store directories that the suite runs on. `restarted` is the directory as the next process finds it."""

from pathlib import Path
from typing import Protocol

from logkeel.log import StoreDirectory
from logkeel.simulation import MemoryStoreDirectory
from logkeel.tables import RocksStoreDirectory


class Stores(Protocol):
    """A place for stores."""

    directory: StoreDirectory

    def restarted(self) -> StoreDirectory:
        """The same stores for a successor; the caller closed what it had open."""
        ...


class MemoryStores:
    """Implements `Stores` in memory."""

    def __init__(self) -> None:
        self.directory: StoreDirectory = MemoryStoreDirectory()

    def restarted(self) -> StoreDirectory:
        return self.directory


class RocksStores:
    """Implements `Stores` on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.directory: StoreDirectory = RocksStoreDirectory(folder)

    def restarted(self) -> StoreDirectory:
        return RocksStoreDirectory(self._folder)
