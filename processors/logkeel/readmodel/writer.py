"""Writes what was read from the log into the file: rows and positions in one transaction, so that each record counts
exactly once however the process ends.

A batch is taken in record by record through the projection's own fold; then, once per run, the difference between the
view and what the file holds of it is written. One writer per file (its slot is locked), on one thread.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from logkeel.errors import InvariantViolation
from logkeel.log import TopicPartition
from logkeel.projection import RunView
from logkeel.projection.advancing import begins_anew, is_news
from logkeel.projection.views import apply, view_from
from logkeel.readmodel import rows
from logkeel.readmodel.changing import Changes
from logkeel.readmodel.entries import Entries, Entry
from logkeel.readmodel.files import make_anew, open_writer, store_errors
from logkeel.readmodel.loading import load_view, number_of, snapshot_revision
from logkeel.records import RequestRejected, RunCompleted, RunEvent

SNAPSHOT_EVENTS: Final = 64
"""A run has a snapshot after so many events more, and after as many bytes of them as the last one had: so snapshots
cost no more than events, however large the state is."""

Projected = RunEvent | RunCompleted | RequestRejected


@dataclass(frozen=True, slots=True)
class Read:
    """A record as it was read. `data`: its bytes."""

    source: TopicPartition
    offset: int
    record: Projected
    data: bytes


@dataclass(slots=True)
class Touched:
    """What a batch was about, for those who wait for it."""

    runs: set[str] = field(default_factory=set)
    requests: set[str] = field(default_factory=set)


class Writer:
    """The one writer of a file. Raises `StoreUnavailable` where disk or file refuse: the batch is to come again."""

    def __init__(self, path: Path, entries: Entries | None = None) -> None:
        self._path = path
        self._entries = entries or Entries()
        self._connection = open_writer(path)
        self._next = self._next_number()

    def close(self) -> None:
        """Release the file; idempotent."""
        self._connection.close()

    def clear(self) -> None:
        """Begin again with an empty file."""
        self._connection.close()
        self._entries.clear()
        self._connection = make_anew(self._path)
        self._next = 1

    def positions(self) -> dict[TopicPartition, int]:
        """Where reading goes on, by partition; empty in a new file."""
        found = self._connection.execute("SELECT topic, partition, next_offset FROM positions")
        return {TopicPartition(topic, number): offset for topic, number, offset in found}

    def topics(self) -> dict[str, str]:
        """Ids of the topics that the file was made from."""
        return dict(self._connection.execute("SELECT topic, topic_id FROM topics").fetchall())

    def remember_topics(self, topics: Mapping[str, str]) -> None:
        """Note the ids of the topics that are read."""
        with store_errors(self._path):
            self._connection.executemany("INSERT OR REPLACE INTO topics VALUES (?, ?)", list(topics.items()))

    def write(self, batch: Sequence[Read], positions: Mapping[TopicPartition, int]) -> Touched:
        """Take in a batch, and that reading goes on at these positions: all of it or nothing."""
        touched = Touched()
        with self._transaction() as changes:
            for read in batch:
                self._take(read, changes, touched)
            for run_id in sorted(touched.runs):
                self._write_run(run_id, changes)
            moved = [(*place, offset) for place, offset in positions.items()]
            self._connection.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?, ?)", moved)
        return touched

    @property
    def has_adopted_ends(self) -> bool:
        """Whether `adopt_ends` was done in this file."""
        return self._connection.execute("SELECT 1 FROM done WHERE what = 'ends adopted'").fetchone() is not None

    def adopt_ends(self) -> int:
        """Make runs of those of which only the end is kept on the log; returns how many.

        Once in a file, when it has caught up for the first time: afterwards an end comes to the log with its events.
        """
        with self._transaction() as changes:
            self._connection.execute("INSERT OR IGNORE INTO done VALUES ('ends adopted')")
            found = self._connection.execute(
                "SELECT run_id FROM ends WHERE NOT EXISTS (SELECT 1 FROM run_rows WHERE run_rows.run_id = ends.run_id)"
            ).fetchall()
            for (run_id,) in found:
                self._entries.put(Entry(self._next, changes.view_of_end(run_id)))
                self._next += 1
                self._write_run(run_id, changes)
        return len(found)

    def forget_before(self, partition: int, start: int, behind: int = 0) -> int:
        """Forget runs that have ended and whose last event is not on the log any more; returns how many.

        `behind`: below this offset was looked before.
        """
        with self._transaction() as changes:
            ended = self._connection.execute(
                "SELECT DISTINCT run_id FROM event_rows e JOIN run_rows r ON r.number = e.run"
                " WHERE e.partition = ? AND log_offset >= ? AND log_offset < ? AND status <> 'running' AND NOT EXISTS"
                " (SELECT 1 FROM event_rows later WHERE later.run = e.run AND later.log_offset >= ?)",
                (partition, behind, start, start),
            ).fetchall()
            for (run_id,) in ended:
                entry = self._entry(run_id)
                if entry is not None:
                    changes.forget(entry)
                    self._entries.drop(run_id)
                    self._connection.execute("DELETE FROM ends WHERE run_id = ?", (run_id,))
        return len(ended)

    def forget_rejections(self, before_ms: int) -> None:
        """Forget what was refused before this time: its request id is not remembered by the engine either (P26)."""
        with self._transaction():
            self._connection.execute("DELETE FROM rejections WHERE rejected_at_ms < ?", (before_ms,))

    @contextmanager
    def _transaction(self) -> Iterator[Changes]:
        """All that is changed inside, or nothing, in the file and in memory."""
        with store_errors(self._path):
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                changes = Changes(self._connection)
                yield changes
                changes.flush()
                self._connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
        self._entries.shrink()

    def _take(self, read: Read, changes: Changes, touched: Touched) -> None:
        match read.record:
            case RunEvent() as event:
                self._take_event(event, read, changes, touched)
            case RunCompleted() as completed:
                changes.end(completed, read.offset, read.data)
                # Its view is moved by events alone; but who waits for the run wants what it returned.
                if self._entry(completed.run_id) is not None:
                    touched.runs.add(completed.run_id)
            case RequestRejected() as rejected:
                changes.reject(rejected)
                touched.requests.add(rejected.request_id)

    def _take_event(self, event: RunEvent, read: Read, changes: Changes, touched: Touched) -> None:
        entry = self._entry(event.run_id)
        if entry is None or begins_anew(entry.view, event):
            if entry is not None:
                changes.forget(entry)
            entry = Entry(self._next, view_from(event))
            self._next += 1
            self._entries.put(entry)
        if not is_news(entry.view, event):
            return
        apply(entry.view, event)
        entry.behind += 1
        entry.behind_bytes += len(read.data)
        self._entries.grow(entry, len(read.data))
        changes.event(entry.number, event, read.source.partition, read.offset, read.data)
        touched.runs.add(event.run_id)
        if event.request_id is not None:
            touched.requests.add(event.request_id)

    def _entry(self, run_id: str) -> Entry | None:
        """The run, from memory or from the file, where nothing of it is unwritten."""
        entry = self._entries.get(run_id)
        if entry is None:
            number = number_of(self._connection, run_id)
            if number is None:
                return None
            view = load_view(self._connection, number)
            if view is None:
                raise InvariantViolation(f"the read model has a row of run {run_id!r} and nothing that it is made of")
            entry = _as_written(number, view, behind=view.revision - snapshot_revision(self._connection, number))
            self._entries.put(entry)
        return entry

    def _write_run(self, run_id: str, changes: Changes) -> None:
        entry = self._entries.get(run_id)
        if entry is None:
            raise InvariantViolation(f"run {run_id!r} was dropped amid a batch")
        changes.run(entry)
        if entry.behind >= SNAPSHOT_EVENTS and entry.behind_bytes * 2 >= entry.size:
            snapshot = rows.snapshot_of(entry.view)
            changes.snapshot(entry.number, entry.view.revision, snapshot)
            entry.behind = entry.behind_bytes = 0
            self._entries.grow(entry, len(snapshot) - entry.size)

    def _roll_back(self) -> None:
        """Nothing of the batch stays: neither in the file nor in memory."""
        self._entries.clear()
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._next = self._next_number()

    def _next_number(self) -> int:
        (highest,) = self._connection.execute("SELECT max(number) FROM run_rows").fetchone()
        return (highest or 0) + 1


def _as_written(number: int, view: RunView, *, behind: int) -> Entry:
    """An entry of which the file holds everything. What its events had in bytes is not known: about a snapshot's."""
    size = len(rows.snapshot_of(view))
    return Entry(
        number,
        view,
        steps=dict(view.steps),
        waits=dict(view.waits),
        facets=rows.facets_of(view),
        started_at_ms=view.started_at_ms,
        counted=(view.workflow, view.status),
        behind=behind,
        behind_bytes=size,
        size=size,
    )
