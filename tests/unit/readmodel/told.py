"""Histories on a simulated log, and the two projections of it side by side."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace
from tests.replay.recording import FOLDER

from logkeel.cli.provisioning import apply_application
from logkeel.cli.recordings import recording_of
from logkeel.cli.settings import Settings
from logkeel.log import OutputRecord
from logkeel.log.partitioner import partition_for
from logkeel.projection import HistoryReader, Projection
from logkeel.readmodel import FILE_NAME, Projector
from logkeel.readmodel.loading import load_view
from logkeel.readmodel.rows import facets_of, run_row, step_row, wait_row
from logkeel.records import RequestRejected, RunCompleted, RunEvent
from logkeel.records.topics import TopicNames
from logkeel.simulation import SimulatedCluster
from logkeel.wire import encode

PARTITIONS = 2


def recorded_runs() -> list[list[RunEvent]]:
    """Every history that was recorded here, real runs of every kind of block; each under an id of its own."""
    return [
        [replace(event, run_id=f"{path.stem}.{event.run_id}") for event in _recorded(path)]
        for path in sorted(FOLDER.glob("*.jsonl"))
    ]


def _recorded(path: Path) -> Sequence[RunEvent]:
    return recording_of(path.read_bytes().splitlines(), path.name).events


@dataclass
class Log:
    """A cluster with the topics of an application, on which a test tells what has happened."""

    cluster: SimulatedCluster = field(default_factory=SimulatedCluster)
    names: TopicNames = field(default_factory=lambda: TopicNames("app"))

    def __post_init__(self) -> None:
        self.client = self.cluster.client()
        apply_application(self.client.admin(), Settings(prefix="app", partitions=PARTITIONS), ["default"])
        self._producer = self.client.producer()

    def tell(self, records: Iterable[RunEvent | RunCompleted | RequestRejected]) -> None:
        """Put records where an engine puts them."""
        for record in records:
            topic = self.names.run_events if isinstance(record, RunEvent) else self.names.run_completions
            key = (record.run_id or "").encode()
            self._producer.produce(OutputRecord(topic, key, encode(record), partition_for(key, PARTITIONS)))

    def projector(self, folder: Path) -> Projector:
        """A projector of the file in this folder."""
        return Projector(self.client, self.names, folder / FILE_NAME)

    def project(self, folder: Path) -> None:
        """Bring the file up to date."""
        with closing(self.projector(folder)) as projector:
            projector.catch_up()

    def in_memory(self) -> Projection:
        """The projection in memory of the same log."""
        with closing(HistoryReader(self.client, self.names)) as reader:
            return reader.catch_up()


def assert_same(folder: Path, projection: Projection) -> None:
    """Every row of the file is what the projection in memory says: views, columns, steps, waits, facets, counts."""
    import sqlite3

    with closing(sqlite3.connect(folder / FILE_NAME)) as connection:
        numbers = dict(connection.execute("SELECT run_id, number FROM run_rows").fetchall())
        views = {view.run_id: view for view in projection.runs()}
        assert numbers.keys() == views.keys()
        expected_facets, counts = set(), dict[tuple[str, str], int]()
        for run_id, view in views.items():
            number = numbers[run_id]
            assert load_view(connection, number) == view
            columns = connection.execute("SELECT * FROM run_rows WHERE number = ?", (number,)).fetchone()
            assert columns == (number, *run_row(view))
            steps = connection.execute("SELECT * FROM step_rows WHERE run = ?", (number,)).fetchall()
            assert set(steps) == {step_row(number, step) for step in view.steps.values()}
            waits = connection.execute("SELECT * FROM wait_rows WHERE run = ?", (number,)).fetchall()
            assert set(waits) == {wait_row(number, wait) for wait in view.waits.values()}
            revisions = connection.execute("SELECT revision FROM event_rows WHERE run = ? ORDER BY 1", (number,))
            assert [revision for (revision,) in revisions] == [each.revision for each in projection.history(run_id)]
            expected_facets |= {(*facet, view.started_at_ms, number) for facet in facets_of(view)}
            pair = (view.workflow, view.status)
            counts[pair] = counts.get(pair, 0) + 1
        assert set(connection.execute("SELECT * FROM facets").fetchall()) == expected_facets
        found = connection.execute("SELECT * FROM counts WHERE runs <> 0").fetchall()
        assert {(workflow, status): runs for workflow, status, runs in found} == counts
