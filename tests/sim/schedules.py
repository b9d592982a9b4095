"""Schedules of simulations: who puts and steers them, and their judge (P26, P29, decision 0032).

Every due time has one run, and runs of a line come one after the other.
"""

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.sim.workload import Work, double_of

from logkeel.client.building import input_digest
from logkeel.definitions.rhythm import Rhythm, due_text, due_times
from logkeel.log import OutputRecord, TopicPartition
from logkeel.log.partitioner import partition_for
from logkeel.records import (
    Overlap,
    PutSchedule,
    RequestRejected,
    RunCompleted,
    RunEvent,
    ScheduleEvent,
    ScheduleRequest,
    ScheduleStanding,
    SteerSchedule,
)
from logkeel.testing.world import World
from logkeel.testing.world.reading import read
from logkeel.wire import encode
from logkeel.workflow import Workflow

Histories = Mapping[tuple[str, str], list[RunEvent]]

MOST = 1_000
ASTRAY = "/astray"
"""The end of the id of a request that is not sent to its schedule's home."""

DAY_MS = 86_400_000
ticks: Workflow[Work] = Workflow("ticks", state=Work, returns="doubled")
ticks.flow(double_of(ticks))


@dataclass(frozen=True, slots=True)
class SchedulePlan:
    """One schedule and what is sent for it: put so many times, run by hand and backfilled at times, paused in the end.

    `every_ms`, or each midnight. Once astray as well, if so.
    """

    name: str
    overlap: Overlap
    every_ms: int | None
    put_ms: float = 0.0
    paused_ms: float = 4_000.0
    copies: int = 1
    astray: bool = False
    triggered_ms: tuple[float, ...] = ()
    backfilled_ms: tuple[float, ...] = ()

    @property
    def sendings(self) -> Iterator[tuple[float, str]]:
        """(when, what)."""
        yield from [(self.put_ms, "put")] * self.copies
        yield from [(self.put_ms + 100, ASTRAY)] * self.astray
        yield from [(at_ms, "trigger") for at_ms in self.triggered_ms] * self.copies
        yield from [(at_ms, "backfill") for at_ms in self.backfilled_ms]
        yield from [(self.paused_ms, "pause")] * self.copies

    @property
    def rhythm(self) -> Rhythm:
        """When it is due."""
        return Rhythm(every_ms=self.every_ms) if self.every_ms is not None else Rhythm(cron="0 0 * * *")


class Planner:
    """Sends what the plans say, and hears what becomes of it. Nothing concerns it."""

    def __init__(self, world: World, plans: Sequence[SchedulePlan]) -> None:
        self._world = world
        self._plans = plans
        self._producer = world.client.producer()
        due = [(at_ms, what, plan) for plan in plans for at_ms, what in plan.sendings]
        self._due = deque(sorted(due, key=lambda each: each[0]))
        self._reader = world.client.reader("read_committed")
        topics = (world.names.run_events, world.names.run_completions)
        self._reader.assign({TopicPartition(t, n): 0 for t in topics for n in range(world.settings.partitions)})
        self._standings: dict[str, ScheduleStanding] = {}
        self._started: set[str | None] = set()
        self._ended: set[str | None] = set()

    def turn(self) -> bool:
        """Send what is due."""
        moved = False
        while self._due and self._due[0][0] <= self._world.elapsed_ms:
            _, what, plan = self._due.popleft()
            self._send(plan, what)
            moved = True
        self._producer.poll(0.0)
        return self._read() or moved

    def is_over(self) -> bool:
        """Whether all are paused, nothing waits, and every run has ended."""
        if self._due or len(self._standings) < len(self._plans):
            return False
        if any(not each.paused or each.waiting for each in self._standings.values()):
            return False
        return self._started <= self._ended

    def _read(self) -> bool:
        fetched = self._reader.fetch(1_000, 0.0)
        for record in fetched.records:
            message = read(record.value or b"")
            if isinstance(message, ScheduleEvent):
                self._standings[message.name] = message.standing
                self._started |= {message.run_id} if message.kind == "started" else set()
            elif isinstance(message, RunCompleted):
                self._ended.add(message.run_id)
        return bool(fetched.records)

    def _send(self, plan: SchedulePlan, what: str) -> None:
        settings = self._world.settings
        key = plan.name.encode()
        home = partition_for(key, settings.partitions)
        partition = (home + 1) % settings.partitions if what == ASTRAY else home
        self._world.trace.note(self._world.elapsed_ms, "sender", "SENDS", f"{what} {plan.name} to {partition}")
        request = self._request(plan, what)
        self._producer.produce(OutputRecord(self._world.names.run_requests, key, encode(request), partition))

    def _request(self, plan: SchedulePlan, what: str) -> ScheduleRequest:
        elapsed_ms, now_ms = self._world.elapsed_ms, self._world.cluster.clock.now_ms()
        match what:
            case "put":
                return put(plan, f"{plan.name}/put")
            case "backfill":
                # Two due times of before the schedule, and whatever was due since.
                first_ms = now_ms - round(elapsed_ms - plan.put_ms) - 2 * (plan.every_ms or DAY_MS)
                return SteerSchedule(name=plan.name, verb="backfill", from_ms=first_ms, until_ms=now_ms)
            case "trigger":
                # The copies of one are sent in one turn.
                request_id = f"by-hand-{elapsed_ms:.0f}"
                return SteerSchedule(name=plan.name, verb="trigger", request_id=request_id)
            case "pause":
                return SteerSchedule(name=plan.name, verb="pause", request_id=f"{plan.name}/pause")
            case _:
                return put(plan, f"{plan.name}/put{ASTRAY}")


def put(plan: SchedulePlan, request_id: str) -> PutSchedule:
    """The request for a schedule."""
    inputs = ticks.encode_input({"number": 21})
    return PutSchedule(
        name=plan.name,
        workflow=ticks.name,
        every_ms=plan.rhythm.every_ms,
        cron=plan.rhythm.cron,
        overlap=plan.overlap,
        backfill=MOST,
        inputs=inputs,
        input_digest=input_digest(inputs),
        request_id=request_id,
    )


def faults_of_schedules(world: World, plans: Sequence[SchedulePlan], histories: Histories) -> Iterator[str]:
    """Everything that is wrong with schedules and the runs that they start."""
    if not plans:
        return
    told, again = _told(world)
    yield from again
    times = Counter(run_id for run_id, _ in histories)
    for plan in plans:
        name, own = plan.name, told[plan.name]
        paused = next(event for event in own if event.kind == "paused")
        due = [f"{name}/{each}" for each in due_between(plan.rhythm, own[0].at_ms, paused.at_ms)]
        started = [event.run_id or "" for event in own if event.kind == "started"]
        if plan.overlap != "allow" and len(set(started)) != len(started):
            yield f"{name}: a run was started twice: {started}"
        if any(times[run_id] != 1 for run_id in started):
            yield f"{name}: a start had no run, or two"
        counted = Counter[str]()
        for event in own:
            counted[event.kind] += event.count
        if counted["put"] != 1:
            yield f"{name}: it was put {counted['put']} times"
        in_time = list(dict.fromkeys(each for each in started if each in due))
        if world.clock_jumps:
            in_time.sort()  # what is backfilled may be due later by the clock of the engine that came to hear of it
        if plan.overlap in ("allow", "queue") and in_time != due:
            yield f"{name}: due were {due}, started {started}"
        if counted["started"] + counted["skipped"] + counted["missed"] < len(due):
            yield f"{name}: nobody told of some of {due}"
        if plan.overlap != "allow" and not world.clock_jumps:
            yield from _faults_of_line(name, started, histories)


def was_refused_by_right(rejected: RequestRejected) -> bool:
    """Whether it is one that went astray, or a backfill whose end is still to come by the clock of an engine."""
    if rejected.code == "not_at_home":
        return rejected.request_id.endswith(ASTRAY)
    return rejected.code == "invalid_backfill" and rejected.request_type == "SteerSchedule"


def _told(world: World) -> tuple[dict[str, list[ScheduleEvent]], list[str]]:
    """What became of each schedule, in order; and whose due time was started when its run was known (P26).

    A schedule and its runs are on one partition, in the order of decisions.
    """
    told: dict[str, list[ScheduleEvent]] = {}
    known: set[str | None] = set()
    again: list[str] = []
    for record in world.records(world.names.run_events):
        event = read(record.value or b"")
        if isinstance(event, RunEvent):
            known.add(event.run_id)
        elif isinstance(event, ScheduleEvent):
            told.setdefault(event.name, []).append(event)
            if event.kind == "started" and event.run_id in known:
                again.append(f"P26: {event.name} started {event.run_id}, which had its run")
    return told, again


def due_between(rhythm: Rhythm, after_ms: int, until_ms: int) -> list[str]:
    """Names of the due times in between, without the schedule's."""
    found: list[str] = []
    for at_ms in due_times(rhythm, after_ms):
        if at_ms > until_ms:
            break
        found.append(due_text(at_ms))
    return found


def _faults_of_line(name: str, started: list[str], histories: Histories) -> Iterator[str]:
    ends = {run_id: events for (run_id, _), events in histories.items()}
    for former, later in pairwise(started):
        # What comes behind the end of a run are late words of its steps.
        over_ms = next(event.at_ms for event in ends[former] if event.kind == "run_completed")
        if over_ms > ends[later][0].at_ms:
            yield f"{name}: {later} began before {former} had ended"
