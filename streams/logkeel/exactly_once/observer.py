"""What an outsider may watch of a loop. Observers never influence it; exceptions they raise end the loop.

`at` names the places between two effects, so that a test can stop a process exactly there.
"""

from collections.abc import Sequence
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

    def rebalance(self, event: Literal["assigned", "revoked", "lost"], partitions: Sequence[int]) -> None:
        """Ignored."""

    def poisoned(self, topic: str, partition: int, offset: int, error: Exception) -> None:
        """Ignored."""

    def error(self, where: str, error: Exception) -> None:
        """Ignored."""

    def at(self, place: Place) -> None:
        """Ignored."""
