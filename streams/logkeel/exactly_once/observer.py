"""What an outsider may watch of a loop. Observers never influence it; exceptions they raise end the loop.

`at` names the places between two effects, so that a test can stop a process exactly there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Place = Literal[
    "after_process",
    "after_begin",
    "after_produce",
    "after_flush",
    "after_offsets",
    "after_commit",
    "after_store",
    "after_abort",
    "after_restore",
    "after_ready",
]


@dataclass(frozen=True, slots=True)
class BatchCounts:
    """One committed batch. Durations are monotonic seconds."""

    records: int
    timers: int
    outputs: int
    rows: int
    poison: int
    process_s: float
    commit_s: float


class Observer(Protocol):
    """Callbacks on the loop's thread; they must be short."""

    def batch_committed(self, counts: BatchCounts) -> None:
        """A transaction was committed and its rows are in the stores."""
        ...

    def resync_started(self, partitions: Sequence[int]) -> None:
        """These partitions stopped and catch up."""
        ...

    def resync_finished(self, partitions: Sequence[int], replayed: int, seconds: float) -> None:
        """These partitions run; `replayed` changelog records were applied."""
        ...

    def restoring(self, remaining: Mapping[int, int]) -> None:
        """So many changelog offsets are left to replay, by partition; told after each bite, 0 at the end."""
        ...

    def rebalance(self, event: Literal["assigned", "revoked", "lost"], partitions: Sequence[int]) -> None:
        """The group moved partitions."""
        ...

    def poisoned(self, topic: str, partition: int, offset: int, error: Exception) -> None:
        """A record or timer goes to the dead letters (offset -1 for a timer)."""
        ...

    def error(self, where: str, error: Exception) -> None:
        """The loop met an error and reacts by itself."""
        ...

    def at(self, place: Place) -> None:
        """The loop passed a named place."""
        ...


class Unobserved:
    """An observer that looks away; a convenient start for own ones."""

    def batch_committed(self, counts: BatchCounts) -> None:
        """Ignored."""

    def resync_started(self, partitions: Sequence[int]) -> None:
        """Ignored."""

    def resync_finished(self, partitions: Sequence[int], replayed: int, seconds: float) -> None:
        """Ignored."""

    def restoring(self, remaining: Mapping[int, int]) -> None:
        """Ignored."""

    def rebalance(self, event: Literal["assigned", "revoked", "lost"], partitions: Sequence[int]) -> None:
        """Ignored."""

    def poisoned(self, topic: str, partition: int, offset: int, error: Exception) -> None:
        """Ignored."""

    def error(self, where: str, error: Exception) -> None:
        """Ignored."""

    def at(self, place: Place) -> None:
        """Ignored."""


class SeveralObservers:
    """Tells each of several, in their order."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    def batch_committed(self, counts: BatchCounts) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.batch_committed(counts)

    def resync_started(self, partitions: Sequence[int]) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.resync_started(partitions)

    def resync_finished(self, partitions: Sequence[int], replayed: int, seconds: float) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.resync_finished(partitions, replayed, seconds)

    def restoring(self, remaining: Mapping[int, int]) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.restoring(remaining)

    def rebalance(self, event: Literal["assigned", "revoked", "lost"], partitions: Sequence[int]) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.rebalance(event, partitions)

    def poisoned(self, topic: str, partition: int, offset: int, error: Exception) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.poisoned(topic, partition, offset, error)

    def error(self, where: str, error: Exception) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.error(where, error)

    def at(self, place: Place) -> None:
        """See `Observer`."""
        for each in self._observers:
            each.at(place)
