"""Metrics of a loop, and of an engine where the runs of its partitions stand.

Everything a turn decided is kept until the loop says that the batch was committed, and forgotten if it was not, so a
repeated batch is counted once. Counting is per batch: a turn costs a list entry and a look at the steps it touched.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeVar

from logkeel.exactly_once import BatchCounts, Unobserved
from logkeel.exactly_once.observer import Place
from logkeel.observe import catalogue as c
from logkeel.observe.registry import Labels, Metrics
from logkeel.observe.standing import Change, Standing, change_of, survey_of
from logkeel.records import RunEvent
from logkeel.runs.core.budgets import RESERVES
from logkeel.runs.core.state import RunState

L = TypeVar("L", bound=Labels)
Count = tuple[c.Metric, Labels]

_COUNTED: dict[str, tuple[c.Metric, str | None]] = {
    "run_started": (c.RUNS_STARTED, None),
    "run_completed": (c.RUNS_ENDED, None),
    "step_succeeded": (c.STEP_RESULTS, "succeeded"),
    "step_failed": (c.STEP_RESULTS, "failed"),
    "step_in_doubt": (c.STEP_RESULTS, "in_doubt"),
    "step_retry_scheduled": (c.RETRIES, None),
}
"""By kind of event: its counter and, where the kind says it, the last label."""

_USES = "step_"
"""Of these kinds, amounts are what a step or a call of its code has used, unless they are reserved. A child's share is
counted where the child's own steps settle it.
"""


def count(event: RunEvent, pending: dict[Count, int]) -> None:
    """Add to `pending` what one event adds to counters."""
    counted = _COUNTED.get(event.kind)
    if counted is not None:
        metric, third = counted
        key: Count
        if metric is c.RUNS_STARTED:
            key = (metric, (event.workflow,))
        elif metric is c.RUNS_ENDED:
            key = (metric, (event.workflow, event.status or ""))
        elif third is None:
            key = (metric, (event.workflow, event.step or ""))
        else:
            key = (metric, (event.workflow, event.step or "", third))
        pending[key] = pending.get(key, 0) + 1
    if event.amounts and event.kind.startswith(_USES) and event.kind not in RESERVES:
        for unit, amount in event.amounts.items():
            key = (c.USED, (event.workflow, event.step or "", unit))
            pending[key] = pending.get(key, 0) + amount


class EngineMetrics(Unobserved):
    """Implements `logkeel.exactly_once.Observer` and `logkeel.runs.RunObserver`. `now_ms`: for ages, on any thread."""

    def __init__(self, metrics: Metrics, now_ms: Callable[[], int]) -> None:
        self._metrics = metrics
        self._now_ms = now_ms
        self._standings: dict[int, Standing] = {}
        self._decided: list[tuple[int, Change]] = []
        self._surveyed: list[tuple[int, Change]] = []
        self._counts: dict[Count, int] = {}
        self._assigned: tuple[int, ...] = ()
        self._active: set[int] = set()
        self._remaining: dict[int, int] = {}
        metrics.read(c.RUNS_OPEN, lambda: self._summed(Standing.statuses))
        metrics.read(c.STEPS_OPEN, lambda: self._summed(Standing.phases))
        metrics.read(c.STEP_AGE, self._step_ages)
        metrics.read(c.HUMANS, lambda: {(each,): count for each, (count, _) in self._questions().items()})
        metrics.read(
            c.HUMAN_AGE, lambda: {(each,): self._age_s(since) for each, (_, since) in self._questions().items()}
        )
        metrics.read(c.PARTITIONS, self._partitions)
        metrics.read(c.RESTORE, lambda: {(str(each),): left for each, left in list(self._remaining.items())})

    # Of the runs

    def decided(self, partition: int, state: RunState, events: Sequence[RunEvent]) -> None:
        """See `RunObserver`."""
        self._decided.append((partition, change_of(state, events)))
        for event in events:
            count(event, self._counts)

    def opened(self, partition: int) -> None:
        """See `RunObserver`."""
        self._standings[partition] = Standing()

    def stands(self, partition: int, state: RunState) -> None:
        """See `RunObserver`. What was decided in the same batch comes before it."""
        self._surveyed.append((partition, survey_of(state)))
        if not self._decided:
            self._apply()

    # Of the loop

    def batch_committed(self, counts: BatchCounts) -> None:
        """See `Observer`."""
        metrics = self._metrics
        metrics.add(c.TRANSACTIONS)
        metrics.observe(c.COMMIT, counts.commit_s)
        metrics.observe(c.BATCH, counts.records)
        if counts.timers:
            metrics.add(c.TIMERS_FIRED, counts.timers)
        for (metric, labels), amount in self._counts.items():
            metrics.add(metric, amount, labels)
        self._apply()

    def at(self, place: Place) -> None:
        """See `Observer`."""
        if place == "after_abort":
            self._forget()

    def resync_started(self, partitions: Sequence[int]) -> None:
        """See `Observer`."""
        self._forget()
        self._active.difference_update(partitions)
        for partition in partitions:
            self._standings.pop(partition, None)

    def restoring(self, remaining: Mapping[int, int]) -> None:
        """See `Observer`."""
        self._remaining.update(remaining)

    def resync_finished(self, partitions: Sequence[int], replayed: int, seconds: float) -> None:
        """See `Observer`."""
        self._metrics.add(c.RESTORED, replayed)
        self._active.update(partitions)
        self._remaining.update(dict.fromkeys(partitions, 0))

    def rebalance(self, event: Literal["assigned", "revoked", "lost"], partitions: Sequence[int]) -> None:
        """See `Observer`. Whatever the event is, all partitions stop (P10)."""
        self._forget()
        self._standings.clear()
        self._active.clear()
        self._assigned = tuple(partitions) if event == "assigned" else ()
        self._remaining = dict.fromkeys(self._assigned, 0)

    def poisoned(self, topic: str, partition: int, offset: int, error: Exception) -> None:
        """See `Observer`."""
        self._metrics.add(c.DEAD_LETTERS, 1, (topic,))

    def error(self, where: str, error: Exception) -> None:
        """See `Observer`."""
        self._metrics.add(c.LOOP_ERRORS, 1, (where,))

    def _apply(self) -> None:
        for partition, change in (*self._decided, *self._surveyed):
            standing = self._standings.get(partition)
            if standing is not None:
                standing.apply(change)
        self._decided.clear()
        self._surveyed.clear()
        self._counts.clear()

    def _forget(self) -> None:
        """The batch was not committed. What a survey saw of runs that it did not touch still stands."""
        touched = {change.run_id for _, change in self._decided}
        self._decided.clear()
        self._surveyed = [(partition, change) for partition, change in self._surveyed if change.run_id not in touched]
        self._apply()

    # Readings

    def _summed(self, view: Callable[[Standing], Mapping[L, int]]) -> Mapping[Labels, float]:
        summed: Counter[Labels] = Counter()
        for standing in list(self._standings.values()):
            summed.update(view(standing))
        return summed

    def _step_ages(self) -> Mapping[Labels, float]:
        oldest: dict[Labels, int] = {}
        for standing in list(self._standings.values()):
            for group, since_ms in standing.oldest_steps().items():
                oldest[group] = min(oldest.get(group, since_ms), since_ms)
        return {group: self._age_s(since_ms) for group, since_ms in oldest.items()}

    def _questions(self) -> Mapping[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for standing in list(self._standings.values()):
            for workflow, (count, since_ms) in standing.questions().items():
                before, oldest_ms = found.get(workflow, (0, 0))
                ages = [each for each in (oldest_ms, since_ms) if each]
                found[workflow] = (before + count, min(ages, default=0))
        return found

    def _partitions(self) -> Mapping[Labels, float]:
        return {("assigned",): len(self._assigned), ("active",): len(self._active)}

    def _age_s(self, since_ms: int) -> float:
        return max(0.0, (self._now_ms() - since_ms) / 1000) if since_ms else 0.0
