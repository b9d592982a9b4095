"""SQL over the documented views, which cannot change anything."""

from pathlib import Path

import pytest
from tests.unit.projection.histories import T0, Told
from tests.unit.readmodel.told import Log

from logkeel.errors import CallerError
from logkeel.readmodel import FILE_NAME
from logkeel.readmodel.schema import DOCUMENTED_VIEWS
from logkeel.readmodel.sql import query


@pytest.fixture
def file(tmp_path: Path) -> Path:
    log, told = Log(), Told(attributes={"customer": "7"})
    told.tell("step_dispatched", "draft", step="draft", attempt=1)
    told.ask()
    log.tell(told.history)
    log.project(tmp_path)
    return tmp_path / FILE_NAME


def test_the_views_tell_of_runs_steps_events_and_waits(file: Path) -> None:
    columns, rows = query(file, "SELECT run_id, status, current_step, current_since_ms, waiting_for FROM runs")
    assert columns == ("run_id", "status", "current_step", "current_since_ms", "waiting_for")
    assert rows == [("r", "running", "draft", T0 + 1_000, "human")]
    assert query(file, "SELECT path, phase, is_open FROM steps")[1] == [("draft", "dispatched", 1)]
    assert query(file, "SELECT revision, kind FROM events WHERE run_id = 'r' ORDER BY revision")[1] == [
        (1, "run_started"),
        (2, "step_dispatched"),
        (3, "question_asked"),
    ]
    assert query(file, "SELECT kind, assignee FROM waits")[1] == [("human", "editors")]
    assert query(file, "SELECT run_id FROM runs WHERE attributes ->> 'customer' = '7'")[1] == [("r",)]


def test_every_documented_view_can_be_read_whole(file: Path) -> None:
    for view in DOCUMENTED_VIEWS:
        columns, rows = query(file, f"SELECT * FROM {view}")  # noqa: S608 - names of our own
        assert "run_id" in columns
        assert rows


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM run_rows",
        "UPDATE run_rows SET status = 'failed'",
        "CREATE TABLE mine (x)",
        "PRAGMA user_version = 7",
        "ATTACH '/etc/passwd' AS other",
        "SELECT 1; SELECT 2",
        "SELECT nothing FROM nowhere",
        "nonsense",
    ],
)
def test_what_would_write_or_is_wrong_is_refused_with_a_reason(file: Path, statement: str) -> None:
    before = file.read_bytes()
    with pytest.raises(CallerError, match="this SQL cannot be answered"):
        query(file, statement)
    assert file.read_bytes() == before
