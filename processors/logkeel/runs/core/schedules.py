"""What a schedule decides: which due times become runs, and when it has to look again. Pure.

Two lists are all it remembers beside its definition: due times that wait, and runs that are not known to have ended.
Due times come in by the clock, by a backfill or by hand, and leave the first list in their order: started, or skipped
by the overlap rule. Runs are named by their due time, so one that was started before is found and not started again.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import Final, NamedTuple, TypedDict, Unpack

import msgspec
from msgspec.structs import replace

from logkeel.definitions.rhythm import Rhythm, due_text, due_times, newest_due, next_due, problem_of
from logkeel.records import PutSchedule, ScheduleEvent, ScheduleEventKind, ScheduleStanding, SteerSchedule
from logkeel.runs.core.actions import Reject

LATE_MS: Final = 60_000
"""An engine that changes hands within a minute has missed nothing: what is due for longer is a matter of backfill."""

BITE: Final = 100
"""Runs started in one turn; the rest follows in turns of their own, so that no transaction grows with an outage."""

MAX_WAITING: Final = 1_000
"""Due times that wait, those of a backfill included: they are all in one row."""

COUNTED: Final = 10_000
"""Missed due times are counted so far; it costs some 0.1 s."""

REFUSED_AFTER_MS: Final = 120_000
"""A start that nobody knows of so long after it was sent was refused: twice the time that requests are parked."""

MAX_NAME_CHARACTERS: Final = 100


class Occasion(NamedTuple):
    """A run that is to be, and when it is due."""

    run_id: str
    due_ms: int


class StartedRun(NamedTuple):
    """A run that was asked for."""

    run_id: str
    started_ms: int


class About(TypedDict, total=False):
    """What an event is about, beside its kind."""

    run_id: str | None
    due_ms: int | None
    count: int
    reason: str | None
    actor: str | None
    request_id: str | None


class ScheduleState(msgspec.Struct, kw_only=True):
    """A schedule's row. `cancelled`: runs of `running` that were told to end."""

    put: PutSchedule
    next_ms: int | None = None
    paused: bool = False
    waiting: list[Occasion] = []
    running: list[StartedRun] = []
    cancelled: list[str] = []


@dataclass(slots=True)
class ScheduleTurn:
    """One look at a schedule. `look` gives a run's status, None if there is no such run here.

    `starts`, `cancels`, `events` and `deleted` are what comes of it; all events tell of how it stands in the end.
    """

    state: ScheduleState
    now_ms: int
    look: Callable[[str], str | None]
    starts: list[Occasion] = field(default_factory=list)
    cancels: list[str] = field(default_factory=list)
    deleted: bool = False
    _told: list[ScheduleEvent] = field(default_factory=list)

    @property
    def events(self) -> list[ScheduleEvent]:
        """What has become of it."""
        standing = standing_of(self.state)
        return [replace(each, standing=standing) for each in self._told]

    def put(self, put: PutSchedule, *, is_new: bool) -> None:
        """It is this from now on; due times of an unchanged rhythm go on as they were."""
        state = self.state
        if not is_new and same_schedule(state.put, put):
            return
        self._collect()  # what was due before the change
        if not state.paused and (is_new or rhythm_of(state.put) != rhythm_of(put)):
            state.next_ms = next_due(rhythm_of(put), self.now_ms)
        state.put = put
        self._tell("put", actor=put.requested_by, request_id=put.request_id)

    def steer(self, request: SteerSchedule) -> Reject | None:
        """Do as asked, or say why not."""
        state, asked = (
            self.state,
            About(actor=request.requested_by, request_id=request.request_id, reason=request.reason),
        )
        match request.verb:
            case "pause":
                if not state.paused:
                    self._collect()  # what was due before, where the engine is behind
                    state.paused, state.next_ms = True, None
                    self._tell("paused", **asked)
            case "resume":
                if state.paused:
                    state.paused, state.next_ms = False, next_due(rhythm_of(state.put), self.now_ms)
                    self._tell("resumed", **asked)
            case "delete":
                self.deleted = True
                state.next_ms, state.waiting = None, []
                self._tell("deleted", **asked)
            case "trigger":
                name = request.request_id or due_text(self.now_ms)
                self._admit([Occasion(f"{state.put.name}/{name}", self.now_ms)])
            case "backfill":
                return self._backfill(request)
        return None

    def go_on(self) -> None:
        """Settle what has ended, take in what is due, and start what may start."""
        self._settle()
        self._collect()
        self._work_off()

    @property
    def wake_ms(self) -> int | None:
        """When to look again, if nothing ends before."""
        state = self.state
        if self.deleted:
            return None
        if not state.waiting:
            return state.next_ms
        if not state.running or state.put.overlap in ("allow", "skip"):
            return self.now_ms + 1
        again_ms = self.now_ms + REFUSED_AFTER_MS
        return again_ms if state.next_ms is None else min(again_ms, state.next_ms)

    def _backfill(self, request: SteerSchedule) -> Reject | None:
        state, from_ms, until_ms = self.state, request.from_ms, request.until_ms
        if from_ms is None or until_ms is None or not 0 < from_ms <= until_ms <= self.now_ms:
            return Reject("invalid_backfill", "a backfill is from a time until a later one, both over")
        due = takewhile(lambda at_ms: at_ms <= until_ms, due_times(rhythm_of(state.put), from_ms - 1))
        found = list(islice(due, MAX_WAITING - len(state.waiting) + 1))
        if len(found) + len(state.waiting) > MAX_WAITING:
            reason = f"there are more due times in it than may wait ({MAX_WAITING}): backfill it in parts"
            return Reject("too_many_due_times", reason)
        self._admit(self._occasions(found))
        return None

    def _settle(self) -> None:
        state = self.state
        for run in list(state.running):
            status = self.look(run.run_id)
            if status == "running" or (status is None and self.now_ms - run.started_ms < REFUSED_AFTER_MS):
                continue
            state.running.remove(run)
            if run.run_id in state.cancelled:
                state.cancelled.remove(run.run_id)
            self._tell("ended", run_id=run.run_id, reason=status or "it did not begin")

    def _collect(self) -> None:
        """Due times that have come since the last look; of those that are missed, as many as are made up for."""
        state, put = self.state, self.state.put
        if state.paused or state.next_ms is None or state.next_ms > self.now_ms:
            return
        rhythm, late_ms, after_ms = rhythm_of(put), self.now_ms - LATE_MS, state.next_ms - 1
        missed = list(islice(takewhile(lambda at_ms: at_ms < late_ms, due_times(rhythm, after_ms)), COUNTED + 1))
        kept = missed[-put.backfill :] if put.backfill else []
        if len(missed) > COUNTED:
            kept = newest_due(rhythm, after_ms, late_ms - 1, put.backfill)
        timely: list[int] = []
        for at_ms in due_times(rhythm, max(after_ms, late_ms - 1)):
            if at_ms > self.now_ms:
                state.next_ms = at_ms
                break
            timely.append(at_ms)
        else:
            state.next_ms = None
        lost = len(missed) - len(kept)
        if lost > 0:
            self._tell("missed", due_ms=missed[lost - 1] if len(missed) <= COUNTED else None, count=lost)
        self._admit(self._occasions([*kept, *timely]))

    def _occasions(self, due: Iterable[int]) -> list[Occasion]:
        return [Occasion(f"{self.state.put.name}/{due_text(at_ms)}", at_ms) for at_ms in due]

    def _admit(self, occasions: list[Occasion]) -> None:
        known = {each.run_id for each in self.state.waiting}
        fresh = [each for each in occasions if each.run_id not in known]
        room = MAX_WAITING - len(self.state.waiting)
        self.state.waiting = [*self.state.waiting, *fresh[:room]]
        if fresh[room:]:
            reason = f"{MAX_WAITING} due times wait already"
            self._tell("skipped", due_ms=fresh[-1].due_ms, count=len(fresh) - room, reason=reason)

    def _work_off(self) -> None:
        state = self.state
        waiting, looked = list(state.waiting), 0
        while waiting and looked < BITE:
            looked += 1
            overlap = state.put.overlap
            if overlap != "allow" and state.running:
                if overlap == "queue":
                    break
                if overlap == "cancel":
                    waiting = self._only_newest(waiting)
                    self._cancel_running()
                    break
                skipped = waiting.pop(0)
                self._tell("skipped", due_ms=skipped.due_ms, reason=f"{state.running[0].run_id} goes on")
                continue
            self._start(waiting.pop(0))
        state.waiting = waiting

    def _start(self, occasion: Occasion) -> None:
        state = self.state
        if self.look(occasion.run_id) is not None or any(run.run_id == occasion.run_id for run in state.running):
            return
        self.starts.append(occasion)
        if state.put.overlap != "allow":
            state.running = [*state.running, StartedRun(occasion.run_id, self.now_ms)]
        self._tell("started", run_id=occasion.run_id, due_ms=occasion.due_ms)

    def _only_newest(self, waiting: list[Occasion]) -> list[Occasion]:
        if len(waiting) > 1:
            self._tell("skipped", due_ms=waiting[-2].due_ms, count=len(waiting) - 1, reason="a newer one waits")
        return waiting[-1:]

    def _cancel_running(self) -> None:
        for run in self.state.running:
            if run.run_id not in self.state.cancelled:
                self.state.cancelled = [*self.state.cancelled, run.run_id]
                self.cancels.append(run.run_id)
                self._tell("cancelled", run_id=run.run_id, reason="the next one is due")

    def _tell(self, kind: ScheduleEventKind, **about: Unpack[About]) -> None:
        name, standing = self.state.put.name, standing_of(self.state)
        self._told.append(ScheduleEvent(name=name, at_ms=self.now_ms, kind=kind, standing=standing, **about))


def rhythm_of(put: PutSchedule) -> Rhythm:
    """When it is due."""
    return Rhythm(cron=put.cron, every_ms=put.every_ms, timezone=put.timezone)


def same_schedule(one: PutSchedule, other: PutSchedule) -> bool:
    """Whether both say the same; who says it, and how often its input was encrypted, does not count."""
    return _said(one) == _said(other)


def invalid(put: PutSchedule) -> Reject | None:
    """Why it cannot be."""
    if not put.name or len(put.name) > MAX_NAME_CHARACTERS or "/" in put.name:
        reason = f"the name of a schedule has 1 to {MAX_NAME_CHARACTERS} characters and no '/', not {put.name!r}"
        return Reject("invalid_schedule", reason)
    if not 0 <= put.backfill <= MAX_WAITING:
        return Reject("invalid_schedule", f"at most {MAX_WAITING} due times are made up for, not {put.backfill}")
    problem = problem_of(rhythm_of(put))
    return None if problem is None else Reject("invalid_schedule", problem)


def standing_of(state: ScheduleState) -> ScheduleStanding:
    """How it stands."""
    put = state.put
    return ScheduleStanding(
        workflow=put.workflow,
        cron=put.cron,
        every_ms=put.every_ms,
        timezone=put.timezone,
        overlap=put.overlap,
        backfill=put.backfill,
        paused=state.paused,
        next_ms=state.next_ms,
        running=tuple(run.run_id for run in state.running),
        waiting=len(state.waiting),
    )


def _said(put: PutSchedule) -> tuple[object, ...]:
    inputs = put.inputs if put.input_digest is None else put.input_digest
    return put.workflow, rhythm_of(put), put.overlap, put.backfill, inputs
