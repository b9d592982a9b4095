"""One schedule: a run of a workflow in a world, with some strikes, played until everything rests."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from logkeel.log import OutputRecord
from logkeel.log.partitioner import partition_for
from logkeel.records import FieldWrite, Request, RunCompleted, RunEvent, RunStatus
from logkeel.testing.crashes.outside import CALL, Call, Outside
from logkeel.testing.faking import Call as StepCall
from logkeel.testing.faking import FakedWorkflow
from logkeel.testing.people import Due, People
from logkeel.testing.try_out import start_request
from logkeel.testing.watching import RunWatch
from logkeel.testing.world import Strike, World, WorldSettings, general_faults, play_out
from logkeel.wire import encode
from logkeel.workflow import Workflow
from logkeel.workflow.trials import Answer, Fakes, Question

RUN_ID = "crash"
QUEUE = "default"
LEAD_MS = 2_000
"""A wait is not jumped over whole, so that what is due meets processes that are at work."""

IDLE_MS = 3_000
"""A run that only waits, and has been quiet for so long, is jumped ahead of."""

THINKING = "200ms"


@dataclass(frozen=True, slots=True)
class Case:
    """What is played. `resources` and `results` may be functions of the outside: they are called for each schedule."""

    workflow: "Workflow[Any]"
    inputs: Mapping[str, Any]
    resources: Any
    results: Any
    humans: Any
    signals: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a schedule. `faults`: what is wrong with it whatever the workflow is."""

    status: RunStatus
    result: Any
    outside: Outside
    events: tuple[RunEvent, ...]
    effects: int
    asked: int
    decisions: Mapping[str, int]
    struck: str
    lacked: tuple[str, ...]
    faults: tuple[str, ...]
    simulated_ms: float

    def writes_of(self, path: str) -> tuple[FieldWrite, ...]:
        """What the step wrote when it succeeded."""
        found = (event.writes for event in self.events if event.kind == "step_succeeded" and event.path == path)
        return next(found, ())


def play(case: Case, strikes: Sequence[Strike], directory: Path, calm: Played | None = None) -> Played:
    """Play it, deterministically. `calm` is the undisturbed one, which tells humans what a step in doubt returned.

    Raises `InvalidInput` and `DefinitionError`.
    """
    outside = Outside()
    results = case.results(outside) if callable(case.results) else case.results
    faked = FakedWorkflow(case.workflow, results or {}, around=_Recorder(outside).around, queue=QUEUE)
    resources = case.resources(outside) if callable(case.resources) else case.resources
    settings = WorldSettings(engine_slots=(0, 1), worker_slots=(0, 1), max_records=7, resources=resources)
    settings = replace(settings, max_record_bytes=1_000_000, topic_max_bytes=1_100_000, dead_letter_max_bytes=4_000_000)
    world = World([faked], settings, directory)
    outside.play_in(world)
    try:
        people = People(case.workflow, _fakes(case, outside, calm), RUN_ID)
        crowd = _Crowd(world, faked, people, case.inputs)
        world.join(crowd)
        world.plan(strikes)
        faults = play_out(world, crowd.has_ended)
        return crowd.played(outside, [*faults, *([] if faults else _faults(world))])
    finally:
        world.end()


def _faults(world: World) -> list[str]:
    return [*general_faults(world), *(f"{name} ended: {error!r}" for name, error in world.ends)]


def _fakes(case: Case, outside: Outside, calm: Played | None) -> Fakes:
    """Who is not named looks at the outside when a step is in doubt."""
    named = case.humans or {}

    def answer(question: Question) -> Any:
        if callable(named):
            return named(question)
        for name in (question.path, question.name):
            if name in named:
                return named[name] if not isinstance(named[name], list) else _item(named[name], question)
        return _looks(question, outside, calm) if question.kind == "doubt" else None

    return Fakes(humans=answer, signals=case.signals)


def _item(script: list[Any], question: Question) -> Any:
    return script[min(question.asked, len(script)) - 1]


def _looks(question: Question, outside: Outside, calm: Played | None) -> Answer:
    """What a careful human says: whether it has happened, as far as anybody outside knows."""
    happened = any(each.path == question.path for each in outside.happenings)
    returned = any(call.ended and call.raised is None for call in outside.calls_of(question.path))
    if not (happened or returned):
        return Answer("did_not", after=THINKING)
    writes = calm.writes_of(question.path) if calm is not None else ()
    return Answer("did", writes or None, after=THINKING)


class _Recorder:
    """Notes each execution of a step, whoever fakes it."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    def around(self, name: str, call: StepCall) -> StepCall:
        """The same step, noted."""

        async def recorded(step: Any, /, **arguments: Any) -> Any:
            noted = Call(name, step.path, step.idempotency_key, step.dispatch)
            self._outside.calls.append(noted)
            token = CALL.set(noted)
            try:
                result = call(step, **arguments)
                result = await result if inspect.isawaitable(result) else result
                noted.ended = True
                return result
            except Exception as error:
                noted.ended, noted.raised = True, type(error).__name__
                raise
            finally:
                CALL.reset(token)

        return recorded


@dataclass(slots=True)
class _Crowd:
    """Everybody around the run: starts it, watches it, answers it. No fault concerns them."""

    world: World
    faked: FakedWorkflow
    people: People
    inputs: Mapping[str, Any]
    asked: int = 0
    decisions: dict[str, int] = field(default_factory=dict)
    _pending: list[Due] = field(default_factory=list)
    _watch: RunWatch = field(init=False)
    _send: Callable[[Request], None] = field(init=False)

    def __post_init__(self) -> None:
        world = self.world
        self._watch = RunWatch(world.client, world.names, world.settings.partitions, self.faked, RUN_ID)
        producer = world.client.producer()
        home = partition_for(RUN_ID.encode(), world.settings.partitions)

        def send(request: Request) -> None:
            producer.produce(OutputRecord(world.names.run_requests, RUN_ID.encode(), encode(request), home))
            producer.flush(1.0)

        self._send = send
        send(start_request(self.people.workflow, self.inputs, RUN_ID))
        self._pending += self.people.senders(world.cluster.clock.now_ms())

    def turn(self) -> bool:
        """Read, answer, and let time pass where nothing else is to be done."""
        moved = self._watch.catch_up()
        if moved:
            self._pending += self.people.answers(self._watch.open_questions())
        now_ms = self.world.cluster.clock.now_ms()
        for due in [due for due in self._pending if due.at_ms <= now_ms]:
            self._pending.remove(due)
            self._note(due.request)
            self._send(due.request)
            moved = True
        self._jump(now_ms)
        return moved

    def has_ended(self) -> bool:
        """Whether the run has."""
        return self._watch.outcome is not None

    def _note(self, request: Request) -> None:
        decision = getattr(request, "decision", None)
        if decision is not None:
            self.asked += 1
        if decision in ("did_not", "retry"):
            path = getattr(request, "path", "")
            self.decisions[path] = self.decisions.get(path, 0) + 1

    def _jump(self, now_ms: int) -> None:
        """Over the time in which a run only waits."""
        due_ms, events = self._watch.next_due_ms(), self._watch.events
        if self._watch.is_at_work() or self.world.acting is not None or not events:
            return
        dues = [due.at_ms for due in self._pending] + ([] if due_ms is None else [due_ms])
        ahead_ms = min(dues, default=0) - LEAD_MS - now_ms
        if ahead_ms > LEAD_MS and now_ms - events[-1].at_ms > IDLE_MS and self.world.is_calm():
            self.world.skip(ahead_ms)

    def played(self, outside: Outside, faults: Sequence[str]) -> Played:
        """What became of it."""
        outcome, world = self._watch.outcome, self.world
        completed = outcome if isinstance(outcome, RunCompleted) else None
        waits = [] if completed is not None else [*self._watch.waits_for(), *self.people.missing.values()]
        succeeded = completed is not None and completed.status == "succeeded"
        strikes = [event for event in world.trace.events if event.event == "STRIKE"]
        return Played(
            status="running" if completed is None else completed.status,
            result=self.people.workflow.result(completed.result) if succeeded and completed is not None else None,
            outside=outside,
            events=tuple(self._watch.events),
            effects=world.effects_until_healed,
            asked=self.asked,
            decisions=self.decisions,
            struck="; ".join(f"{each.process}: {each.detail}" for each in strikes),
            lacked=tuple(self.people.lacked),
            faults=(*faults, *waits),
            simulated_ms=world.elapsed_ms,
        )
