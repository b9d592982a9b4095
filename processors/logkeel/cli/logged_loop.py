"""What a loop tells the log."""

import threading
from collections.abc import Callable, Sequence
from typing import Literal

import structlog

from logkeel.exactly_once import BatchCounts, SlotLock, TransactionalLoop, Unobserved

log = structlog.get_logger("logkeel.engine", role="engine")


def logged(loop: TransactionalLoop, lock: SlotLock) -> Callable[[threading.Event], None]:
    """`loop.run`, with a line when it begins and one when it has ended, however that was."""

    def run(stop: threading.Event) -> None:
        log.info("engine_started", slot=lock.slot)
        failure: BaseException | None = None
        try:
            loop.run(stop)
        except BaseException as error:
            failure = error
            raise
        finally:
            log.info("engine_stopped", slot=lock.slot, error=None if failure is None else repr(failure))

    return run


class LoggedLoop(Unobserved):
    """Tells the log what an operator wants to know of a loop."""

    def batch_committed(self, counts: BatchCounts) -> None:
        """For developers: far too many lines in production."""
        log.debug(
            "batch_committed",
            records=counts.records,
            timers=counts.timers,
            outputs=counts.outputs,
            rows=counts.rows,
            commit_ms=round(counts.commit_s * 1000, 1),
        )

    def resync_started(self, partitions: Sequence[int]) -> None:
        """Partitions stopped and catch up."""
        log.info("partitions_restoring", partitions=list(partitions))

    def resync_finished(self, partitions: Sequence[int], replayed: int, seconds: float) -> None:
        """Partitions run."""
        log.info("partitions_ready", partitions=list(partitions), replayed=replayed, ms=round(seconds * 1000))

    def rebalance(self, event: Literal["assigned", "revoked", "lost"], partitions: Sequence[int]) -> None:
        """The group moved partitions."""
        log.info(f"partitions_{event}", partitions=list(partitions))

    def poisoned(self, topic: str, partition: int, offset: int, error: Exception) -> None:
        """A dead letter."""
        log.error("dead_letter", topic=topic, partition=partition, offset=offset, error=repr(error))

    def error(self, where: str, error: Exception) -> None:
        """The loop reacts by itself; it matters when it lasts."""
        log.warning("loop_error", where=where, error=repr(error))
