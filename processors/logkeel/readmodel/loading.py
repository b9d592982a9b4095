"""Views out of the file: a snapshot if there is one, and the events behind it through the projection's own fold."""

import sqlite3

from logkeel.projection import RunView
from logkeel.projection.advancing import view_of_end
from logkeel.projection.views import apply, view_from
from logkeel.readmodel.rows import view_from_snapshot
from logkeel.records import RunCompleted, RunEvent
from logkeel.wire import decode_as


def number_of(connection: sqlite3.Connection, run_id: str) -> int | None:
    """The run's number in this file."""
    row = connection.execute("SELECT number FROM run_rows WHERE run_id = ?", (run_id,)).fetchone()
    return None if row is None else int(row[0])


def load_view(connection: sqlite3.Connection, number: int, revision: int | None = None) -> RunView | None:
    """The run behind that revision, else as it is now; None where nothing of it is here up to there."""
    row = connection.execute("SELECT revision, view FROM snapshots WHERE run = ?", (number,)).fetchone()
    view = None if row is None or (revision is not None and row[0] > revision) else view_from_snapshot(row[1])
    for event in events_of(connection, number, after=0 if view is None else view.revision, until=revision):
        view = view or view_from(event)
        apply(view, event)
    if view is None and revision is None:
        return _end_of(connection, number)
    return view


def snapshot_revision(connection: sqlite3.Connection, number: int) -> int:
    """The revision of the run's snapshot; 0 if it has none."""
    row = connection.execute("SELECT revision FROM snapshots WHERE run = ?", (number,)).fetchone()
    return 0 if row is None else int(row[0])


def events_of(
    connection: sqlite3.Connection, number: int, *, after: int = 0, until: int | None = None, limit: int = -1
) -> list[RunEvent]:
    """The run's events behind a revision, in order; `limit` -1: all of them."""
    rows = connection.execute(
        "SELECT record FROM event_rows WHERE run = ? AND revision > ? AND revision <= ? ORDER BY revision LIMIT ?",
        (number, after, 2**62 if until is None else until, limit),
    )
    return [decode_as(record, RunEvent) for (record,) in rows]


def _end_of(connection: sqlite3.Connection, number: int) -> RunView | None:
    row = connection.execute(
        "SELECT record FROM ends JOIN run_rows USING (run_id) WHERE number = ?", (number,)
    ).fetchone()
    return None if row is None else view_of_end(decode_as(row[0], RunCompleted))
