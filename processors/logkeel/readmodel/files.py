"""The file of a read model: made, opened for its one writer, opened for readers. A shell file.

WAL, so that readers in any process see a whole transaction and never wait for the writer. `synchronous=NORMAL`: a power
cut may cost the last transactions, and with them their positions, so they are read from the log again.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from logkeel.errors import ConfigInvalid, StoreUnavailable
from logkeel.readmodel.schema import PAGE_BYTES, TABLES, VERSION, VIEWS

FILE_NAME: Final = "runs.sqlite"
BUSY_S: Final = 10.0
CACHE_KIB: Final = 64 * 1_024
CHECKPOINT_PAGES: Final = 4_000
"""The log of the file is written back after so many pages, 32 MB."""


def open_writer(path: Path) -> sqlite3.Connection:
    """The file for its writer, who alone holds its slot; made anew if it is of another version or cannot be read.

    Raises `StoreUnavailable`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        connection = _connected(path)
        if _version(connection) != VERSION:
            connection.close()
            return make_anew(path)
        return connection
    except sqlite3.DatabaseError:
        return make_anew(path)


def make_anew(path: Path) -> sqlite3.Connection:
    """An empty file in the place of whatever is there: everything in it is on the log. Raises `StoreUnavailable`."""
    with store_errors(path):
        for suffix in ("", "-wal", "-shm", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        connection = _connected(path)
        connection.executescript(f"BEGIN; {TABLES} {VIEWS} PRAGMA user_version = {VERSION}; COMMIT;")
        return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """The file for a reader of any process. Raises `ConfigInvalid` where there is none, or one of another version."""
    if not path.exists():
        raise ConfigInvalid(f"there is no read model at {path}; `logkeel sql` and `logkeel gateway` make one")
    with store_errors(path):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro",
            uri=True,
            timeout=BUSY_S,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.execute("PRAGMA query_only = ON")
        found = _version(connection)
    if found != VERSION:
        connection.close()
        raise ConfigInvalid(
            f"{path} has version {found}, this logkeel reads {VERSION}: restart the gateway that holds it"
        )
    return connection


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """What SQLite and the disk refuse is `StoreUnavailable`."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailable(f"the read model at {path} cannot be used: {error}", path=str(path)) from error


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    for pragma in (
        f"page_size = {PAGE_BYTES}",
        "journal_mode = WAL",
        "synchronous = NORMAL",
        f"cache_size = -{CACHE_KIB}",
        "temp_store = MEMORY",
        f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
