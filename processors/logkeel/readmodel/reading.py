"""Answers from a file that a projector keeps up to date, in this process or another one. Safe for several threads.

Each answer is one transaction of SQLite's: everything in it is of one moment, whose offsets it says.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Final, Generic, Literal, TypeVar

from logkeel.errors import RunNotFound
from logkeel.projection import OpenQuestion, RunView
from logkeel.projection.questions import question_of
from logkeel.readmodel import paging
from logkeel.readmodel.files import open_reader, store_errors
from logkeel.readmodel.loading import events_of, load_view, number_of
from logkeel.readmodel.paging import Filters, Place, QuestionPlace
from logkeel.readmodel.rows import RUN_COLUMNS, line_view
from logkeel.records import RunCompleted, RunEvent
from logkeel.wire import decode_as

T = TypeVar("T")

ONE_RUN: Final = f"SELECT {', '.join(RUN_COLUMNS)} FROM run_rows WHERE run_id = ?"  # noqa: S608 - names of this room

Reflects = Mapping[str, Mapping[int, int]]
"""By topic and partition: everything below this offset is in the answer."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A value, and of which moment of the log it is."""

    value: T
    reflects: Reflects


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of what was asked for, in order. With `next_cursor` there may be more; it may be short even then."""

    items: Sequence[T]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class PlacedEvent:
    """An event and where it stands on `run-events`."""

    event: RunEvent
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """What became of a request: `accepted` by an event of this run, or `rejected` with a code and a reason."""

    state: Literal["accepted", "rejected"]
    run_id: str | None
    code: str | None = None
    reason: str | None = None


class ReadModel:
    """Close it."""

    def __init__(self, path: Path) -> None:
        """Opens the file at the first question."""
        self._path = path
        self._free: LifoQueue[tuple[int, sqlite3.Connection]] = LifoQueue()

    def close(self) -> None:
        """Release connections that are not in use; idempotent."""
        while (taken := self._taken()) is not None:
            taken[1].close()

    def reflects(self) -> Reflects:
        """Of which moment answers are now. This and all others raise `StoreUnavailable`."""
        with self._moment() as (_, reflects):
            return reflects

    def run(self, run_id: str, revision: int | None = None) -> Answer[RunView]:
        """The run as it is now, or as it was right behind that revision. Raises `RunNotFound`."""
        with self._moment() as (connection, reflects):
            view = load_view(connection, _known(connection, run_id), revision)
            if view is None or (revision is not None and view.revision != revision):
                raise RunNotFound(f"run {run_id!r} has no revision {revision} here", run_id=run_id, revision=revision)
            return Answer(view, reflects)

    def line(self, run_id: str) -> RunView:
        """The run as a list shows it: without fields and closed steps, however long it is. Raises `RunNotFound`."""
        with self._moment() as (connection, _):
            row = connection.execute(ONE_RUN, (run_id,)).fetchone()
        if row is None:
            raise _not_found(run_id)
        return line_view(row)

    def find(self, run_id: str) -> RunView | None:
        """As `line`; None for a run that is not known."""
        try:
            return self.line(run_id)
        except RunNotFound:
            return None

    def end(self, run_id: str) -> RunCompleted | None:
        """How the run ended, with what it returned, if that was told of its present life."""
        with self._moment() as (connection, _):
            row = connection.execute(
                "SELECT record FROM ends JOIN run_rows USING (run_id, incarnation)"
                " WHERE run_id = ? AND status <> 'running'",
                (run_id,),
            ).fetchone()
        return None if row is None else decode_as(row[0], RunCompleted)

    def end_announced_at(self, run_id: str) -> int:
        """Where on `run-completions` the end of a run of this id was told last; -1: nowhere yet.

        An end is told again when the same run is asked for again (P28).
        """
        with self._moment() as (connection, _):
            row = connection.execute("SELECT log_offset FROM ends WHERE run_id = ?", (run_id,)).fetchone()
        return -1 if row is None else int(row[0])

    def history(self, run_id: str, *, after: int = 0, limit: int = -1) -> Answer[list[RunEvent]]:
        """Its events behind the revision `after`, in order. Raises `RunNotFound`."""
        with self._moment() as (connection, reflects):
            return Answer(events_of(connection, _known(connection, run_id), after=after, limit=limit), reflects)

    def events_behind(self, run_id: str, offset: int, limit: int) -> list[PlacedEvent]:
        """Its events behind an offset of its partition, in order. Empty for a run that is not known."""
        with self._moment() as (connection, _):
            number = number_of(connection, run_id)
            found = connection.execute(
                "SELECT record, partition, log_offset FROM event_rows WHERE run = ? AND revision > ?"
                " ORDER BY revision LIMIT ?",
                (number, _last_revision(connection, number, offset), limit),
            ).fetchall()
        return [PlacedEvent(decode_as(record, RunEvent), partition, at) for record, partition, at in found]

    def runs(self, filters: Filters, *, cursor: str | None = None, limit: int = 50) -> Answer[Page[RunView]]:
        """Runs that meet every filter, the youngest first, as a list shows them. Raises `CallerError`: the cursor."""
        behind = None if cursor is None else paging.place_of(cursor, Place)
        with self._moment() as (connection, reflects):
            rows = connection.execute(*paging.page_query(filters, behind, limit)).fetchall()
            following: Place | None = None
            if len(rows) == limit:
                following = Place(rows[-1][1 + RUN_COLUMNS.index("started_at_ms")], rows[-1][0])
            else:
                last = connection.execute(*paging.last_candidate_query(filters, behind)).fetchone()
                following = None if last is None else Place(*last)
        items = [line_view(row[1:]) for row in rows]
        return Answer(Page(items, None if following is None else paging.cursor_of(following)), reflects)

    def counts(self) -> Answer[list[tuple[str, str, int]]]:
        """How many runs there are, by workflow and status."""
        with self._moment() as (connection, reflects):
            found = connection.execute("SELECT workflow, status, runs FROM counts WHERE runs > 0").fetchall()
        return Answer(found, reflects)

    def waiting(self) -> list[tuple[str, int, int]]:
        """What runs wait for, by kind: how many waits, and since when the oldest."""
        with self._moment() as (connection, _):
            return connection.execute("SELECT kind, count(*), min(since_ms) FROM wait_rows GROUP BY kind").fetchall()

    def questions(
        self, *, assignee: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> Answer[Page[OpenQuestion]]:
        """What humans are being asked, the oldest question first, without the values that are to be seen."""
        behind = QuestionPlace(-1, -1, "") if cursor is None else paging.place_of(cursor, QuestionPlace)
        columns = ", ".join(f"r.{column}" for column in RUN_COLUMNS)
        # A run's questions of one millisecond stay on one page: the cursor does not come between them.
        sql = (
            f"SELECT w.since_ms, w.run, w.path, {columns} FROM wait_rows w JOIN run_rows r ON r.number = w.run"  # noqa: S608 - names of this room
            " WHERE w.kind = 'human' AND (w.since_ms, w.run, w.path) > (?, ?, ?) AND (? IS NULL OR w.assignee = ?)"
            " ORDER BY w.since_ms, w.run, w.path LIMIT ?"
        )
        with self._moment() as (connection, reflects):
            rows = connection.execute(sql, (*behind, assignee, assignee, limit)).fetchall()
        found = []
        for _, _, path, *row in rows:
            view = line_view(tuple(row))
            found.append(question_of(view, view.waits[path], ()))
        following = paging.cursor_of(QuestionPlace(*rows[-1][:3])) if len(rows) == limit else None
        return Answer(Page(found, following), reflects)

    def question(self, run_id: str, path: str) -> Answer[OpenQuestion] | None:
        """The open question there, with the values that are to be seen; None: nobody is asked. Raises `RunNotFound`."""
        with self._moment() as (connection, reflects):
            number = _known(connection, run_id)
            view = load_view(connection, number)
            asked = None if view is None else next((each for each in view.questions if each.path == path), None)
            if view is None or asked is None:
                return None
            return Answer(question_of(view, asked, events_of(connection, number, until=asked.number)), reflects)

    def request(self, request_id: str) -> RequestOutcome | None:
        """What became of a request; None while nothing is known of it."""
        with self._moment() as (connection, _):
            row = connection.execute(
                "SELECT run_id FROM event_rows e JOIN run_rows r ON r.number = e.run WHERE request_id = ? LIMIT 1",
                (request_id,),
            ).fetchone()
            if row is not None:
                return RequestOutcome("accepted", row[0])
            row = connection.execute(
                "SELECT run_id, code, reason FROM rejections WHERE request_id = ?", (request_id,)
            ).fetchone()
        return None if row is None else RequestOutcome("rejected", *row)

    @contextmanager
    def _moment(self) -> Iterator[tuple[sqlite3.Connection, Reflects]]:
        """A connection in one transaction, and the offsets that it shows."""
        with store_errors(self._path):
            identity = self._path.stat().st_ino if self._path.exists() else 0
            taken = self._taken()
            if taken is not None and taken[0] != identity:
                # The file was made anew, and what was open is not there any more.
                taken[1].close()
                taken = None
            identity, connection = taken or (identity, open_reader(self._path))
            connection.execute("BEGIN")
            try:
                yield connection, _reflects(connection)
            finally:
                connection.execute("COMMIT")
                self._free.put((identity, connection))

    def _taken(self) -> tuple[int, sqlite3.Connection] | None:
        try:
            return self._free.get_nowait()
        except Empty:
            return None


def _last_revision(connection: sqlite3.Connection, number: int | None, offset: int) -> int:
    """The last revision of a run at or before an offset; looked for from the end, where those who follow a run are."""
    if offset < 0:
        return 0
    newest_first = connection.execute(
        "SELECT revision, log_offset FROM event_rows WHERE run = ? ORDER BY revision DESC", (number,)
    )
    return next((int(revision) for revision, at in newest_first if at <= offset), 0)


def _known(connection: sqlite3.Connection, run_id: str) -> int:
    number = number_of(connection, run_id)
    if number is None:
        raise _not_found(run_id)
    return number


def _not_found(run_id: str) -> RunNotFound:
    return RunNotFound(f"there is no run {run_id!r} in the history that is kept", run_id=run_id)


def _reflects(connection: sqlite3.Connection) -> Reflects:
    found: dict[str, dict[int, int]] = {}
    for topic, partition, offset in connection.execute("SELECT topic, partition, next_offset FROM positions"):
        found.setdefault(topic, {})[partition] = offset
    return found
