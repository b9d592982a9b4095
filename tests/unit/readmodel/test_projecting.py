"""The file says what the projection in memory says, however its writer was stopped."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.readmodel.told import Log, assert_same, recorded_runs

from logkeel.errors import StoreUnavailable
from logkeel.log import TopicPartition
from logkeel.readmodel import FILE_NAME, Filters, Projector, ReadModel
from logkeel.readmodel import writer as writing
from logkeel.readmodel.changing import Changes
from logkeel.readmodel.entries import Entries
from logkeel.records import RequestRejected, RunCompleted, RunEvent

RUNS = recorded_runs()
FIRST = RUNS[0]
EVENTS = [event for run in RUNS for event in run]


def interleaved(seed: int) -> list[RunEvent]:
    """All recorded histories mixed, each in its order."""
    chance = random.Random(seed)
    queues = [list(run) for run in RUNS]
    mixed = []
    while queues:
        queue = chance.choice(queues)
        mixed.append(queue.pop(0))
        queues = [each for each in queues if each]
    return mixed


@pytest.fixture
def log() -> Log:
    return Log()


def test_the_recordings_are_many_runs_of_many_kinds() -> None:
    assert len({event.run_id for event in interleaved(1)}) > 10
    assert len({event.kind for event in EVENTS}) > 25


def test_it_says_what_the_projection_in_memory_says(log: Log, tmp_path: Path) -> None:
    log.tell(interleaved(1))
    log.project(tmp_path)
    assert_same(tmp_path, log.in_memory())


@pytest.mark.parametrize("seed", range(5))
def test_it_does_so_in_batches_of_any_size_with_a_memory_of_one_run(
    log: Log, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(writing, "SNAPSHOT_EVENTS", chance.choice((1, 3, 1_000)))
    monkeypatch.setattr(writing, "Entries", lambda: Entries(max_entries=1))
    events = interleaved(seed)
    with closing(log.projector(tmp_path)) as projector:
        while events:
            size = chance.randint(1, 40)
            log.tell(events[:size])
            events = events[size:]
            projector.catch_up()
    assert_same(tmp_path, log.in_memory())


class Stopped(Exception):
    """The process ends here."""


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_stopped_anywhere_it_goes_on_and_counts_every_record_once(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A writer that dies before or after any statement of its transaction leaves all of it or nothing."""
    log, folder = Log(), tmp_path_factory.mktemp("file")
    events = interleaved(7)[:120]
    for begin in range(0, len(events), 30):
        log.tell(events[begin : begin + 30])
        left = data.draw(st.integers(0, 12))
        with closing(log.projector(folder)) as projector, pytest.MonkeyPatch.context() as patch:
            _stop_after(left, patch)
            try:
                projector.catch_up()
            except Stopped:
                continue
    log.project(folder)
    assert_same(folder, log.in_memory())


def _stop_after(calls: int, patch: pytest.MonkeyPatch) -> None:
    """The writer ends at its n-th step, which is taking a record in, gathering a run, or writing rows."""
    left = [calls]
    for owner, name in ((writing.Writer, "_take"), (Changes, "run"), (Changes, "flush")):
        original = getattr(owner, name)

        def counted(*arguments: Any, original: Any = original) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise Stopped
            return original(*arguments)

        patch.setattr(owner, name, counted)


def test_a_younger_life_of_an_id_replaces_the_older_one_in_every_table(log: Log, tmp_path: Path) -> None:
    old = [replace(event, run_id="same") for event in FIRST]
    first = old[0]
    log.tell(old)
    log.project(tmp_path)
    log.tell([replace(first, incarnation="younger", at_ms=first.at_ms + 1, attributes={"of": "it"})])
    log.project(tmp_path)
    projection = log.in_memory()
    assert_same(tmp_path, projection)
    assert projection.get("same").incarnation == "younger"
    log.tell([replace(first, incarnation="older", at_ms=first.at_ms - 1)])
    log.project(tmp_path)
    assert_same(tmp_path, log.in_memory())


def completed_of(event: RunEvent, **details: Any) -> RunCompleted:
    """The end of the run of this event."""
    known: dict[str, Any] = {
        "run_id": event.run_id,
        "incarnation": event.incarnation,
        "workflow": event.workflow,
        "version": event.version,
        "definition_digest": event.definition_digest,
        "status": "failed",
        "revision": event.revision,
        "started_at_ms": event.at_ms,
        "finished_at_ms": event.at_ms + 5,
    }
    return RunCompleted(**{**known, **details})


def test_a_run_of_which_only_the_end_is_kept_is_there_and_its_events_take_its_place(log: Log, tmp_path: Path) -> None:
    gone = completed_of(EVENTS[0], run_id="gone")
    log.tell([gone])
    log.project(tmp_path)
    with closing(ReadModel(tmp_path / FILE_NAME)) as model:
        assert (model.line("gone").status, model.line("gone").complete) == ("failed", False)
        assert model.run("gone").value.finished_at_ms == gone.finished_at_ms
        assert [line.run_id for line in model.runs(Filters(status="failed")).value.items] == ["gone"]
        log.tell([replace(EVENTS[0], run_id="gone")])
        log.project(tmp_path)
        assert (model.line("gone").status, model.line("gone").complete) == ("running", True)
    assert_same(tmp_path, log.in_memory())


def test_an_end_that_is_read_late_does_not_end_a_run_that_was_retried(log: Log, tmp_path: Path) -> None:
    retried = next(run for run in RUNS if any(each.kind == "run_retried" for each in run))
    at = next(number for number, event in enumerate(retried) if event.kind == "run_retried")
    log.tell(retried[: at + 1])
    log.project(tmp_path)
    log.tell([completed_of(retried[at - 1])])
    log.project(tmp_path)
    with closing(ReadModel(tmp_path / FILE_NAME)) as model:
        assert model.line(retried[0].run_id).status == "running"
        assert model.end(retried[0].run_id) is None
    projection = log.in_memory()
    projection.apply(completed_of(retried[at - 1]))
    assert projection.get(retried[0].run_id).status == "running"


def test_a_file_of_another_version_or_of_another_log_or_damaged_is_made_anew(tmp_path: Path) -> None:
    log = Log()
    log.tell(EVENTS[:10])
    log.project(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as connection:
        connection.execute("DELETE FROM event_rows")
        connection.execute("PRAGMA user_version = 999")
    log.project(tmp_path)
    assert_same(tmp_path, log.in_memory())
    (tmp_path / FILE_NAME).write_bytes(b"no database" * 1_000)
    log.project(tmp_path)
    assert_same(tmp_path, log.in_memory())
    other = Log()
    other.tell(EVENTS[:3])
    other.project(tmp_path)
    assert_same(tmp_path, other.in_memory())


def test_a_file_that_fell_behind_the_log_start_is_made_anew_from_what_the_log_has(log: Log, tmp_path: Path) -> None:
    events = [replace(event, run_id="r") for event in FIRST]
    log.tell(events[:2])
    log.project(tmp_path)
    log.tell(events[2:])
    starts = log.client.admin().end_offsets(_places(log), committed_only=True)
    log.client.admin().delete_records({place: end - 1 for place, end in starts.items() if end})
    log.project(tmp_path)
    projection = log.in_memory()
    assert not projection.get("r").complete
    assert_same(tmp_path, projection)


def test_runs_are_forgotten_when_they_have_ended_and_the_log_has_forgotten_their_last_event(
    log: Log, tmp_path: Path
) -> None:
    first = EVENTS[0]
    ended = replace(first, run_id="ended", revision=2, kind="run_completed", status="succeeded")
    log.tell([replace(first, run_id="ended"), ended, replace(first, run_id="open")])
    log.tell([completed_of(ended), refused(request_id="old", at_ms=0), refused(request_id="new", at_ms=2**50)])
    with closing(log.projector(tmp_path)) as projector, closing(ReadModel(tmp_path / FILE_NAME)) as model:
        projector.catch_up()
        ends = log.client.admin().end_offsets(_places(log), committed_only=True)
        log.client.admin().delete_records({place: end for place, end in ends.items() if end})
        projector.trim()
        assert [line.run_id for line in model.runs(Filters()).value.items] == ["open"]
        assert model.counts().value == [(first.workflow, "running", 1)]
        assert model.end_announced_at("ended") == -1
        assert model.request("old") is None
        assert model.request("new") is not None


def refused(request_id: str, at_ms: int) -> RequestRejected:
    """A request that was refused then."""
    return RequestRejected(
        request_id=request_id, run_id="x", code="run_id_taken", reason="", rejected_at_ms=at_ms, request_type="StartRun"
    )


def test_what_the_disk_refuses_is_tried_again_from_what_was_written(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.tell(EVENTS[:20])
    with closing(log.projector(tmp_path)) as projector:
        with monkeypatch.context() as broken:
            broken.setattr(Changes, "flush", _full)
            with pytest.raises(StoreUnavailable, match="disk is full"):
                projector.catch_up()
        projector.catch_up()
    assert_same(tmp_path, log.in_memory())


def _full(_: Changes) -> None:
    raise sqlite3.OperationalError("database or disk is full")


def _places(log: Log) -> list[TopicPartition]:
    return [TopicPartition(log.names.run_events, number) for number in range(2)]


def test_a_file_has_the_position_behind_everything_it_shows(log: Log, tmp_path: Path) -> None:
    log.tell(EVENTS[:20])
    with closing(log.projector(tmp_path)) as projector, closing(ReadModel(tmp_path / FILE_NAME)) as model:
        assert isinstance(projector, Projector)
        projector.catch_up()
        ends = log.client.admin().end_offsets(_places(log), committed_only=True)
        assert model.reflects()[log.names.run_events] == {place.partition: end for place, end in ends.items()}
