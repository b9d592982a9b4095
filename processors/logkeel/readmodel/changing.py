"""The rows that a batch changes, gathered by table and written together; inside of the writer's transaction.

Rows of a run are told by what is different from what was written before: steps and waits are immutable values, so that
one which is the same object has not changed.
"""

import sqlite3
from typing import Any, Final

from logkeel.errors import InvariantViolation
from logkeel.projection import RunView
from logkeel.projection.advancing import view_of_end
from logkeel.readmodel import rows
from logkeel.readmodel.entries import Entry
from logkeel.records import RequestRejected, RunCompleted, RunEvent
from logkeel.wire import decode_as


def _insert(table: str, columns: tuple[str, ...], conflict: str = "") -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}){conflict}"  # noqa: S608 - names of this room


def _upsert(table: str, columns: tuple[str, ...], key: tuple[str, ...]) -> str:
    changed = ", ".join(f"{each} = excluded.{each}" for each in columns if each not in key)
    return _insert(table, columns, f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changed}")


RUN: Final = _upsert("run_rows", ("number", *rows.RUN_COLUMNS), ("number",))
EVENT: Final = _insert("event_rows", rows.EVENT_COLUMNS)
STEP: Final = _upsert("step_rows", rows.STEP_COLUMNS, ("run", "path"))
WAIT: Final = _upsert("wait_rows", rows.WAIT_COLUMNS, ("run", "path"))
SNAPSHOT: Final = _upsert("snapshots", ("run", "revision", "view"), ("run",))
END: Final = (
    "INSERT INTO ends (run_id, incarnation, retries, log_offset, record) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (run_id) DO UPDATE SET incarnation = excluded.incarnation, retries = excluded.retries,"
    " log_offset = excluded.log_offset, record = excluded.record"
    " WHERE excluded.incarnation <> incarnation OR excluded.retries >= retries"
)
REJECTION: Final = (
    "INSERT OR REPLACE INTO rejections (request_id, run_id, code, reason, rejected_at_ms) VALUES (?, ?, ?, ?, ?)"
)
FACET: Final = "INSERT OR IGNORE INTO facets (facet, value, started_at_ms, run) VALUES (?, ?, ?, ?)"
NO_FACET: Final = "DELETE FROM facets WHERE facet = ? AND value = ? AND started_at_ms = ? AND run = ?"
NO_STEP: Final = "DELETE FROM step_rows WHERE run = ? AND path = ?"
NO_WAIT: Final = "DELETE FROM wait_rows WHERE run = ? AND path = ?"
COUNT: Final = (
    "INSERT INTO counts (workflow, status, runs) VALUES (?, ?, ?)"
    " ON CONFLICT (workflow, status) DO UPDATE SET runs = runs + excluded.runs"
)

ORDER: Final = (NO_FACET, NO_STEP, NO_WAIT, RUN, EVENT, SNAPSHOT, STEP, WAIT, FACET, END, REJECTION)
"""Deletions come before insertions: a wait may end and begin again at its path."""

OF_A_RUN: Final = (
    ("run_rows", "number"),
    ("event_rows", "run"),
    ("snapshots", "run"),
    ("step_rows", "run"),
    ("wait_rows", "run"),
)


class Changes:
    """Of one batch."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._rows: dict[str, list[tuple[Any, ...]]] = {statement: [] for statement in ORDER}
        self._counts: dict[tuple[str, str], int] = {}

    def event(self, run: int, event: RunEvent, partition: int, offset: int, data: bytes) -> None:
        """An event was applied."""
        self._rows[EVENT].append(rows.event_row(run, event, partition, offset, data))

    def snapshot(self, run: int, revision: int, data: bytes) -> None:
        """A view is kept whole, up to this revision."""
        self._rows[SNAPSHOT].append((run, revision, data))

    def end(self, completed: RunCompleted, offset: int, data: bytes) -> None:
        """How a run ended; of several ends of one life the one after the most retries is kept."""
        self._rows[END].append((completed.run_id, completed.incarnation, completed.retries, offset, data))

    def reject(self, rejected: RequestRejected) -> None:
        """A request was refused."""
        row = (rejected.request_id, rejected.run_id, rejected.code, rejected.reason, rejected.rejected_at_ms)
        self._rows[REJECTION].append(row)

    def view_of_end(self, run_id: str) -> RunView:
        """The view of a run of which only its end is in the file."""
        row = self._connection.execute("SELECT record FROM ends WHERE run_id = ?", (run_id,)).fetchone()
        if row is None:
            raise InvariantViolation(f"no end of run {run_id!r} is in the file")
        return view_of_end(decode_as(row[0], RunCompleted))

    def run(self, entry: Entry) -> None:
        """A view has changed: what is different goes to the file, and counts as written."""
        view, number = entry.view, entry.number
        self._rows[RUN].append((number, *rows.run_row(view)))
        self._different(entry, entry.steps, view.steps, STEP, NO_STEP)
        entry.steps = view.steps.copy()
        if entry.waits or view.waits:
            self._different(entry, entry.waits, view.waits, WAIT, NO_WAIT)
            entry.waits = view.waits.copy()
        self._facets(entry, rows.facets_of(view))
        self._counted(entry, (view.workflow, view.status))

    def forget(self, entry: Entry) -> None:
        """Delete everything of a run but its end, also what this batch has gathered of it."""
        self.flush()
        self._facets(entry, frozenset())
        self._counted(entry, None)
        self.flush()
        for table, column in OF_A_RUN:
            self._connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (entry.number,))  # noqa: S608 - names of this room

    def flush(self) -> None:
        """Write what was gathered."""
        for statement, gathered in self._rows.items():
            if gathered:
                self._connection.executemany(statement, gathered)
                gathered.clear()
        if self._counts:
            self._connection.executemany(COUNT, [(*pair, by) for pair, by in self._counts.items() if by])
            self._counts.clear()

    def _different(self, entry: Entry, written: Any, now: Any, put: str, remove: str) -> None:
        row = rows.step_row if put is STEP else rows.wait_row
        for path, value in now.items():
            if written.get(path) is not value:
                self._rows[put].append(row(entry.number, value))
        self._rows[remove] += [(entry.number, path) for path in written if path not in now]

    def _facets(self, entry: Entry, now: frozenset[rows.Facet]) -> None:
        begun = entry.view.started_at_ms
        if begun != entry.started_at_ms:
            self._rows[NO_FACET] += [(*facet, entry.started_at_ms, entry.number) for facet in entry.facets]
            entry.facets, entry.started_at_ms = frozenset(), begun
        if now == entry.facets:
            return
        self._rows[NO_FACET] += [(*facet, begun, entry.number) for facet in entry.facets - now]
        self._rows[FACET] += [(*facet, begun, entry.number) for facet in now - entry.facets]
        entry.facets = now

    def _counted(self, entry: Entry, now: tuple[str, str] | None) -> None:
        if now == entry.counted:
            return
        for pair, by in ((entry.counted, -1), (now, 1)):
            if pair is not None:
                self._counts[pair] = self._counts.get(pair, 0) + by
        entry.counted = now
