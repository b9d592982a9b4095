"""Who waits for what on `run-completions`, and what was read lately. Pure; the follower's thread owns it.

A wait names where its answer can be at the earliest. What has been read is kept for a while, so that a wait that comes
late finds its answer without reading the partition again.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from logkeel.records import RequestRejected, RunCompleted

KEPT = 10_000
"""Outcomes kept of each partition: some MB at most, and more than one process has runs in flight."""

Outcome = RunCompleted | RequestRejected


@dataclass(frozen=True, slots=True, eq=False)
class Wait:
    """Waits for the completion of `run_id`, or a rejection of `request_id` (None: rejections are someone else's)."""

    partition: int
    since: int
    run_id: str
    request_id: str | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """What an answer is found under, see `key_of`."""
        return (f"run {self.run_id}",) + (() if self.request_id is None else (f"request {self.request_id}",))

    def is_met_by(self, offset: int, outcome: Outcome) -> bool:
        """Whether this is the answer. An older completion belongs to an earlier run of the same id (P26)."""
        if offset < self.since:
            return False
        if isinstance(outcome, RunCompleted):
            return outcome.run_id == self.run_id
        return self.request_id is not None and outcome.request_id == self.request_id


def key_of(outcome: Outcome) -> str:
    """The run that completed, or the request that was rejected."""
    return f"run {outcome.run_id}" if isinstance(outcome, RunCompleted) else f"request {outcome.request_id}"


class PartitionBook:
    """One partition: outcomes read in `[first, position)`, the newest `KEPT` of them at hand."""

    def __init__(self, first: int, kept: int = KEPT) -> None:
        self.first = first
        self.position = first
        self._order: deque[tuple[int, str]] = deque()
        self._by_key: dict[str, list[tuple[int, Outcome]]] = {}
        self._kept = kept

    def reaches(self, since: int) -> bool:
        """Whether everything from `since` on is at hand or still to be read."""
        return since >= self.first

    def add(self, offset: int, outcome: Outcome | None) -> None:
        """One record was read; None if it is no outcome."""
        self.position = offset + 1
        if outcome is None:
            return
        key = key_of(outcome)
        self._order.append((offset, key))
        self._by_key.setdefault(key, []).append((offset, outcome))
        if len(self._order) > self._kept:
            self._forget(*self._order.popleft())

    def advance(self, position: int) -> None:
        """The partition's end was reached at `position`, behind markers."""
        self.position = max(self.position, position)

    def answers(self, wait: Wait) -> Iterator[Outcome]:
        """What was read already and meets the wait, oldest first."""
        known = sorted((each for key in wait.keys for each in self._by_key.get(key, ())), key=lambda each: each[0])
        return (outcome for offset, outcome in known if wait.is_met_by(offset, outcome))

    def _forget(self, offset: int, key: str) -> None:
        self.first = offset + 1
        kept = [each for each in self._by_key[key] if each[0] > offset]
        if kept:
            self._by_key[key] = kept
        else:
            del self._by_key[key]
