"""Tables on RocksDB: one database per partition, one column family, write-ahead log on, no fsync.

With the write-ahead log off, or with several column families, RocksDB tears batches apart on kill -9 (ARCHITECTURE
section 4). Without fsync a power failure may lose the newest batches; the changelog has them.
"""

import contextlib
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    RdictIter,
    WriteBatch,
    WriteOptions,
)

from logkeel.errors import LogkeelError, StoreCorrupt, StoreLocked, StoreUnavailable

MEMTABLE_BYTES = 4 * 1024 * 1024
BLOCK_CACHE_BYTES = 16 * 1024 * 1024
"""Per process, shared by its partitions: rows of live runs are few, and the loop keeps the hot ones itself."""

MAX_WAL_BYTES = 64 * 1024 * 1024
"""Bounds what a restart replays from the write-ahead log."""

_CORRUPT = re.compile(
    r"Corruption|checksum mismatch|No such file.*(MANIFEST|sst)|does not exist \(create_if_missing", re.IGNORECASE
)
_LOCKED = re.compile(
    r"lock hold by current process|While lock file|LOCK: Resource temporarily unavailable", re.IGNORECASE
)


class RocksStore:
    """Implements `logkeel.log.Store`. Get one from `RocksStoreDirectory.open`."""

    def __init__(self, path: Path, options: Options, partition: int) -> None:
        self._path = path
        self._partition = partition
        try:
            self._database = Rdict(str(path), options=options, access_type=AccessType.read_write())
        except Exception as error:
            raise self._meant(error) from error
        self._write_options = WriteOptions()
        self._write_options.sync = False
        self.is_open = True

    def get(self, key: bytes) -> bytes | None:
        self._check_open()
        try:
            value: bytes | None = self._database.get(key)
        except Exception as error:
            raise self._meant(error) from error
        return value

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        self._check_open()
        try:
            iterator = self._database.snapshot().iter()
        except Exception as error:
            raise self._meant(error) from error
        return self._rows(iterator, start, end)

    def _rows(self, rows: RdictIter, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        try:
            rows.seek(start)
            while rows.valid():
                key = rows.key()
                if key >= end:
                    return
                yield key, rows.value()
                rows.next()
            rows.status()
        except Exception as error:
            raise self._meant(error) from error

    def write(self, batch: Mapping[bytes, bytes | None]) -> None:
        self._check_open()
        rows = WriteBatch(raw_mode=True)
        for key, value in batch.items():
            if value is None:
                rows.delete(key)
            else:
                rows.put(key, value)
        try:
            self._database.write(rows, self._write_options)
        except Exception as error:
            raise self._meant(error) from error

    def approximate_rows(self) -> int:
        self._check_open()
        return self._database.property_int_value("rocksdb.estimate-num-keys") or 0

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            # Closing flushes. Where that fails (full disk, corruption) the database is closed all the same, and what
            # was not flushed is in the write-ahead log or in the changelog.
            with contextlib.suppress(Exception):
                self._database.close()

    def _meant(self, error: Exception) -> LogkeelError:
        meant = _translated(error, self._path)
        meant.details["partition"] = self._partition
        return meant

    def _check_open(self) -> None:
        if not self.is_open:
            raise StoreUnavailable(f"the store {self._path} is closed; open it again", path=str(self._path))


class RocksStoreDirectory:
    """Implements `logkeel.log.StoreDirectory` below one folder: `<folder>/<table>/<partition>`."""

    def __init__(self, folder: Path) -> None:
        self._folder = Path(folder)
        self._cache = Cache(BLOCK_CACHE_BYTES)
        self._open: dict[Path, RocksStore] = {}

    def open(self, table: str, partition: int) -> RocksStore:
        path = self._path(table, partition)
        held = self._open.get(path)
        if held is not None and held.is_open:
            raise StoreLocked(f"{path} is open in this process already", path=str(path))
        try:
            path.mkdir(parents=True, exist_ok=True)
            _check_whole(path)
        except OSError as error:
            raise _translated(error, path) from error
        store = self._open[path] = RocksStore(path, self._options(), partition)
        return store

    def exists(self, table: str, partition: int) -> bool:
        path = self._path(table, partition)
        return path.is_dir() and any(path.iterdir())

    def set_aside(self, table: str, partition: int) -> str:
        path = self._path(table, partition)
        held = self._open.pop(path, None)
        if held is not None and held.is_open:
            raise StoreLocked(f"{path} is open; close it before it is moved", path=str(path))
        number = 1
        while (aside := path.with_name(f"{path.name}.aside-{number}")).exists():
            number += 1
        try:
            path.rename(aside)
        except OSError as error:
            raise _translated(error, path) from error
        return str(aside)

    def destroy(self, table: str, partition: int) -> None:
        path = self._path(table, partition)
        held = self._open.pop(path, None)
        if held is not None and held.is_open:
            raise StoreLocked(f"{path} is open; close it before it is destroyed", path=str(path))
        if not path.exists():
            return
        try:
            # Takes RocksDB's own lock first, and fails while a living process holds it. Reads nothing, so that a
            # corrupt store can be destroyed; leaves files that are not RocksDB's.
            Rdict.destroy(str(path), self._options())
            if path.exists():
                shutil.rmtree(path)
        except Exception as error:
            raise _translated(error, path) from error

    def _path(self, table: str, partition: int) -> Path:
        return self._folder / table / f"{partition:05d}"

    def _options(self) -> Options:
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_write_buffer_size(MEMTABLE_BYTES)
        options.set_max_write_buffer_number(3)
        options.set_max_total_wal_size(MAX_WAL_BYTES)
        options.set_compression_type(DBCompressionType.lz4())
        options.set_keep_log_file_num(2)
        options.set_max_background_jobs(2)
        blocks = BlockBasedOptions()
        blocks.set_block_cache(self._cache)
        blocks.set_bloom_filter(10, False)
        options.set_block_based_table_factory(blocks)
        return options


def _check_whole(path: Path) -> None:
    """RocksDB would open a folder without CURRENT as a new database: an emptied store would pass as fresh (P17)."""
    left = sorted(each.name for each in path.iterdir())
    if left and "CURRENT" not in left:
        raise StoreCorrupt(
            f"{path} is no whole store: it holds {', '.join(left[:5])} but no file CURRENT", path=str(path)
        )


def _translated(error: Exception, path: Path) -> LogkeelError:
    text = str(error)
    if _LOCKED.search(text):
        return StoreLocked(f"another process holds {path}; stop it, or give another --state-dir", path=str(path))
    if _CORRUPT.search(text):
        return StoreCorrupt(f"{path} cannot be read: {text}", path=str(path))
    return StoreUnavailable(f"{path} cannot be used now: {text}; free disk space or check its rights", path=str(path))
