"""Where the runs of a partition stand, from what was decided about them: counts and ages. Pure.

A `Change` is read off a run's state within the turn that decided it, and applied when that turn's batch was committed;
applying it twice, or a survey behind it, changes nothing, since everything is kept by run and path.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from logkeel.records import RunEvent
from logkeel.runs.core.paths import place_in_code
from logkeel.runs.core.state import RunState

_BLOCK_ENDS = frozenset({"block_left", "block_timed_out", "block_rescued"})
_ANEW = frozenset({"run_started", "run_forked", "run_retried"})


class OpenStep(NamedTuple):
    """A step that has not ended; `since_ms`: when it was first dispatched."""

    step: str
    phase: str
    since_ms: int


class Change(NamedTuple):
    """What one turn did to one run. A step or question that is None has ended; `ended_below`: so has all below it."""

    run_id: str
    workflow: str
    is_open: bool
    is_paused: bool
    steps: Mapping[str, OpenStep | None]
    questions: Mapping[str, int | None]
    ended_below: tuple[str, ...]


def change_of(state: RunState, events: Sequence[RunEvent]) -> Change:
    """Read it off, within the turn: each step that an event is about, as it is now."""
    steps: dict[str, OpenStep | None] = {}
    questions: dict[str, int | None] = {}
    below: list[str] = []
    if not state.running:
        return Change(state.info.run_id, state.info.workflow, False, False, steps, questions, ())
    for event in events:
        path, kind = event.path, event.kind
        if path is None:
            continue
        if kind == "question_asked":
            questions[path] = event.at_ms
        elif kind in ("question_answered", "wait_ended"):
            questions[path] = None
        elif kind in _BLOCK_ENDS:
            below.append(path)
        elif event.step is not None or kind.startswith("step_"):
            steps[path] = _open_step(state, path)
            if steps[path] is None:
                below.append(path)
    return Change(
        state.info.run_id, state.info.workflow, True, _paused(state), steps, questions, tuple(dict.fromkeys(below))
    )


def survey_of(state: RunState) -> Change:
    """The whole of a run that has not ended."""
    steps = {path: _open_step(state, path) for path in list(state.steps)} if state.head.open_steps else {}
    waits = state.waits.items() if state.head.open_waits else ()
    questions: dict[str, int | None] = {path: wait.since_ms for path, wait in waits if wait.kind == "question"}
    for path, step in steps.items():
        if step is not None and step.phase == "suspended":
            for position, wait in state.journal_waits.of(path):
                entry = state.journal.get((path, position))
                if wait.kind == "question":
                    questions[place_in_code(path, position)] = step.since_ms if entry is None else entry.at_ms
    return Change(state.info.run_id, state.info.workflow, state.running, _paused(state), steps, questions, ())


def _open_step(state: RunState, path: str) -> OpenStep | None:
    step = state.steps.get(path)
    return OpenStep(step.step, step.phase, step.first_dispatched_ms) if step is not None and step.is_open else None


def _paused(state: RunState) -> bool:
    return state.head.paused_at_ms is not None


@dataclass(slots=True)
class _Run:
    workflow: str
    paused: bool = False
    steps: dict[str, OpenStep] = field(default_factory=dict)
    questions: dict[str, int] = field(default_factory=dict)

    @property
    def status(self) -> str:
        if self.paused:
            return "paused"
        return "waiting_for_human" if self.questions and not any(map(_moves, self.steps.values())) else "running"


def _moves(step: OpenStep) -> bool:
    return step.phase in ("dispatched", "started", "waiting")


Group = tuple[str, str]
Phase = tuple[str, str, str]
Place = tuple[str, str]


class Standing:
    """The open runs of one partition. Changed by one thread; the views may be read by another."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}
        self._statuses: Counter[Group] = Counter()
        self._phases: Counter[Phase] = Counter()
        self._steps: dict[Phase, dict[Place, int]] = {}
        self._questions: dict[str, dict[Place, int]] = {}

    def apply(self, change: Change) -> None:
        """Take a change over."""
        run = self._runs.get(change.run_id)
        if run is not None:
            self._statuses[run.workflow, run.status] -= 1
        if not change.is_open:
            if run is not None:
                self._end(change.run_id, run)
            return
        if run is None:
            run = self._runs[change.run_id] = _Run(change.workflow)
        run.paused = change.is_paused
        for path in change.ended_below:
            self._end_below(change.run_id, run, path)
        for path, step in change.steps.items():
            self._step(change.run_id, run, path, step)
        for path, since_ms in change.questions.items():
            self._question(change.run_id, run, path, since_ms)
        self._statuses[run.workflow, run.status] += 1

    def statuses(self) -> Mapping[Group, int]:
        """Runs by (workflow, status)."""
        return dict(self._statuses)

    def phases(self) -> Mapping[Phase, int]:
        """Open steps by (workflow, step, phase)."""
        return dict(self._phases)

    def oldest_steps(self) -> Mapping[Phase, int]:
        """Since when the oldest open step has been open, by (workflow, step, phase)."""
        return _oldest(self._steps)

    def questions(self) -> Mapping[str, tuple[int, int]]:
        """How many open questions there are, and since when the oldest waits, by workflow."""
        found = {workflow: list(places.values()) for workflow, places in list(self._questions.items())}
        return {workflow: (len(each), min(each, default=0)) for workflow, each in found.items()}

    def _end(self, run_id: str, run: _Run) -> None:
        del self._runs[run_id]
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
            phase = (run.workflow, before.step, before.phase)
            self._phases[phase] -= 1
            self._steps[phase].pop((run_id, path), None)
        if step is not None:
            run.steps[path] = step
            phase = (run.workflow, step.step, step.phase)
            self._phases[phase] += 1
            self._steps.setdefault(phase, {})[run_id, path] = step.since_ms

    def _question(self, run_id: str, run: _Run, path: str, since_ms: int | None) -> None:
        run.questions.pop(path, None)
        waiting = self._questions.setdefault(run.workflow, {})
        waiting.pop((run_id, path), None)
        if since_ms is not None:
            run.questions[path] = since_ms
            waiting[run_id, path] = since_ms


def _is_below(place: str, path: str) -> bool:
    return place == path or place.startswith((f"{path}/", f"{path}[", f"{path}?"))


def _oldest(groups: Mapping[Phase, Mapping[Place, int]]) -> dict[Phase, int]:
    found = {group: list(places.values()) for group, places in list(groups.items())}
    return {group: min(since) for group, since in found.items() if since}
