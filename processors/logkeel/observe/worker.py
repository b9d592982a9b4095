"""Metrics of a worker: executions, how long they waited and took, and the calls inside of them."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from logkeel.observe import catalogue as c
from logkeel.observe.registry import Labels, Metrics
from logkeel.steps.attempt import Attempt
from logkeel.steps.execution import Outcome
from logkeel.steps.journal.calls import CallSeen
from logkeel.steps.logged import PUT_BACK, outcome_of
from logkeel.steps.observing import Unwatched


class StepMetrics(Unwatched):
    """Implements `logkeel.steps.StepObserver`. `running`: executions under way, asked when somebody scrapes."""

    def __init__(self, metrics: Metrics, queue: str) -> None:
        self._metrics = metrics
        self._queue = queue

    def counting(self, running: Callable[[], int]) -> None:
        """Who knows how many executions are under way."""
        queue = self._queue

        def reading() -> Mapping[Labels, float]:
            return {(queue,): running()}

        self._metrics.read(c.RUNNING, reading)

    def began(self, attempt: Attempt) -> None:
        """See `StepObserver`."""
        waited_ms = attempt.started_at_ms - attempt.command.dispatched_at_ms
        # Two clocks: one that goes ahead must not make it negative.
        self._metrics.observe(c.TO_START, max(0, waited_ms) / 1000, (attempt.command.workflow, self._queue))

    def ended(self, attempt: Attempt, outcome: Outcome | None, now_ms: int) -> None:
        """See `StepObserver`."""
        place = (attempt.command.workflow, attempt.command.identity.step, self._queue)
        what = outcome_of(outcome)
        self._metrics.add(c.EXECUTIONS, 1, (*place, what))
        if what != PUT_BACK:
            self._metrics.observe(c.STEP_SECONDS, max(0, now_ms - attempt.started_at_ms) / 1000, place)

    @contextmanager
    def calling(self, attempt: Attempt, call: CallSeen) -> Iterator[None]:
        """See `StepObserver`."""
        began_s, outcome = time.monotonic(), "failed"
        try:
            yield
            outcome = "succeeded"
        finally:
            place = (attempt.command.workflow, attempt.command.identity.step, outcome)
            self._metrics.observe(c.CALL_SECONDS, time.monotonic() - began_s, place)

    def dead_letter(self, topic: str, partition: int, offset: int) -> None:
        """See `StepObserver`."""
        self._metrics.add(c.DEAD_LETTERS, 1, (topic,))
