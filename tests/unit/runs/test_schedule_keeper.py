"""Schedules on an engine: at home or not, where looking at one raises, and behind a restart."""

import pytest
from msgspec.structs import replace
from tests.unit.runs.engine import Engine
from tests.unit.runs.scripts import flow_of, plan_of, step_block

from logkeel.exactly_once import Turn
from logkeel.log import OutputRecord
from logkeel.log.partitioner import partition_for
from logkeel.records import PutSchedule, ScheduleEvent, ScheduleRequest, SteerSchedule
from logkeel.runs.core.schedules import REFUSED_AFTER_MS
from logkeel.runs.processor.schedules import STUMBLED_MS, ScheduleKeeper
from logkeel.wire import encode

PLAN = plan_of(flow_of(step_block("a")))


class Site(Engine):
    """An engine with schedules."""

    def tell(self, request: ScheduleRequest, *, astray: bool = False) -> None:
        """Send a request for a schedule, to its home or beside it, and let the engine work."""
        key = request.name.encode()
        home = partition_for(key, self.partitions)
        number = (home + 1) % self.partitions if astray else home
        self.producer.produce(OutputRecord(self.names.run_requests, key, encode(request), number))
        self.turns(40)

    def became(self, kind: str | None = None) -> list[ScheduleEvent]:
        """What became of all schedules."""
        found = self.told(self.names.run_events, ScheduleEvent)
        return [each for each in found if kind in (None, each.kind)]


def put(**more: str) -> PutSchedule:
    """Every minute."""
    return PutSchedule(name="s", workflow=PLAN.document.name, every_ms=60_000, request_id="p", **more)  # type: ignore[arg-type]  # texts


def test_a_request_that_is_not_at_home_is_refused() -> None:
    site = Site(partitions=2)
    site.tell(put(), astray=True)
    assert site.rejections() == ["not_at_home"]
    assert site.became() == []


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (PutSchedule(name="s", workflow="work", cron="0 3 * * *", timezone="Nowhere"), "invalid_schedule"),
        (PutSchedule(name="s/t", workflow="work", every_ms=60_000), "invalid_schedule"),
        (SteerSchedule(name="s", verb="pause"), "schedule_not_found"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(request_: ScheduleRequest, code: str) -> None:
    site = Site()
    site.tell(request_)
    assert site.rejections() == [code]
    assert site.became() == []


def test_a_wake_up_that_raises_leaves_a_dead_letter_and_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    site.publish(PLAN)
    site.tell(put())
    wake = ScheduleKeeper.wake

    def raising(self: ScheduleKeeper, name: str, turn: Turn) -> None:
        raise RuntimeError("a slip")

    monkeypatch.setattr(ScheduleKeeper, "wake", raising)
    site.cluster.advance(60_000)
    site.turns()
    assert site.became("started") == []
    assert len(list(site.records(site.names.dead_letters))) == 1
    monkeypatch.setattr(ScheduleKeeper, "wake", wake)
    site.cluster.advance(STUMBLED_MS - 10_000)
    site.turns()
    assert site.became("started") == [], "it is left alone for a minute"
    site.cluster.advance(11_000)
    site.turns(40)
    assert site.became("started") != []


def test_an_engine_that_comes_back_goes_on_with_what_is_due() -> None:
    site = Site()
    site.publish(PLAN)
    site.tell(replace(put(overlap="allow"), backfill=10))
    site.loop.close()
    site.cluster.advance(241_000)
    site.loop = site.boot()
    site.turns(60)
    started = [event.run_id or "" for event in site.became("started")]
    assert len(started) == len(set(started)) >= 4
    assert sorted(started) == started


def test_a_workflow_that_nobody_knows_holds_its_line_up_for_two_minutes() -> None:
    site = Site()
    site.tell(put(overlap="queue"))
    site.cluster.advance(60_000)
    site.turns(40)
    assert len(site.became("started")) == 1
    for _ in range(14):
        site.cluster.advance(REFUSED_AFTER_MS / 10)
        site.turns(40)
    assert site.became("ended")[0].reason == "it did not begin"
    assert site.rejections()[:1] == ["unknown_workflow"]
    assert len(site.became("started")) >= 2
