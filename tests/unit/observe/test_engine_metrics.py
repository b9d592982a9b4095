"""Metrics of engine and worker: what they count, and that what stands open is what the rows say."""

import msgspec
import pytest
from tests.unit.observe.application import WatchedApplication, desk

from logkeel.exactly_once import BatchCounts
from logkeel.observe.engine import count
from logkeel.observe.standing import Change, Standing
from logkeel.records import AnswerQuestion, FieldWrite, Payload, StartRun

HOUR_MS = 3_600_000.0


def start(run_id: str, *documents: str) -> StartRun:
    data = Payload(encoding="json", data=msgspec.json.encode(",".join(documents)))
    return StartRun(workflow="desk", run_id=run_id, inputs=(FieldWrite(field="folder", payload=data),))


def views(standing: Standing) -> tuple[object, ...]:
    """All of it that is not zero."""
    return (
        {key: count for key, count in standing.statuses().items() if count},
        {key: count for key, count in standing.phases().items() if count},
        standing.oldest_steps(),
        {workflow: found for workflow, found in standing.questions().items() if found[0]},
    )


def test_what_is_counted_is_what_happened() -> None:
    with WatchedApplication([desk]) as application:
        application.send(start("r-1", "a", "torn", "ccc"), key="r-1")
        waiting = 'logkeel_humans_waited_for{workflow="desk"}'
        assert application.run_until(lambda: application.values().get(waiting, 0) == 1)
        asked = application.values()
        application.cluster.advance(HOUR_MS)
        later = application.values()
        application.send(AnswerQuestion(run_id="r-1", path="approve", verb="approve"), key="r-1")
        assert application.run_until(lambda: application.outcome("r-1") is not None)
        for _ in range(3):
            application._engine.turn()
        ended = application.values()
    assert asked['logkeel_runs_open{status="waiting_for_human",workflow="desk"}'] == 1
    age = 'logkeel_human_wait_age_seconds{workflow="desk"}'
    assert later[age] - asked[age] == 3600
    assert ended[waiting] == 0
    assert ended['logkeel_runs_open{status="running",workflow="desk"}'] == 0
    assert ended['logkeel_runs_started_total{workflow="desk"}'] == 1
    assert ended['logkeel_runs_ended_total{status="succeeded",workflow="desk"}'] == 1
    assert ended['logkeel_step_results_total{outcome="succeeded",step="read",workflow="desk"}'] == 3
    assert ended['logkeel_step_results_total{outcome="failed",step="read",workflow="desk"}'] == 1
    assert ended['logkeel_step_retries_total{step="read",workflow="desk"}'] == 1
    assert ended['logkeel_used_total{step="read",unit="tokens",workflow="desk"}'] == 40
    assert ended["logkeel_transactions_total"] == ended["logkeel_commit_seconds_count"] > 0
    done = 'logkeel_step_executions_total{outcome="%s",queue="default",step="read",workflow="desk"}'
    assert (ended[done % "succeeded"], ended[done % "failed"]) == (3, 1)
    assert ended['logkeel_step_seconds_count{queue="default",step="read",workflow="desk"}'] == 4
    assert ended['logkeel_schedule_to_start_seconds_count{queue="default",workflow="desk"}'] == 8


def test_what_stands_open_is_what_the_rows_say_after_every_batch_and_after_a_restart() -> None:
    seen: set[str] = set()
    with WatchedApplication([desk]) as application:

        def agrees() -> bool:
            surveyed, known = application.surveyed(), application.watch._standings.get(0)
            if surveyed is None or known is None:
                return False
            seen.update(phase for (_, _, phase), count in known.phases().items() if count)
            return views(known) == views(surveyed)

        def waiting() -> int:
            surveyed = application.surveyed()
            return 0 if surveyed is None else surveyed.questions().get("desk", (0, 0))[0]

        def all_wait() -> bool:
            assert agrees()
            return waiting() == 3

        def some_wait() -> bool:
            assert agrees()
            return waiting() > 0

        for number in range(3):
            application.send(start(f"r-{number}", "a", "torn", "ccc"), key=f"r-{number}")
        assert application.run_until(lambda: agrees() and application.surveyed() is not None)
        assert application.run_until(some_wait)
        application.restart_engine()
        assert application.run_until(agrees)
        assert application.run_until(all_wait)
        for number in range(3):
            application.send(AnswerQuestion(run_id=f"r-{number}", path="approve", verb="reject"), key=f"r-{number}")
        assert application.run_until(lambda: not some_wait())
        assert views(application.watch._standings[0]) == ({}, {}, {}, {})
    assert seen >= {"dispatched", "waiting"}


def test_a_batch_that_was_not_committed_counts_nothing() -> None:
    with WatchedApplication([desk]) as application:
        application.send(start("r-1", "a"), key="r-1")
        assert application.run_until(lambda: application.outcome("r-1") is not None)
        counted = application.values()
        events = application.history("r-1")
        state = application.surveyed()
        assert state is not None
        for event in events:
            count(event, application.watch._counts)
        assert application.watch._counts
        application.watch.at("after_abort")
        application.watch.batch_committed(
            BatchCounts(records=1, timers=0, outputs=0, rows=0, poison=0, process_s=0.0, commit_s=0.001)
        )
        again = application.values()
    unchanged = {name for name in counted if not name.startswith(("logkeel_commit", "logkeel_batch", "logkeel_trans"))}
    assert {name: again[name] for name in unchanged} == {name: counted[name] for name in unchanged}


def test_a_change_that_is_applied_twice_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    once = Standing.apply

    def twice(standing: Standing, change: Change) -> None:
        once(standing, change)
        once(standing, change)

    monkeypatch.setattr(Standing, "apply", twice)
    with WatchedApplication([desk]) as application:
        application.send(start("r-1", "a", "torn", "ccc"), key="r-1")
        waiting = 'logkeel_humans_waited_for{workflow="desk"}'
        assert application.run_until(lambda: application.values().get(waiting, 0) == 1)
        standing = application.watch._standings[0]
        assert views(standing)[0] == {("desk", "waiting_for_human"): 1}
        assert views(standing)[1] == {}
        application.send(AnswerQuestion(run_id="r-1", path="approve", verb="approve"), key="r-1")
        assert application.run_until(lambda: application.values().get(waiting, 1) == 0)
        assert views(standing) == ({}, {}, {}, {})
