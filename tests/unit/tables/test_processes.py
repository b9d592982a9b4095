"""A store and several processes: one holds it, and what a killed one leaves is a prefix of its batches."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.tables.conftest import Writer
from tests.unit.tables.writing import ROWS, batch, prefix

from logkeel.errors import StoreLocked
from logkeel.log.keyspace import END
from logkeel.tables import RocksStoreDirectory

KILLS = (1, 7, 60, 301)
"""Batches to wait for before the kill; about 2 000 rows fit before the log is flushed to a table file by close."""


def test_a_store_held_by_another_process_is_neither_opened_nor_destroyed(
    tmp_path: Path, writer: Callable[..., Writer]
) -> None:
    holder = writer("hold")
    holder.read(1)
    directory = RocksStoreDirectory(tmp_path)
    assert directory.exists("table", 0)
    with pytest.raises(StoreLocked, match="another process holds"):
        directory.open("table", 0)
    with pytest.raises(StoreLocked, match="another process holds"):
        directory.destroy("table", 0)
    holder.kill()
    store = directory.open("table", 0)
    assert dict(store.scan(b"", END)) == prefix(1)
    store.close()
    directory.destroy("table", 0)
    assert not directory.exists("table", 0)


@pytest.mark.parametrize("batches", KILLS)
def test_kill_9_leaves_whole_batches_and_every_acknowledged_one(
    tmp_path: Path, writer: Callable[..., Writer], batches: int
) -> None:
    killed = writer()
    killed.read(batches)
    killed.kill()
    store = RocksStoreDirectory(tmp_path).open("table", 0)
    last = int(store.get(b"last") or b"0")
    assert last >= killed.acknowledged >= batches
    assert dict(store.scan(b"", END)) == prefix(last)
    store.close()


def test_a_second_directory_of_the_same_process_is_locked_out_too(tmp_path: Path) -> None:
    store = RocksStoreDirectory(tmp_path).open("table", 0)
    store.write(batch(1))
    other = RocksStoreDirectory(tmp_path)
    for refused in (other.open, other.destroy):
        with pytest.raises(StoreLocked):
            refused("table", 0)
    assert sum(1 for _ in store.scan(b"row", b"rox")) == ROWS
    store.close()
    again = other.open("table", 0)
    assert dict(again.scan(b"", END)) == prefix(1)
    again.close()
