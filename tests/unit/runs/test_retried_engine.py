"""Retried runs as they show on the log: an engine on the simulated cluster, requests in, records out."""

import pytest
from tests.unit.runs.engine import Engine, a_start
from tests.unit.runs.limited import at_once, limited
from tests.unit.runs.scripts import flow_of, plan_of, step_block

from logkeel.definitions import ParallelBlock
from logkeel.projection.projection import fold
from logkeel.records import AcquireLimit, ReleaseLimit, RetryRun, RunEvent
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.replay import replay
from logkeel.runs.processor.settings import DAY_MS, RunSettings

TWO = plan_of(flow_of(step_block("a"), step_block("b")))
SHORT = RunSettings(keep_finished_ms=5_000, sweep_every_ms=500, sweep_again_ms=10)


def engine_with(plan: Plan = TWO, settings: RunSettings | None = None) -> Engine:
    """An engine with `plan` published and the run `r` started."""
    engine = Engine(settings=settings)
    engine.publish(plan)
    engine.ask(a_start())
    return engine


def sent(engine: Engine) -> list[str]:
    """What was dispatched, in order."""
    return [command.identity.path for command in engine.commands()]


def events(engine: Engine) -> list[RunEvent]:
    """The history of the run."""
    return engine.told(engine.names.run_events, RunEvent)


def retry(number: int = 2) -> RetryRun:
    """A request for it."""
    return RetryRun(run_id="r", request_id=f"q{number}", reason="the outside is back", requested_by="ada")


def pass_time(engine: Engine, seconds: int) -> None:
    """The engine works beside."""
    for _ in range(seconds):
        engine.cluster.advance(1_000)
        engine.turns(3)


def test_a_retried_run_keeps_keys_and_incarnation_and_announces_another_end() -> None:
    """P30: an outside system sees the same step; P26: the request twice is one retry."""
    engine = engine_with()
    engine.succeed(engine.commands()[0])
    engine.fail(engine.commands()[1])
    for _ in range(2):
        engine.ask(retry())
    assert sent(engine) == ["a", "b", "b"]
    former, again = engine.commands()[1:]
    assert former.idempotency_key == again.idempotency_key
    assert (again.identity.attempt, again.identity.incarnation) == (2, former.identity.incarnation)
    engine.succeed(again)
    first, second = engine.completions()
    assert [(each.status, each.retries) for each in (first, second)] == [("failed", 0), ("succeeded", 1)]
    assert first.incarnation == second.incarnation
    assert first.revision < second.revision
    ids = [dict(record.headers)["ce_id"] for record in engine.records(engine.names.run_completions)]
    assert len(set(ids)) == 2, "who deduplicates by id takes both"
    told = next(event for event in events(engine) if event.kind == "run_retried")
    assert (told.reason, told.actor, told.request_id) == ("the outside is back", "ada", "q2")
    assert replay(events(engine), TWO).head.status == "succeeded"


def test_the_same_request_has_the_same_answer_however_the_run_stands() -> None:
    """P26, P28: also after the run has ended again, and where it was refused."""
    engine = engine_with()
    engine.ask(retry())
    assert engine.rejections() == ["run_not_ended"]
    engine.fail(engine.commands()[0])
    engine.ask(retry())
    assert engine.rejections() == ["run_not_ended"] * 2, "it was refused, and stays so"
    engine.ask(retry(3))
    engine.fail(engine.commands()[1])
    engine.ask(retry(3))
    assert engine.history().count("run_retried") == 1, "the late copy of a retry that was done is no second one"
    assert len(engine.completions()) == 2
    engine.ask(retry(4))
    assert engine.history().count("run_retried") == 2
    assert engine.commands()[2].idempotency_key == engine.commands()[0].idempotency_key


def test_a_duplicate_start_hears_the_last_end_and_none_while_it_goes_on() -> None:
    engine = engine_with()
    engine.fail(engine.commands()[0])
    engine.ask(retry())
    engine.ask(a_start(request_id="again"))
    assert len(engine.completions()) == 1
    for number in (1, 2):
        engine.succeed(engine.commands()[number])
    engine.ask(a_start(request_id="once more"))
    last = engine.completions()[-1]
    assert (last.status, last.retries, last.reannounced) == ("succeeded", 1, True)


def test_rows_of_a_retried_run_do_not_go_while_it_runs_and_go_after_its_second_end() -> None:
    engine = engine_with(settings=SHORT)
    engine.fail(engine.commands()[0])
    engine.ask(retry())
    pass_time(engine, 20)
    for number in (1, 2):
        engine.succeed(engine.commands()[number])
    assert [done.status for done in engine.completions()] == ["failed", "succeeded"]
    pass_time(engine, 20)
    engine.ask(a_start(request_id="q9"))
    assert len({event.incarnation for event in events(engine)}) == 2, "the run id was free again"


def test_a_run_whose_rows_may_have_begun_to_go_is_not_retried() -> None:
    engine = engine_with(settings=RunSettings(sweep_every_ms=DAY_MS, keep_finished_ms=1_000))
    engine.fail(engine.commands()[0])
    pass_time(engine, 5)
    engine.ask(retry())
    assert engine.rejections() == ["run_expired"]
    assert engine.history()[-1] == "run_completed"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_engine_that_dies_around_a_retry_does_it_once(moment: str) -> None:
    engine = engine_with(plan_of(flow_of(ParallelBlock(id="p", branches=(step_block("a"), step_block("b"))))))
    engine.fail(engine.commands()[0])
    engine.send(retry())
    if moment == "after":
        engine.turns()
    engine.loop.close()
    engine.loop = engine.boot()
    engine.turns()
    assert sent(engine) == ["p/a", "p/b", "p/a", "p/b"]
    for command in engine.commands()[2:]:
        engine.succeed(command)
    assert [(done.status, done.retries) for done in engine.completions()] == [("failed", 0), ("succeeded", 1)]
    view = fold(events(engine))
    assert (view.status, view.retries, view.error, view.completed_steps) == ("succeeded", 1, None, ["p/a", "p/b"])


def test_slots_of_limits_are_asked_for_again() -> None:
    """The run's own one first: until it is granted, nothing is sent."""
    plan = limited(flow_of(step_block("a")), {"a": [at_once(1)]}, runs=[at_once(1, "runs:work")])
    engine = engine_with(plan)
    engine.fail(engine.commands()[0])
    assert given_back(engine) == 2
    engine.ask(a_start("other", request_id="q5"))
    engine.ask(retry())
    assert [command.identity.run_id for command in engine.commands()] == ["r", "other"], "the other run has the slot"
    engine.succeed(engine.commands()[1])
    assert [command.identity.run_id for command in engine.commands()] == ["r", "other", "r"]
    engine.succeed(engine.commands()[2])
    assert [(done.run_id, done.status) for done in engine.completions()] == [
        ("r", "failed"),
        ("other", "succeeded"),
        ("r", "succeeded"),
    ]
    assert given_back(engine) == len(engine.told(engine.names.run_requests, AcquireLimit)) == 6


def given_back(engine: Engine) -> int:
    """Slots."""
    return len(engine.told(engine.names.run_requests, ReleaseLimit))
