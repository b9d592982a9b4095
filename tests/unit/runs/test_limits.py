"""Limits on the log: an engine on the simulated cluster, runs and their limits on different partitions (P29, 0030)."""

import pytest
from tests.unit.runs.engine import a_start
from tests.unit.runs.limited import Site, at_once, limited, per
from tests.unit.runs.scripts import T0, flow_of, step_block

from logkeel.definitions import Handler, ParallelBlock, RescueBlock, RetryPolicy, WithinBlock
from logkeel.log import OutputRecord
from logkeel.records import (
    AcquireLimit,
    ErrorInfo,
    LimitAnswered,
    PauseRun,
    ReleaseLimit,
    ResumeRun,
    StepFailed,
    StepReclaimed,
    StepRefused,
)
from logkeel.runs import RunSettings
from logkeel.runs.processor.limit_records import home_of
from logkeel.wire import encode, record_type

a, b = step_block("a"), step_block("b")
ONE = limited(flow_of(a), {"a": [at_once(1)]})


def failure(site: Site, run_id: str, kind: str = "retryable") -> None:
    """The newest execution of the run fails."""
    command = site.last(run_id)
    error = ErrorInfo(code="oops", kind=kind, message="oops")  # type: ignore[arg-type]  # tests name kinds
    site.answer(
        command, StepFailed(identity=command.identity, holder="w", started_at_ms=T0, finished_at_ms=T0, error=error)
    )


def test_a_second_run_waits_until_the_first_ones_step_has_ended() -> None:
    site = Site(ONE)
    first, second = site.begin(0), site.begin(1)
    assert site.sent() == [first]
    assert site.kinds(first) == ["run_started", "limit_asked", "limit_granted", "step_dispatched"]
    assert site.kinds(second) == ["run_started", "limit_asked"]
    site.succeed(site.last(first))
    assert site.sent() == [first, second]
    site.succeed(site.last(second))
    assert [each.status for each in site.completions()] == ["succeeded", "succeeded"]
    assert site.limit_rows() == []


def test_they_are_served_in_the_order_of_asking() -> None:
    site = Site(ONE)
    runs = [site.begin(number) for number in range(5)]
    for run_id in runs:
        site.succeed(site.last(run_id))
    assert site.sent() == runs
    assert site.limit_rows() == []


def test_each_key_has_its_own_line() -> None:
    site = Site(limited(flow_of(a), {"a": [at_once(1, key="tenant")]}))
    acme, other, again = site.begin(0, "acme"), site.begin(1, "other"), site.begin(2, "acme")
    assert sorted(site.sent()) == sorted([acme, other])
    site.succeed(site.last(other))
    assert again not in site.sent()
    site.succeed(site.last(acme))
    assert again in site.sent()


def test_a_run_waits_before_its_flow_and_holds_its_slot_until_its_end() -> None:
    site = Site(limited(flow_of(a, b), {}, runs=[at_once(1)]))
    first, second = site.begin(0), site.begin(1)
    site.succeed(site.last(first))
    assert site.kinds(second) == ["run_started", "limit_asked"]
    site.succeed(site.last(first))
    assert site.kinds(second) == ["run_started", "limit_asked", "limit_granted", "step_dispatched"]
    site.cancel(second)
    assert site.limit_rows() == []


def test_several_limits_are_held_together_and_freed_together() -> None:
    site = Site(limited(flow_of(a), {"a": [at_once(2), at_once(1, key="tenant")]}))
    first, second, third = site.begin(0, "acme"), site.begin(1, "acme"), site.begin(2, "other")
    assert site.kinds(second)[-3:] == ["limit_asked", "limit_granted", "limit_asked"]
    assert site.sent() == [first]
    site.succeed(site.last(first))
    assert set(site.sent()) == {first, second, third}
    for run_id in (second, third):
        site.succeed(site.last(run_id))
    assert site.limit_rows() == []


def test_who_is_cancelled_while_waiting_leaves_the_line() -> None:
    site = Site(ONE)
    first, second, third = site.begin(0), site.begin(1), site.begin(2)
    site.cancel(second)
    site.succeed(site.last(first))
    assert site.sent() == [first, third]
    site.cancel(third)
    assert site.limit_rows() == []


def test_a_step_whose_worker_died_keeps_its_slot_and_a_retry_asks_again() -> None:
    """P32: for the limit it never stopped; while it waits to be tried again, others go on."""
    site = Site(limited(flow_of(a), {"a": [at_once(1)]}, retry=RetryPolicy(max_attempts=3, initial_ms=500)))
    first, second = site.begin(0), site.begin(1)
    command = site.last(first)
    site.answer(command, StepReclaimed(identity=command.identity, holder="v", holder_dead=True))
    assert site.last(first).identity.dispatch == 2
    assert site.sent() == [first, first]
    failure(site, first)
    assert site.sent() == [first, first, second]
    assert site.kinds(first)[-2:] == ["step_retry_scheduled", "limit_asked"]
    site.succeed(site.last(second))
    assert site.last(first).identity.dispatch == 3
    site.succeed(site.last(first))
    assert [each.status for each in site.completions()] == ["succeeded", "succeeded"]
    assert site.limit_rows() == []


def test_a_step_that_no_worker_knows_frees_its_slot() -> None:
    site = Site(ONE)
    first, second = site.begin(0), site.begin(1)
    command = site.last(first)
    site.answer(command, StepRefused(identity=command.identity, holder="w", reason="unknown"))
    assert site.sent() == [first, second]


def test_a_paused_run_takes_no_slot() -> None:
    site = Site(ONE)
    first, second, third = site.begin(0), site.begin(1), site.begin(2)
    site.ask(PauseRun(run_id=second, request_id="p"))
    site.succeed(site.last(first))
    assert site.sent() == [first, third]
    assert site.kinds(second)[-2:] == ["limit_granted", "step_held"]
    site.ask(ResumeRun(run_id=second, request_id="g"))
    assert second not in site.sent()
    site.succeed(site.last(third))
    assert site.sent() == [first, third, second]


@pytest.mark.parametrize("waits", [False, True])
def test_a_block_that_is_left_frees_what_is_inside(waits: bool) -> None:
    """Whether it holds a slot by then, or waits for one."""
    late = WithinBlock(id="w", timeout_ms=30_000, body=a, on_timeout=b)
    site = Site(limited(flow_of(late), {"a": [at_once(1)]}))
    first = site.begin(0)
    site.begin(1)
    if waits:
        site.cluster.advance(31_000)
        site.turns()
        assert site.kinds(first)[-2:] == ["block_timed_out", "step_dispatched"]
    else:
        site.succeed(site.last(first))
        site.succeed(site.last(site.run_ids[1]))
    assert site.limit_rows() == []


def test_losers_of_a_quorum_free_what_they_hold_and_wait_for() -> None:
    fork = ParallelBlock(id="f", branches=(a, b), wait="first")
    site = Site(limited(flow_of(fork, step_block("c")), {"a": [at_once(1)], "b": [at_once(1)]}))
    first = site.begin(0)
    site.succeed(site.last(first))
    assert site.kinds(first)[-2:] == ["block_left", "step_dispatched"]
    assert site.limit_rows() == []


def test_a_rate_lets_so_many_begin_within_any_window() -> None:
    site = Site(limited(flow_of(a), {"a": [per(2, 10_000)]}), kind="rate")
    for number in range(5):
        site.begin(number)
    times = [each.dispatched_at_ms for each in site.in_order()]
    assert len(times) == 2, "each of the others waits, although none of these has ended"
    site.turns(400)
    times = [each.dispatched_at_ms for each in site.in_order()]
    assert len(times) == 5
    granted = sorted(
        event.at_ms for run_id in site.run_ids[:5] for event in site.events(run_id) if event.kind == "limit_granted"
    )
    assert all(later - earlier >= 9_900 for earlier, later in zip(granted, granted[2:], strict=False))
    site.turns(200)
    assert site.limit_rows() == [], "a window later nothing is left of it"


def test_a_rate_survives_the_engine_and_a_cancel_costs_the_others_nothing() -> None:
    site = Site(limited(flow_of(a), {"a": [per(1, 60_000)]}), kind="rate")
    first, second, third = site.begin(0), site.begin(1), site.begin(2)
    site.reboot()
    site.cancel(second)
    assert site.sent() == [first]
    site.turns(700)
    assert site.sent() == [first, third]


def doubled(site: Site, kind: type) -> None:
    """Records of this kind come once more."""
    topic = site.names.step_results if kind is LimitAnswered else site.names.run_requests
    for record in list(site.records(topic)):
        if record.value is not None and record_type(record.value) is kind:
            site.producer.produce(OutputRecord(topic, record.key, record.value, record.partition))
    site.turns(40)


@pytest.mark.parametrize("kind", [AcquireLimit, ReleaseLimit, LimitAnswered])
def test_words_that_come_twice_or_late_change_nothing(kind: type) -> None:
    site = Site(ONE)
    first, second, third = site.begin(0), site.begin(1), site.begin(2)
    doubled(site, kind)
    assert site.sent() == [first]
    site.succeed(site.last(first))
    doubled(site, kind)
    assert site.sent() == [first, second]
    site.succeed(site.last(second))
    doubled(site, kind)
    assert site.sent() == [first, second, third]
    site.succeed(site.last(third))
    doubled(site, kind)
    assert len(site.completions()) == 3
    assert site.limit_rows() == []


def test_a_slot_of_a_run_that_is_no_more_comes_back() -> None:
    """A grant that nobody waits for is given back; and who holds for long is told so again."""
    site = Site(ONE, settings=RunSettings(sweep_every_ms=5_000, remind_holders_ms=60_000))
    ghost = AcquireLimit(
        kind="concurrency",
        name="gpt",
        key="",
        limit=1,
        run_id="ghost",
        incarnation="0-0-0",
        path="a",
        number=2,
        home_partition=1 - home_of(site.limit, 2),
    )
    home = home_of(site.limit, 2)
    site.producer.produce(OutputRecord(site.names.run_requests, b"k", encode(ghost), home))
    site.turns()
    assert site.limit_rows() == []
    first = site.begin(0)
    site.turns(900)
    assert len(site.told(site.names.step_results, LimitAnswered)) >= 3, "it was told again"
    second = site.begin(1)
    assert site.sent() == [first], "and went on holding"
    site.succeed(site.last(first))
    assert site.sent() == [first, second]


def test_a_limit_that_is_asked_at_the_wrong_place_is_a_failure_that_is_told() -> None:
    site = Site(
        limited(flow_of(RescueBlock(id="r", body=a, handlers=(Handler(on="*", block=b),))), {"a": [at_once(1)]})
    )
    first, second = site.begin(0), site.begin(1)
    (asked,) = [each for each in site.told(site.names.run_requests, AcquireLimit) if each.run_id == second]
    astray = 1 - home_of(site.limit, 2)
    site.producer.produce(OutputRecord(site.names.run_requests, b"k", encode(asked), astray))
    site.turns()
    assert site.kinds(second)[-2:] == ["block_rescued", "step_dispatched"]
    site.succeed(site.last(first))
    assert site.limit_rows() == []


@pytest.mark.parametrize("after", range(1, 12))
def test_an_engine_that_dies_after_any_turn_loses_no_slot_and_gives_none_twice(after: int) -> None:
    site = Site(ONE)
    for run_id in site.run_ids[:2]:
        site.send(a_start(run_id, request_id=run_id))
    for _ in range(after):
        site.loop.turn()
    site.reboot()
    first, second = sorted(site.run_ids[:2], key=lambda run_id: run_id not in site.sent())
    assert site.sent() == [first]
    site.succeed(site.last(first))
    site.reboot()
    assert site.sent() == [first, second]
    site.succeed(site.last(second))
    assert site.limit_rows() == []
