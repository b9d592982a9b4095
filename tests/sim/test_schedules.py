"""Schedules in worlds with trouble: every due time has one run, and runs of a line come one after the other."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import structlog
from tests.sim.many import silence
from tests.sim.plan import Plan, plan_of

from logkeel.client.building import input_digest
from logkeel.definitions.rhythm import Rhythm, due_text, due_times
from logkeel.log import OutputRecord, TopicPartition
from logkeel.log.partitioner import partition_for
from logkeel.records import (
    Overlap,
    PutSchedule,
    RunCompleted,
    RunEvent,
    ScheduleEvent,
    ScheduleRequest,
    ScheduleStanding,
    SteerSchedule,
)
from logkeel.testing.world import EffectStrike, World, WorldSettings, crashes_everywhere, play_out
from logkeel.testing.world.judging import general_faults, histories_of
from logkeel.wire import decode, encode
from logkeel.workflow import State, Workflow

SEEDS = range(1, 13)
EVERY_MS = 1_000
ASKED_MS = 12_000.0
OVERLAPS: tuple[Overlap, ...] = ("allow", "queue", "skip", "cancel")
MOST = 1_000


class Tick(State):
    """What is counted."""

    number: int
    doubled: int | None = None


ticks = Workflow("ticks", state=Tick, returns="doubled")


@ticks.step(writes=lambda s: s.doubled)
async def double(number: int) -> int:
    """The work of a run."""
    return 2 * number


ticks.flow(double)


class Planner:
    """Puts a schedule of each kind, twice, and after a while pauses them all. Nothing concerns it."""

    def __init__(self, world: World, *, kinds: tuple[Overlap, ...] = OVERLAPS, asked_ms: float = ASKED_MS) -> None:
        self._world = world
        self._kinds = kinds
        self._asked_ms = asked_ms
        self._producer = world.client.producer()
        self._put = self._paused = False
        self._reader = world.client.reader("read_committed")
        topics = (world.names.run_events, world.names.run_completions)
        self._reader.assign({TopicPartition(t, n): 0 for t in topics for n in range(world.settings.partitions)})
        self._standings: dict[str, ScheduleStanding] = {}
        self._started: set[str | None] = set()
        self._ended: set[str | None] = set()

    def turn(self) -> bool:
        """Send what is due."""
        moved = False
        if not self._put:
            self._put = moved = True
            for overlap in self._kinds * 2:
                self._send(put(overlap))
        if not self._paused and self._world.elapsed_ms >= self._asked_ms:
            self._paused = moved = True
            for overlap in self._kinds:
                self._send(SteerSchedule(name=overlap, verb="pause", request_id=f"{overlap}/pause"))
        self._producer.poll(0.0)
        return self._read() or moved

    def _read(self) -> bool:
        fetched = self._reader.fetch(1_000, 0.0)
        for record in fetched.records:
            message = decode(record.value or b"")
            if isinstance(message, ScheduleEvent):
                self._standings[message.name] = message.standing
                self._started |= {message.run_id} if message.kind == "started" else set()
            elif isinstance(message, RunCompleted):
                self._ended.add(message.run_id)
        return bool(fetched.records)

    def is_over(self) -> bool:
        """Whether all are paused, nothing waits, and every run has ended."""
        if len(self._standings) < len(self._kinds) or not self._paused:
            return False
        if any(not each.paused or each.waiting for each in self._standings.values()):
            return False
        return self._started == self._ended

    def _send(self, request: ScheduleRequest) -> None:
        key = request.name.encode()
        home = partition_for(key, self._world.settings.partitions)
        self._producer.produce(OutputRecord(self._world.names.run_requests, key, encode(request), home))


def put(overlap: Overlap) -> PutSchedule:
    """A schedule that is called as its rule."""
    inputs = ticks.encode_input({"number": 21})
    return PutSchedule(
        name=overlap,
        workflow=ticks.name,
        every_ms=EVERY_MS,
        overlap=overlap,
        backfill=MOST,
        inputs=inputs,
        input_digest=input_digest(inputs),
        request_id=f"{overlap}/put",
    )


def events_of(world: World) -> list[ScheduleEvent]:
    """What became of all schedules, those of one in order."""
    found = (decode(record.value or b"") for record in world.records(world.names.run_events))
    return [each for each in found if isinstance(each, ScheduleEvent)]


def faults_of(world: World, kinds: tuple[Overlap, ...]) -> Iterator[str]:
    """What is wrong, beside what may never be wrong."""
    events, histories = events_of(world), histories_of(world)
    times = Counter(run_id for run_id, _ in histories)
    for name in kinds:
        own = [event for event in events if event.name == name]
        first, paused = own[0], next(event for event in own if event.kind == "paused")
        due = [f"{name}/{each}" for each in due_between(first.at_ms, paused.at_ms)]
        started = [event.run_id or "" for event in own if event.kind == "started"]
        if len(set(started)) != len(started):
            yield f"{name}: a run was started twice"
        if any(times[run_id] != 1 for run_id in started):
            yield f"{name}: a start had no run, or two"
        counted = Counter[str]()
        for event in own:
            counted[event.kind] += event.count
        if counted["put"] != 1:
            yield f"{name}: it was put {counted['put']} times"
        if name in ("allow", "queue") and started[: len(due)] != due:
            yield f"{name}: due were {due}, started {started}"
        if counted["started"] + counted["skipped"] + counted["missed"] < len(due):
            yield f"{name}: nobody told of some of {due}"
        if name != "allow":
            yield from _faults_of_line(name, started, histories)


def due_between(after_ms: int, until_ms: int) -> list[str]:
    """Names of the due times in between, without the schedule's."""
    found: list[str] = []
    for at_ms in due_times(Rhythm(every_ms=EVERY_MS), after_ms):
        if at_ms > until_ms:
            break
        found.append(due_text(at_ms))
    return found


def _faults_of_line(name: str, started: list[str], histories: dict[tuple[str, str], list[RunEvent]]) -> Iterator[str]:
    ends = {run_id: events for (run_id, _), events in histories.items()}
    for former, later in pairwise(started):
        # What comes behind the end of a run are late words of its steps.
        over_ms = next(event.at_ms for event in ends[former] if event.kind == "run_completed")
        if over_ms > ends[later][0].at_ms:
            yield f"{name}: {later} began before {former} had ended"


def played(plan: Plan, directory: Path, *, kinds: tuple[Overlap, ...] = OVERLAPS, asked_ms: float = ASKED_MS) -> World:
    """Play until all are paused and idle; raises AssertionError for what is wrong."""
    world = World([ticks], plan.settings, directory)
    try:
        planner = Planner(world, kinds=kinds, asked_ms=asked_ms)
        world.join(planner)
        world.plan(plan.strikes)
        faults = play_out(world, planner.is_over)
        assert faults == [], f"seed {plan.seed}: {faults}"
        found = [*general_faults(world), *faults_of(world, kinds)]
        assert found == [], f"seed {plan.seed}: {found}"
        return world
    finally:
        world.end()


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    silence()
    yield
    structlog.reset_defaults()


def test_seeds_show_no_violation(tmp_path: Path) -> None:
    struck = Counter[str]()
    for seed in SEEDS:
        plan = plan_of(seed)
        if plan.scenario == "usual":
            struck += Counter(played(plan, tmp_path).struck)
    assert sum(struck.values()) > 2 * len(SEEDS)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_crash_at_any_effect_breaks_nothing(tmp_path: Path) -> None:
    """Before and after each, of a history with some starts of two schedules."""
    kinds: tuple[Overlap, ...] = ("allow", "queue")
    calm = Plan(
        seed=0,
        settings=WorldSettings(seed=0, engine_slots=(0, 1), worker_slots=(0,)),
        runs=(),
        strikes=(),
        trouble=0.0,
        garbage=(),
    )
    effects = played(calm, tmp_path, kinds=kinds, asked_ms=1_500.0).effects_until_healed
    strikes: list[EffectStrike] = list(crashes_everywhere(effects, back_in_ms=100.0))
    for strike in strikes:
        plan = Plan(seed=0, settings=calm.settings, runs=(), strikes=(strike,), trouble=0.0, garbage=())
        played(plan, tmp_path, kinds=kinds, asked_ms=1_500.0)
    assert len(strikes) > 200
