"""Stores: what `logkeel.log.store` promises, in memory and on RocksDB."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conformance.stores import MemoryStores, RocksStores, Stores

from logkeel.errors import StoreLocked, StoreUnavailable
from logkeel.log import Store
from logkeel.log.keys import prefix_end, text
from logkeel.log.keyspace import END

KEYS = st.one_of(
    st.sampled_from([b"a", b"aa", b"ab", b"b", b"\x00", b"\xff", b"\xff\x00"]), st.binary(min_size=1, max_size=4)
)
BATCHES = st.lists(st.dictionaries(KEYS, st.one_of(st.none(), st.binary(max_size=8)), max_size=6), max_size=12)


def rows(store: Store, start: bytes = b"", end: bytes = END) -> list[tuple[bytes, bytes]]:
    """A scan, as a list."""
    return list(store.scan(start, end))


def test_a_batch_puts_and_deletes_at_once(stores: Stores) -> None:
    store = stores.directory.open("table", 0)
    store.write({b"a": b"1", b"b": b"2", b"c": b""})
    store.write({b"a": None, b"b": b"3", b"missing": None})
    assert [store.get(key) for key in (b"a", b"b", b"c", b"missing")] == [None, b"3", b"", None]
    store.write({})
    assert rows(store) == [(b"b", b"3"), (b"c", b"")]
    store.close()


def test_scans_follow_the_bytes_and_stop_before_the_end(stores: Stores) -> None:
    store = stores.directory.open("table", 0)
    keys = [b"\xff", b"b", b"a\x00", b"a", b"aa", b"\x00\x01", b"a\xff"]
    store.write(dict.fromkeys(keys, b"v"))
    assert [key for key, _ in rows(store)] == sorted(keys)
    assert [key for key, _ in rows(store, b"a", b"aa")] == [b"a", b"a\x00"]
    assert rows(store, b"b", b"b") == []
    assert rows(store, b"c", b"\xfe") == []
    store.close()


def test_a_prefix_is_a_range(stores: Stores) -> None:
    store = stores.directory.open("table", 0)
    store.write({text("run") + text(name): name.encode() for name in ("1", "10", "2")})
    store.write({text("runner") + text("1"): b"other", text("ru") + text("1"): b"other"})
    prefix = text("run")
    assert [value for _, value in rows(store, prefix, prefix_end(prefix))] == [b"1", b"10", b"2"]
    store.close()


def test_a_scan_shows_the_rows_as_of_its_call(stores: Stores) -> None:
    store = stores.directory.open("table", 0)
    store.write({b"a": b"1", b"b": b"1"})
    scan = store.scan(b"", END)
    store.write({b"a": b"2", b"b": None, b"c": b"2"})
    assert list(scan) == [(b"a", b"1"), (b"b", b"1")]
    assert rows(store) == [(b"a", b"2"), (b"c", b"2")]
    store.close()


def test_partitions_and_tables_are_apart_and_survive_a_restart(stores: Stores) -> None:
    opened = {place: stores.directory.open(*place) for place in (("one", 0), ("one", 1), ("two", 0))}
    for (table, partition), store in opened.items():
        store.write({b"name": f"{table}-{partition}".encode()})
        store.close()
    directory = stores.restarted()
    for table, partition in opened:
        assert directory.exists(table, partition)
        store = directory.open(table, partition)
        assert rows(store) == [(b"name", f"{table}-{partition}".encode())]
        assert store.approximate_rows() == 1
        store.close()
    assert not directory.exists("two", 1)


def test_a_destroyed_store_is_gone_and_others_stay(stores: Stores) -> None:
    for partition in range(2):
        store = stores.directory.open("table", partition)
        store.write({b"k": b"v"})
        store.close()
    stores.directory.destroy("table", 0)
    stores.directory.destroy("table", 7)
    assert not stores.directory.exists("table", 0)
    assert stores.directory.exists("table", 1)
    fresh, other = stores.directory.open("table", 0), stores.directory.open("table", 1)
    assert (rows(fresh), rows(other)) == ([], [(b"k", b"v")])
    fresh.close()
    other.close()


def test_an_open_store_is_locked(stores: Stores) -> None:
    store = stores.directory.open("table", 0)
    with pytest.raises(StoreLocked):
        stores.directory.open("table", 0)
    with pytest.raises(StoreLocked):
        stores.directory.destroy("table", 0)
    store.write({b"k": b"v"})
    store.close()
    again = stores.directory.open("table", 0)
    assert again.get(b"k") == b"v"
    again.close()


def test_a_closed_store_says_so(stores: Stores) -> None:
    store = stores.directory.open("table", 0)
    store.write({b"k": b"v"})
    store.close()
    store.close()
    for use in (
        lambda: store.get(b"k"),
        lambda: rows(store),
        lambda: store.write({b"k": b"w"}),
        store.approximate_rows,
    ):
        with pytest.raises(StoreUnavailable, match="closed"):
            use()
    again = stores.restarted().open("table", 0)
    assert again.get(b"k") == b"v"
    again.close()


@contextlib.contextmanager
def fresh(kind: str) -> Iterator[Stores]:
    """A place of its own for each example."""
    folder = Path(tempfile.mkdtemp())
    try:
        yield MemoryStores() if kind == "memory" else RocksStores(folder)
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("kind", ["memory", "rocks"])
@settings(max_examples=60, deadline=None)
@given(batches=BATCHES, start=KEYS, end=KEYS)
def test_any_batches_make_what_they_make_of_a_dict(
    kind: str, batches: list[Mapping[bytes, bytes | None]], start: bytes, end: bytes
) -> None:
    model: dict[bytes, bytes] = {}
    with fresh(kind) as stores:
        store = stores.directory.open("table", 0)
        for batch in batches:
            store.write(batch)
            for key, value in batch.items():
                if value is None:
                    model.pop(key, None)
                else:
                    model[key] = value
        assert all(store.get(key) == model.get(key) for batch in batches for key in batch)
        store.close()
        store = stores.restarted().open("table", 0)
        assert rows(store) == sorted(model.items())
        assert rows(store, start, end) == sorted((key, value) for key, value in model.items() if start <= key < end)
        store.close()
