"""Pages, cursors and single answers from the file, held against plain Python over the same runs."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.projection.histories import Told
from tests.unit.readmodel.told import Log, recorded_runs

from logkeel.errors import CallerError, ConfigInvalid, RunNotFound
from logkeel.projection import OpenQuestion, Projection, RunView
from logkeel.projection.documents import summary
from logkeel.readmodel import FILE_NAME, Filters, ReadModel, paging
from logkeel.records import RequestRejected, RunEvent

RUNS = recorded_runs()


def many() -> list[RunEvent]:
    """Each recorded run cut at several places, so that runs stand everywhere, with attributes and equal start times."""
    chance = random.Random(5)
    events: list[RunEvent] = []
    for number in range(120):
        run = chance.choice(RUNS)
        end = chance.randint(1, len(run))
        shift = run[0].at_ms - chance.randint(0, 30)
        customer = {"customer": str(number % 3)}
        events += [
            replace(
                event,
                run_id=f"{number}",
                at_ms=event.at_ms - shift,
                attributes={**event.attributes, **customer} if event.kind == "run_started" else event.attributes,
            )
            for event in run[:end]
        ]
    return events


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Projection]:
    log, folder = Log(), tmp_path_factory.mktemp("file")
    log.tell(many())
    log.project(folder)
    return folder / FILE_NAME, log.in_memory()


def meets(view: RunView, filters: Filters) -> bool:
    """The filters, said once more and plainly."""
    waits = {wait.kind for wait in view.waits.values()} - {"within"}
    return (
        filters.workflow in (None, view.workflow)
        and filters.status in (None, view.status)
        and (filters.step is None or filters.step in {step.step for step in view.current_steps})
        and (filters.waiting_for is None or filters.waiting_for in waits)
        and (filters.assignee is None or filters.assignee in {each.assignee for each in view.questions})
        and (not filters.in_doubt or any(step.phase == "in_doubt" for step in view.steps.values()))
        and (not filters.paused or (view.paused_at_ms is not None and view.status == "running"))
        and (filters.started_after_ms is None or view.started_at_ms >= filters.started_after_ms)
        and (filters.started_before_ms is None or view.started_at_ms < filters.started_before_ms)
        and filters.attributes.items() <= view.attributes.items()
    )


def all_pages(model: ReadModel, filters: Filters, limit: int) -> list[RunView]:
    found: list[RunView] = []
    cursor = None
    while True:
        page = model.runs(filters, cursor=cursor, limit=limit).value
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


FILTERS: list[dict[str, Any]] = [
    {},
    {"status": "running"},
    {"status": "failed"},
    {"attributes": {"customer": "1"}},
    {"attributes": {"customer": "1"}, "status": "running"},
    {"waiting_for": "human"},
    {"waiting_for": "human", "attributes": {"customer": "2"}},
    {"in_doubt": True},
    {"paused": True},
    {"started_after_ms": 10, "started_before_ms": 20},
    {"started_before_ms": 20, "status": "succeeded"},
    {"workflow": "nothing of the kind"},
]


@pytest.mark.parametrize("scan", [3, 20_000])
@pytest.mark.parametrize("given", FILTERS, ids=str)
def test_pages_have_every_run_that_meets_the_filters_once_and_the_youngest_first(
    file: tuple[Path, Projection], given: dict[str, Any], scan: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a page may look at three candidates only, and so is often short or empty."""
    monkeypatch.setattr(paging, "SCAN", scan)
    path, projection = file
    filters = Filters(**given)
    expected = [view for view in projection.runs() if meets(view, filters)]
    with closing(ReadModel(path)) as model:
        found = all_pages(model, filters, limit=7)
    assert [summary(view, 0) for view in sorted(found, key=_order)] == [summary(view, 0) for view in expected]
    assert [view.started_at_ms for view in found] == [view.started_at_ms for view in expected]


def _order(view: RunView) -> tuple[int, str]:
    return -view.started_at_ms, view.run_id


def test_by_every_step_and_workflow_that_is_met(file: tuple[Path, Projection]) -> None:
    path, projection = file
    steps = {step.step for view in projection.runs() for step in view.current_steps}
    workflows = {view.workflow for view in projection.runs()}
    assert len(steps) > 3
    assert len(workflows) > 1
    with closing(ReadModel(path)) as model:
        for filters in [*(Filters(step=step) for step in steps), *(Filters(workflow=name) for name in workflows)]:
            expected = {view.run_id for view in projection.runs() if meets(view, filters)}
            assert {view.run_id for view in all_pages(model, filters, limit=50)} == expected
            pair = Filters(workflow=filters.workflow, step=filters.step, status="running")
            expected = {view.run_id for view in projection.runs() if meets(view, pair)}
            assert {view.run_id for view in all_pages(model, pair, limit=50)} == expected


def test_runs_that_begin_between_two_pages_move_nothing(tmp_path: Path) -> None:
    log = Log()
    log.tell([replace(RUNS[0][0], run_id=f"r{number}", at_ms=number) for number in range(10)])
    log.project(tmp_path)
    with closing(ReadModel(tmp_path / FILE_NAME)) as model:
        first = model.runs(Filters(), limit=5).value
        log.tell([replace(RUNS[0][0], run_id="younger", at_ms=99)])
        log.project(tmp_path)
        second = model.runs(Filters(), limit=5, cursor=first.next_cursor).value
    assert [view.run_id for view in (*first.items, *second.items)] == [f"r{number}" for number in reversed(range(10))]


@pytest.mark.parametrize("cursor", ["", "x", "e30", "W10", "Im5vIg", "é", "WzEsMiwzLDRd"])
def test_a_cursor_that_is_none_is_told_so(file: tuple[Path, Projection], cursor: str) -> None:
    with closing(ReadModel(file[0])) as model, pytest.raises(CallerError, match="cursor"):
        model.runs(Filters(), cursor=cursor)


def test_any_revision_of_a_run_is_as_the_projection_in_memory_rebuilds_it(file: tuple[Path, Projection]) -> None:
    path, projection = file
    with closing(ReadModel(path)) as model:
        for view in projection.runs()[:20]:
            assert model.history(view.run_id).value == list(projection.history(view.run_id))
            for revision in range(1, view.revision + 1):
                assert model.run(view.run_id, revision).value == projection.state_at(view.run_id, revision)
            for revision in (0, view.revision + 1):
                with pytest.raises(RunNotFound):
                    model.run(view.run_id, revision)
        with pytest.raises(RunNotFound):
            model.run("nobody")


def test_events_behind_any_offset_come_in_order_and_in_shares(tmp_path: Path) -> None:
    log = Log()
    log.tell(RUNS[0])
    log.project(tmp_path)
    with closing(ReadModel(tmp_path / FILE_NAME)) as model:
        whole = model.events_behind(RUNS[0][0].run_id, -1, 10_000)
        assert [placed.event for placed in whole] == RUNS[0]
        for number, placed in enumerate(whole):
            assert model.events_behind(RUNS[0][0].run_id, placed.offset, 3) == whole[number + 1 : number + 4]
        assert model.events_behind("nobody", 5, 3) == []


def test_questions_are_those_of_the_projection_and_their_values_too(tmp_path: Path) -> None:
    log = Log()
    for number in range(5):
        told = Told(f"r{number}")
        told.tell("step_succeeded", "draft", step="draft")
        told.ask(assignee := f"ask{number}", actor="editors" if number % 2 else "chiefs")
        told.ask(f"more{assignee}")
        log.tell(told.history)
    log.project(tmp_path)
    expected = log.in_memory().questions()
    with closing(ReadModel(tmp_path / FILE_NAME)) as model:
        found: list[OpenQuestion] = []
        cursor = None
        while True:
            page = model.questions(cursor=cursor, limit=3).value
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        assert [each.question.since_ms for each in found] == [each.question.since_ms for each in expected]
        ordered = sorted(found, key=lambda each: (each.question.since_ms, each.run_id, each.question.number))
        assert [(each.run_id, each.question) for each in ordered] == [(each.run_id, each.question) for each in expected]
        chiefs = model.questions(assignee="chiefs").value.items
        assert sorted(each.run_id for each in chiefs) == ["r0", "r2", "r4"]
        whole = [model.question(each.run_id, each.path) for each in expected]
        assert [answer.value for answer in whole if answer is not None] == expected
        assert model.question("r0", "elsewhere") is None


def test_what_became_of_a_request(tmp_path: Path) -> None:
    log = Log()
    log.tell([replace(RUNS[0][0], run_id="r", request_id="q-1")])
    rejected = RequestRejected(
        request_id="q-2", run_id="r", code="run_id_taken", reason="taken", rejected_at_ms=1, request_type="StartRun"
    )
    log.tell([rejected])
    log.project(tmp_path)
    with closing(ReadModel(tmp_path / FILE_NAME)) as model:
        accepted, refused = model.request("q-1"), model.request("q-2")
        assert accepted is not None
        assert (accepted.state, accepted.run_id) == ("accepted", "r")
        assert refused is not None
        assert (refused.state, refused.run_id, refused.code) == ("rejected", "r", "run_id_taken")
        assert model.request("q-3") is None


def test_a_reader_changes_nothing_and_needs_a_file(file: tuple[Path, Projection], tmp_path: Path) -> None:
    from logkeel.readmodel.files import open_reader

    with closing(open_reader(file[0])) as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM run_rows")
    with pytest.raises(ConfigInvalid, match="no read model"):
        open_reader(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_reader_goes_on_with_a_file_that_was_made_anew(tmp_path: Path) -> None:
    log, other = Log(), Log()
    log.tell(RUNS[0])
    log.project(tmp_path)
    with closing(ReadModel(tmp_path / FILE_NAME)) as model:
        assert [view.run_id for view in model.runs(Filters()).value.items] == [RUNS[0][0].run_id]
        other.tell(RUNS[1])
        other.project(tmp_path)
        assert [view.run_id for view in model.runs(Filters()).value.items] == [RUNS[1][0].run_id]
