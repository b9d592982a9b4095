"""What an engine of a world tells: reports for the trace and the monitor, commands for the worker beside it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from logkeel.exactly_once import BatchCounts, Produced, Unobserved

if TYPE_CHECKING:
    from logkeel.testing.world.processes import EngineProcess


class Watched(Unobserved):
    """Puts what a loop reports into the trace."""

    def __init__(self, process: "EngineProcess") -> None:
        self._process = process

    def _note(self, event: str, detail: str) -> None:
        world = self._process.world
        world.trace.note(world.elapsed_ms, self._process.name, event, detail)

    def batch_committed(self, counts: BatchCounts) -> None:
        """Counted for spin and progress."""
        self._note("COMMITTED", f"{counts.records} records, {counts.timers} timers, {counts.outputs} outputs")

    def resync_started(self, partitions: Sequence[int]) -> None:
        """Noted."""
        self._process.watch.resync_started(partitions)
        self._note("RESYNC", " ".join(map(str, partitions)))

    def resync_finished(self, partitions: Sequence[int], replayed: int, seconds: float) -> None:
        """Noted."""
        self._process.watch.ready(partitions)
        self._note("READY", f"{' '.join(map(str, partitions))} after {replayed} records")

    def rebalance(self, event: Literal["assigned", "revoked", "lost"], partitions: Sequence[int]) -> None:
        """Noted."""
        self._process.watch.regrouped(given_up=event != "assigned")
        self._note(event.upper(), " ".join(map(str, partitions)))

    def poisoned(self, topic: str, partition: int, offset: int, error: Exception) -> None:
        """Noted."""
        self._note("POISON", f"{topic}-{partition}@{offset}: {error!r}")

    def error(self, where: str, error: Exception) -> None:
        """Noted."""
        if where.startswith("transaction "):
            self._process.watch.transaction_failed(where.removeprefix("transaction "))
        self._note("ERROR", f"{where}: {error!r}"[:300])


class HeadStart:
    """Tells the worker beside an engine of commands, as `logkeel serve` does. Implements `CommitListener`.

    A hint: a worker that is dead, stands still or is inside of a call does not get it.
    """

    def __init__(self, engine: "EngineProcess") -> None:
        self._engine = engine

    @property
    def topics(self) -> Sequence[str]:
        """Of commands."""
        return (self._engine.world.names.step_commands(),)

    def committed(self, records: Sequence[Produced]) -> None:
        """Handed on at once."""
        worker = self._engine.world.housemate(self._engine)
        if worker is not None and not worker.is_busy:
            worker.hear([(place, offset, output.value) for place, offset, output in records if output.value])
