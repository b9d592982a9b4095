"""One turn of a recorded history, and the state in which it found the run. Values only. For `redeciding`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from logkeel.records import RunEvent, StepIdentity
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.state import RunState, StepState

Input: TypeAlias = Callable[[Activation], None]
"""Decides one answer, timer or request."""


@dataclass(frozen=True, slots=True)
class RecordedTurn:
    """`events`: what one input led to, at least one. `state`: before them; who makes inputs from it leaves it as is."""

    state: RunState
    plan: Plan
    events: Sequence[RunEvent]

    @property
    def first(self) -> RunEvent:
        """The event that tells most of the input."""
        return self.events[0]

    @property
    def path(self) -> str:
        """What the first event is about; "" if it is about the run."""
        return self.first.path or ""

    @property
    def step(self) -> StepState:
        """The step that the first event is about. Raises `KeyError` if the run does not have it."""
        return self.state.steps[self.path]

    @property
    def request_id(self) -> str:
        """Of the request that led here."""
        return self.first.request_id or ""

    def identity(self) -> StepIdentity:
        """The execution that the first event is about; what it does not say is that of the latest one."""
        first, step = self.first, self.state.steps.get(self.path)
        attempt, dispatch = (0, 0) if step is None else (step.attempt, step.dispatch)
        return StepIdentity(
            run_id=first.run_id,
            incarnation=first.incarnation,
            path=self.path,
            step=first.step or "",
            attempt=attempt if first.attempt is None else first.attempt,
            dispatch=dispatch if first.dispatch is None else first.dispatch,
        )
