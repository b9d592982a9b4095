"""Where the runs of a partition stand, from what was decided about them: counts and ages. Pure.

A `Change` is read off a run's state within the turn that decided it, and applied when that turn's batch was committed;
applying it twice, or a survey behind it, changes nothing, since everything is kept by run and path. It is made for each
turn of an engine that is watched: plain tuples, and nothing is built that is not needed.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from logkeel.records import RunEvent
from logkeel.runs.core.paths import place_in_code
from logkeel.runs.core.state import OPEN_PHASES, RunState

_BLOCK_ENDS = frozenset({"block_left", "block_timed_out", "block_rescued"})
_ASKED = "question_asked"
_QUESTION_ENDS = frozenset({"question_answered", "wait_ended"})
_MOVING = frozenset({"dispatched", "started", "waiting"})

OpenStep: TypeAlias = tuple[str, str, int]
"""(step, phase, when it was first dispatched) of a step that has not ended"""

_NO_QUESTIONS: Mapping[str, int | None] = {}


class Change(NamedTuple):
    """What one turn did to one run. A step or question that is None has ended; `ended_below`: so has all below it."""

    run_id: str
    workflow: str
    is_open: bool
    is_paused: bool
    steps: Mapping[str, OpenStep | None]
    questions: Mapping[str, int | None] = _NO_QUESTIONS
    ended_below: Sequence[str] = ()


def change_of(state: RunState, events: Sequence[RunEvent]) -> Change:
    """Read it off, within the turn: each step that an event is about, as it is now."""
    info, head = state.info, state.head
    steps: dict[str, OpenStep | None] = {}
    if head.status != "running":
        return Change(info.run_id, info.workflow, False, False, steps)
    questions: dict[str, int | None] | None = None
    below: list[str] | None = None
    for event in events:
        path = event.path
        if path is None:
            continue
        kind = event.kind
        if event.step is not None or kind[:5] == "step_":
            step = state.steps.get(path)
            if step is not None and step.phase in OPEN_PHASES:
                steps[path] = (step.step, step.phase, step.first_dispatched_ms)
            else:
                steps[path] = None
        if kind == _ASKED or kind in _QUESTION_ENDS:
            questions = {} if questions is None else questions
            questions[path] = event.at_ms if kind == _ASKED else None
        elif kind in _BLOCK_ENDS:
            below = [] if below is None else below
            below.append(path)
    paused = head.paused_at_ms is not None
    return Change(info.run_id, info.workflow, True, paused, steps, questions or _NO_QUESTIONS, below or ())


def survey_of(state: RunState) -> Change:
    """The whole of a run that has not ended."""
    steps: dict[str, OpenStep | None] = {}
    waits = state.waits.items() if state.head.open_waits else ()
    questions: dict[str, int | None] = {path: wait.since_ms for path, wait in waits if wait.kind == "question"}
    for path, step in list(state.steps.items()) if state.head.open_steps else ():
        if not step.is_open:
            continue
        steps[path] = (step.step, step.phase, step.first_dispatched_ms)
        if step.phase == "suspended":
            for position, wait in state.journal_waits.of(path):
                entry = state.journal.get((path, position))
                if wait.kind == "question":
                    asked_ms = step.first_dispatched_ms if entry is None else entry.at_ms
                    questions[place_in_code(path, position)] = asked_ms
    paused = state.head.paused_at_ms is not None
    return Change(state.info.run_id, state.info.workflow, state.running, paused, steps, questions)


Group: TypeAlias = tuple[str, str]
Phase: TypeAlias = tuple[str, str, str]
Place: TypeAlias = tuple[str, str]


class _Run:
    """An open run; `steps`: by path, the phase and the places of all steps in it."""

    __slots__ = ("paused", "questions", "status", "steps", "workflow")

    def __init__(self, workflow: str) -> None:
        self.workflow = workflow
        self.paused = False
        self.status = ""
        self.steps: dict[str, tuple[str, dict[Place, int]]] = {}
        self.questions: dict[str, int] = {}

    def status_now(self) -> str:
        if self.paused:
            return "paused"
        waits = self.questions and not any(phase in _MOVING for phase, _ in self.steps.values())
        return "waiting_for_human" if waits else "running"


class Standing:
    """The open runs of one partition. Changed by one thread; the views may be read by another."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}
        self._statuses: Counter[Group] = Counter()
        self._steps: dict[Phase, dict[Place, int]] = {}
        self._questions: dict[str, dict[Place, int]] = {}

    def apply(self, change: Change) -> None:
        """Take a change over."""
        run_id = change.run_id
        run = self._runs.get(run_id)
        if not change.is_open:
            if run is not None:
                self._end(run_id, run)
            return
        if run is None:
            run = self._runs[run_id] = _Run(change.workflow)
        for path in change.ended_below:
            self._end_below(run_id, run, path)
        for path, step in change.steps.items():
            self._step(run_id, run, path, step)
        for path, since_ms in change.questions.items():
            self._question(run_id, run, path, since_ms)
        if run.questions or run.status != "running" or change.is_paused:
            run.paused = change.is_paused
            self._be(run, run.status_now())

    def statuses(self) -> Mapping[Group, int]:
        """Runs by (workflow, status)."""
        return dict(self._statuses)

    def phases(self) -> Mapping[Phase, int]:
        """Open steps by (workflow, step, phase)."""
        return {phase: len(places) for phase, places in list(self._steps.items())}

    def oldest_steps(self) -> Mapping[Phase, int]:
        """Since when the oldest open step has been open, by (workflow, step, phase)."""
        found = {phase: list(places.values()) for phase, places in list(self._steps.items())}
        return {phase: min(since) for phase, since in found.items() if since}

    def questions(self) -> Mapping[str, tuple[int, int]]:
        """How many open questions there are, and since when the oldest waits, by workflow."""
        found = {workflow: list(places.values()) for workflow, places in list(self._questions.items())}
        return {workflow: (len(each), min(each, default=0)) for workflow, each in found.items()}

    def _be(self, run: _Run, status: str) -> None:
        if status != run.status:
            if run.status:
                self._statuses[run.workflow, run.status] -= 1
            if status:
                self._statuses[run.workflow, status] += 1
            run.status = status

    def _end(self, run_id: str, run: _Run) -> None:
        del self._runs[run_id]
        self._be(run, "")
        for path in list(run.steps):
            self._step(run_id, run, path, None)
        for path in list(run.questions):
            self._question(run_id, run, path, None)

    def _end_below(self, run_id: str, run: _Run, path: str) -> None:
        for each in [each for each in run.steps if _is_below(each, path)]:
            self._step(run_id, run, each, None)
        for each in [each for each in run.questions if _is_below(each, path)]:
            self._question(run_id, run, each, None)

    def _step(self, run_id: str, run: _Run, path: str, step: OpenStep | None) -> None:
        before = run.steps.pop(path, None)
        if before is not None:
            before[1].pop((run_id, path), None)
        if step is not None:
            name, phase, since_ms = step
            key = (run.workflow, name, phase)
            places = self._steps.get(key)
            if places is None:
                places = self._steps[key] = {}
            run.steps[path] = (phase, places)
            places[run_id, path] = since_ms
        elif run.questions:
            # What its code has asked ends with it.
            for each in [each for each in run.questions if each.startswith(f"{path}?")]:
                self._question(run_id, run, each, None)

    def _question(self, run_id: str, run: _Run, path: str, since_ms: int | None) -> None:
        run.questions.pop(path, None)
        waiting = self._questions.setdefault(run.workflow, {})
        waiting.pop((run_id, path), None)
        if since_ms is not None:
            run.questions[path] = since_ms
            waiting[run_id, path] = since_ms


def _is_below(place: str, path: str) -> bool:
    return place == path or place.startswith((f"{path}/", f"{path}[", f"{path}?"))
