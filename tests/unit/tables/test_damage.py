"""Damaged stores: each is named `StoreCorrupt`, none passes as a fresh one, and each can be destroyed and made anew."""

import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logkeel.errors import StoreCorrupt, StoreUnavailable
from logkeel.log import Store
from logkeel.log.keyspace import END
from logkeel.tables import RocksStoreDirectory

ROWS = {b"key-%05d" % number: b"%05d" % number * 20 for number in range(3_000)}


@pytest.fixture
def directory(tmp_path: Path) -> RocksStoreDirectory:
    """Holds one closed store with rows in a table file."""
    directory = RocksStoreDirectory(tmp_path)
    store = directory.open("table", 0)
    store.write(ROWS)
    store.close()
    return directory


@pytest.fixture
def folder(directory: RocksStoreDirectory, tmp_path: Path) -> Path:
    """Where that store is."""
    (folder,) = (tmp_path / "table").iterdir()
    return folder


def spoil(path: Path) -> None:
    """Flip the bits of the first half of a file."""
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(bytes(byte ^ 0xFF for byte in content[:half]) + content[half:])


def only(folder: Path, pattern: str) -> Path:
    """The one file of that name."""
    (path,) = folder.glob(pattern)
    return path


def read_all(store: Store) -> None:
    """Touch every block."""
    assert list(store.scan(b"", END))


def get_first(store: Store) -> None:
    """Touch the first block."""
    assert store.get(b"key-00000")


@pytest.mark.parametrize("read", [read_all, get_first])
def test_a_spoilt_table_file_is_corrupt_when_it_is_read(
    directory: RocksStoreDirectory, folder: Path, read: Callable[[Store], None]
) -> None:
    spoil(only(folder, "*.sst"))
    store = directory.open("table", 0)
    with pytest.raises(StoreCorrupt):
        read(store)
    store.close()
    made_anew(directory)


def cut_table_file(folder: Path) -> None:
    only(folder, "*.sst").write_bytes(b"")


def remove_table_file(folder: Path) -> None:
    only(folder, "*.sst").unlink()


def spoil_manifest(folder: Path) -> None:
    spoil(only(folder, "MANIFEST-*"))


def remove_manifest(folder: Path) -> None:
    only(folder, "MANIFEST-*").unlink()


def empty_current(folder: Path) -> None:
    (folder / "CURRENT").write_bytes(b"")


def remove_current(folder: Path) -> None:
    (folder / "CURRENT").unlink()


def leave_only_the_identity(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != "IDENTITY":
            path.unlink()


@pytest.mark.parametrize(
    "damage",
    [
        cut_table_file,
        remove_table_file,
        spoil_manifest,
        remove_manifest,
        empty_current,
        remove_current,
        leave_only_the_identity,
    ],
)
def test_a_damaged_store_is_corrupt_when_it_is_opened(
    directory: RocksStoreDirectory, folder: Path, damage: Callable[[Path], None]
) -> None:
    damage(folder)
    assert directory.exists("table", 0)
    for _ in range(2):
        with pytest.raises(StoreCorrupt, match=str(folder)):
            directory.open("table", 0)
    made_anew(directory)


def made_anew(directory: RocksStoreDirectory) -> None:
    """Destroy, and open an empty store."""
    directory.destroy("table", 0)
    assert not directory.exists("table", 0)
    fresh = directory.open("table", 0)
    assert list(fresh.scan(b"", END)) == []
    fresh.write({b"k": b"v"})
    fresh.close()


def test_destroy_takes_strange_files_along_and_reports_what_it_cannot_remove(
    directory: RocksStoreDirectory, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "notes.txt").write_text("somebody's")

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", refuse)
        with pytest.raises(StoreUnavailable, match="Permission denied"):
            directory.destroy("table", 0)
    with pytest.raises(StoreCorrupt, match=r"notes\.txt"):
        directory.open("table", 0)
    made_anew(directory)


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "table").write_text("a file is in the way")
    with pytest.raises(StoreUnavailable):
        RocksStoreDirectory(tmp_path).open("table", 0)


@pytest.fixture
def no_room() -> Iterator[Callable[[bool], None]]:
    """Whether the files of this process may grow: as on a full disk, without filling one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda full: resource.setrlimit(resource.RLIMIT_FSIZE, (0 if full else soft, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_store_without_room_is_unavailable_closes_quietly_and_opens_again(
    directory: RocksStoreDirectory, no_room: Callable[[bool], None]
) -> None:
    store = directory.open("table", 0)
    store.write({b"more": b"kept"})
    no_room(True)
    with pytest.raises(StoreUnavailable):
        store.write({b"lost": b"1"})
    store.close()
    no_room(False)
    again = directory.open("table", 0)
    assert (again.get(b"more"), again.get(b"lost")) == (b"kept", None)
    assert len(list(again.scan(b"key", b"kez"))) == len(ROWS)
    again.close()
