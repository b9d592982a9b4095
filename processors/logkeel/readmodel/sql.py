"""SQL of a person over the documented views `runs`, `steps`, `events` and `waits`; nothing can be changed by it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from logkeel.errors import CallerError
from logkeel.readmodel.files import open_reader
from logkeel.readmodel.schema import DOCUMENTED_VIEWS


def query(path: Path, statement: str) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Names of the columns, and the rows. Raises `CallerError` for SQL that is wrong or would write; `ConfigInvalid`.

    Other files cannot be attached.
    """
    with closing(open_reader(path)) as connection:
        connection.set_authorizer(_allowed)
        try:
            cursor = connection.execute(statement)
            columns = tuple(name for name, *_ in cursor.description or ())
            return columns, cursor.fetchall()
        except (sqlite3.Error, sqlite3.Warning) as error:
            views = ", ".join(DOCUMENTED_VIEWS)
            raise CallerError(f"this SQL cannot be answered: {error}; the views are {views}") from error


def _allowed(action: int, *_: object) -> int:
    denied = (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA)
    return sqlite3.SQLITE_DENY if action in denied else sqlite3.SQLITE_OK
