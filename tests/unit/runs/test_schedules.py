"""What a schedule decides: due times and runs, whatever the clock, the overlap rule and the turns are."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from logkeel.definitions.rhythm import Rhythm, due_text, due_times, newest_due, next_due, problem_of
from logkeel.records import Overlap, PutSchedule, ScheduleEvent, SteerSchedule
from logkeel.runs.core.actions import Reject
from logkeel.runs.core.schedules import (
    BITE,
    LATE_MS,
    MAX_WAITING,
    REFUSED_AFTER_MS,
    ScheduleState,
    ScheduleTurn,
    invalid,
)

BERLIN = "Europe/Berlin"
T0 = int(datetime(2026, 3, 28, 12, tzinfo=UTC).timestamp() * 1_000)
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def put(overlap: Overlap = "allow", *, backfill: int = 0, every_ms: int | None = HOUR_MS, **more: str) -> PutSchedule:
    """A schedule, hourly unless it has a cron expression."""
    every = None if "cron" in more else every_ms
    return PutSchedule(name="s", workflow="w", every_ms=every, overlap=overlap, backfill=backfill, **more)  # type: ignore[arg-type]  # texts


class Engine:
    """Turns of one schedule; runs begin at once and go on until the test ends them."""

    def __init__(self, schedule: PutSchedule, *, at_ms: int = T0) -> None:
        self.now_ms = at_ms
        self.state = ScheduleState(put=schedule)
        self.runs: dict[str, str] = {}
        self.started: list[str] = []
        self.events: list[ScheduleEvent] = []
        self.wake_ms: int | None = None
        look = self.look()
        look.put(schedule, is_new=True)
        self.done(look)

    def look(self) -> ScheduleTurn:
        """A turn."""
        return ScheduleTurn(self.state, self.now_ms, self.runs.get)

    def done(self, look: ScheduleTurn) -> ScheduleTurn:
        """As the keeper does it."""
        if not look.deleted:
            look.go_on()
        for occasion in look.starts:
            assert occasion.run_id not in self.runs
            self.runs[occasion.run_id] = "running"
            self.started.append(occasion.run_id)
        for run_id in look.cancels:
            assert self.runs[run_id] == "running"
        self.events += look.events
        self.wake_ms = look.wake_ms
        return look

    def at(self, now_ms: int) -> ScheduleTurn:
        """Time goes on to then, with one turn, and those it asks for at once."""
        self.now_ms = now_ms
        look = self.done(self.look())
        while self.wake_ms == self.now_ms + 1:
            look = self.done(self.look())
        return look

    def steer(self, verb: str, **more: int | str) -> Reject | None:
        """Somebody asks."""
        look = self.look()
        rejection = look.steer(SteerSchedule(name="s", verb=verb, **more))  # type: ignore[arg-type]  # tests pass literals
        self.done(look)
        return rejection

    def kinds(self) -> list[str]:
        """What became of it."""
        return [event.kind for event in self.events]


def due_names(rhythm: Rhythm, after_ms: int, until_ms: int) -> list[str]:
    names: list[str] = []
    for at_ms in due_times(rhythm, after_ms):
        if at_ms > until_ms:
            return names
        names.append(f"s/{due_text(at_ms)}")
    return names


STEPS = st.lists(st.integers(1, 3 * DAY_MS), min_size=1, max_size=12)
CRONS = st.sampled_from(["0 3 * * *", "30 2 * * *", "*/20 1-3 * * *", "0 0 2 * * *", "15 */6 * * MON-FRI"])


@given(cron=CRONS, steps=STEPS, start=st.sampled_from([T0, T0 - 2 * DAY_MS, T0 + 211 * DAY_MS]))
def test_every_due_time_yields_one_run_under_allow_and_backfill(cron: str, steps: list[int], start: int) -> None:
    schedule = put(backfill=MAX_WAITING, cron=cron, timezone=BERLIN)
    engine = Engine(schedule, at_ms=start)
    for step in steps:
        engine.at(engine.now_ms + step)
        engine.at(engine.now_ms)
    rhythm = Rhythm(cron=cron, timezone=BERLIN)
    assert engine.started == due_names(rhythm, start, engine.now_ms)


@given(steps=STEPS, overlap=st.sampled_from(["skip", "queue", "cancel"]), ends=st.lists(st.booleans(), min_size=12))
def test_one_at_a_time_and_every_due_time_is_told_of(steps: list[int], overlap: Overlap, ends: list[bool]) -> None:
    engine = Engine(put(overlap, backfill=5))
    for step, ending in zip(steps, ends, strict=False):
        running = [run for run, status in engine.runs.items() if status == "running"]
        if ending and running:
            engine.runs[running[0]] = "succeeded"
        engine.at(engine.now_ms + step)
        assert Counter(engine.runs.values())["running"] <= 1
    counted = Counter[str]()
    for event in engine.events:
        counted[event.kind] += event.count
    due = len(due_names(Rhythm(every_ms=HOUR_MS), T0, engine.now_ms))
    assert counted["started"] + counted["skipped"] + counted["missed"] + len(engine.state.waiting) == due
    assert engine.events[-1].standing.waiting == len(engine.state.waiting)


@pytest.mark.parametrize(("backfill", "made_up"), [(0, 0), (1, 1), (3, 3), (MAX_WAITING, 24)])
def test_what_was_missed_is_made_up_for_as_declared(backfill: int, made_up: int) -> None:
    engine = Engine(put(backfill=backfill))
    engine.at(T0 + 24 * HOUR_MS + 30 * 60_000)
    names = due_names(Rhythm(every_ms=HOUR_MS), T0, engine.now_ms)
    assert engine.started == names[24 - made_up :]
    missed = [event.count for event in engine.events if event.kind == "missed"]
    assert missed == ([24 - made_up] if made_up < 24 else [])


def test_a_due_time_is_not_missed_within_a_minute() -> None:
    engine = Engine(put())
    engine.at(T0 + HOUR_MS + LATE_MS)
    assert len(engine.started) == 1
    engine.at(T0 + 2 * HOUR_MS + LATE_MS + 1)
    assert (len(engine.started), engine.kinds()[-1]) == (1, "missed")


def test_a_long_outage_is_started_in_bites() -> None:
    engine = Engine(put(backfill=MAX_WAITING))
    engine.now_ms += 250 * HOUR_MS
    first = engine.done(engine.look())
    assert (len(first.starts), engine.wake_ms) == (BITE, engine.now_ms + 1)
    engine.at(engine.now_ms + 1)
    assert len(engine.started) == 250


def test_skip_leaves_out_and_queue_waits() -> None:
    skipping, queueing = Engine(put("skip")), Engine(put("queue"))
    for engine in (skipping, queueing):
        for hour in (1, 2, 3):
            engine.at(T0 + hour * HOUR_MS)
        assert len(engine.started) == 1
        engine.runs[engine.started[0]] = "succeeded"
        engine.at(engine.now_ms + 5)
    assert (len(skipping.started), skipping.kinds().count("skipped")) == (1, 2)
    assert queueing.started == due_names(Rhythm(every_ms=HOUR_MS), T0, T0 + 2 * HOUR_MS)
    assert queueing.events[-1].standing.waiting == 1


def test_cancel_ends_the_former_run_and_starts_the_newest() -> None:
    engine = Engine(put("cancel"))
    engine.at(T0 + HOUR_MS)
    (former,) = engine.started
    assert engine.at(T0 + 2 * HOUR_MS).cancels == [former]
    assert engine.at(T0 + 3 * HOUR_MS).cancels == [], "it was told before"
    engine.runs[former] = "cancelled"
    engine.at(T0 + 3 * HOUR_MS + 7)
    assert engine.started == [former, f"s/{due_text(T0 + 3 * HOUR_MS)}"]
    assert engine.kinds().count("skipped") == 1


def test_a_run_that_was_refused_does_not_hold_the_others_up_for_ever() -> None:
    engine = Engine(put("queue"))
    engine.at(T0 + HOUR_MS)
    del engine.runs[engine.started[0]]
    engine.at(T0 + HOUR_MS + REFUSED_AFTER_MS - 1)
    assert "ended" not in engine.kinds()
    engine.at(T0 + HOUR_MS + REFUSED_AFTER_MS)
    assert (engine.kinds()[-1], engine.events[-1].reason) == ("ended", "it did not begin")


def test_a_pause_lets_due_times_pass() -> None:
    engine = Engine(put(backfill=MAX_WAITING))
    engine.steer("pause", reason="holidays")
    engine.steer("pause")
    assert engine.wake_ms is None
    engine.at(T0 + 5 * HOUR_MS)
    engine.steer("resume")
    engine.at(T0 + 6 * HOUR_MS)
    assert engine.started == [f"s/{due_text(T0 + 6 * HOUR_MS)}"]
    assert engine.kinds() == ["put", "paused", "resumed", "started"]


def test_what_was_due_before_a_pause_or_a_change_is_started_where_the_engine_is_behind() -> None:
    for act in ("pause", "put"):
        engine = Engine(put(backfill=MAX_WAITING))
        engine.now_ms += 3 * HOUR_MS
        if act == "pause":
            engine.steer("pause")
        else:
            look = engine.look()
            look.put(put(every_ms=7_000), is_new=False)
            engine.done(look)
        assert engine.started == due_names(Rhythm(every_ms=HOUR_MS), T0, T0 + 3 * HOUR_MS)


def test_putting_the_same_changes_nothing_and_another_rhythm_counts_from_now() -> None:
    engine = Engine(put())
    look = engine.look()
    look.put(replace(put(), request_id="again", declared_version="2"), is_new=False)
    assert (look.events, engine.state.next_ms) == ([], T0 + HOUR_MS)
    look.put(put(every_ms=7_000), is_new=False)
    assert engine.state.next_ms == next_due(Rhythm(every_ms=7_000), T0)
    other_input = engine.look()
    other_input.put(replace(put(every_ms=7_000), input_digest="other"), is_new=False)
    assert [event.kind for event in other_input.events] == ["put"]
    assert engine.state.next_ms == next_due(Rhythm(every_ms=7_000), T0)


def test_a_trigger_twice_is_one_run_also_while_paused() -> None:
    engine = Engine(put("queue"))
    engine.steer("pause")
    engine.steer("trigger", request_id="q")
    engine.steer("trigger", request_id="q")
    assert engine.started == ["s/q"]
    engine.runs["s/q"] = "succeeded"
    engine.steer("trigger", request_id="q")
    assert engine.started == ["s/q"]


def test_a_backfill_starts_what_had_no_run() -> None:
    engine = Engine(put())
    engine.at(T0 + HOUR_MS)
    engine.at(T0 + 5 * HOUR_MS)
    assert engine.steer("backfill", from_ms=T0, until_ms=T0 + 3 * HOUR_MS) is None
    assert engine.steer("backfill", from_ms=T0, until_ms=T0 + 3 * HOUR_MS) is None
    hours = (1, 5, 0, 2, 3)
    assert engine.started == [f"s/{due_text(T0 + hour * HOUR_MS)}" for hour in hours]
    future = engine.steer("backfill", from_ms=T0, until_ms=engine.now_ms + 1)
    assert future is not None
    assert future.code == "invalid_backfill"
    many = engine.steer("backfill", from_ms=HOUR_MS, until_ms=T0)
    assert many is not None
    assert many.code == "too_many_due_times"


def test_a_deleted_one_is_never_looked_at_again() -> None:
    engine = Engine(put())
    engine.steer("delete")
    assert (engine.wake_ms, engine.kinds()[-1]) == (None, "deleted")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (put(cron="61 * * * *"), "cron expression"),
        (put(cron="0 0 30 2 *"), "cron expression"),
        (put(cron="0 3 * * *", timezone="Europe/Atlantis"), "no time zone"),
        (put(every_ms=1_500), "whole number of seconds"),
        (put(every_ms=None), "either"),
        (replace(put(), name="a/b"), "name of a schedule"),
        (put(backfill=MAX_WAITING + 1), "made up for"),
    ],
)
def test_what_cannot_be_is_refused(wrong: PutSchedule, said: str) -> None:
    rejection = invalid(wrong)
    assert rejection is not None
    assert said in rejection.reason
    assert invalid(put()) is None


def local_times(cron: str, start: datetime, count: int) -> list[str]:
    rhythm = Rhythm(cron=cron, timezone=BERLIN)
    at_ms, found = int(start.timestamp() * 1_000), []
    for _ in range(count):
        due_ms = next_due(rhythm, at_ms)
        assert due_ms is not None
        at_ms = due_ms
        found.append(due_text(at_ms))
    return found


def test_daylight_saving_as_the_page_says() -> None:
    spring, autumn = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)
    # 02:30 does not exist on 29 March: right behind the gap. It comes twice on 25 October: once, the first time.
    assert local_times("30 2 * * *", spring, 2) == ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
    assert local_times("30 2 * * *", autumn, 2) == ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    # Six fields follow the clock on the wall.
    assert local_times("0 30 2 * * *", spring, 1) == ["2026-03-30T00:30:00Z"]
    assert local_times("0 30 2 * * *", autumn, 2) == ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]
    # So does what is due each so many minutes: no quarter of an hour is left out, and none comes twice.
    assert len(local_times("*/15 * * * *", datetime(2026, 10, 25, tzinfo=UTC), 12)) == 12


@given(
    cron=CRONS, count=st.integers(1, 9), from_ms=st.integers(T0, T0 + 9 * DAY_MS), length_ms=st.integers(0, 9 * DAY_MS)
)
def test_the_newest_due_times_are_the_last_of_all(cron: str, count: int, from_ms: int, length_ms: int) -> None:
    for rhythm in (Rhythm(cron=cron, timezone=BERLIN), Rhythm(every_ms=HOUR_MS)):
        whole = []
        for at_ms in due_times(rhythm, from_ms):
            if at_ms > from_ms + length_ms:
                break
            whole.append(at_ms)
        assert newest_due(rhythm, from_ms, from_ms + length_ms, count) == whole[-count:]
        assert whole == sorted(set(whole))
        assert problem_of(rhythm) is None
