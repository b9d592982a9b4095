"""What a loop tells the log."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import structlog

from logkeel.exactly_once import BatchCounts, SlotLock, TransactionalLoop, Unobserved

Role = Literal["engine", "notifier"]


def _log(role: Role) -> Any:
    return structlog.get_logger(f"logkeel.{role}", role=role)


@contextmanager
def told(role: Role, **facts: Any) -> Iterator[None]:
    """A line when the block begins and one when it has ended, however that was."""
    log, failure = _log(role), None
    log.info(f"{role}_started", **facts)
    try:
        yield
    except BaseException as error:
        failure = repr(error)
        raise
    finally:
        log.info(f"{role}_stopped", **facts, error=failure)


def logged(loop: TransactionalLoop, lock: SlotLock) -> Callable[[threading.Event], None]:
    """`loop.run`, with a line when it begins and one when it has ended, however that was."""

    def run(stop: threading.Event) -> None:
        with told("engine", slot=lock.slot):
            loop.run(stop)

    return run


class LoggedLoop(Unobserved):
    """Tells the log what an operator wants to know of a loop."""

    def __init__(self, role: Role = "engine") -> None:
        self._log = _log(role)

    def batch_committed(self, counts: BatchCounts) -> None:
        """For developers: far too many lines in production."""
        self._log.debug(
            "batch_committed",
            records=counts.records,
            timers=counts.timers,
            outputs=counts.outputs,
            rows=counts.rows,
            commit_ms=round(counts.commit_s * 1000, 1),
        )

    def resync_started(self, partitions: Sequence[int]) -> None:
        """Partitions stopped and catch up."""
        self._log.info("partitions_restoring", partitions=list(partitions))

    def resync_finished(self, partitions: Sequence[int], replayed: int, seconds: float) -> None:
        """Partitions run."""
        self._log.info("partitions_ready", partitions=list(partitions), replayed=replayed, ms=round(seconds * 1000))

    def rebalance(self, event: Literal["assigned", "revoked", "lost"], partitions: Sequence[int]) -> None:
        """The group moved partitions."""
        self._log.info(f"partitions_{event}", partitions=list(partitions))

    def poisoned(self, topic: str, partition: int, offset: int, error: Exception) -> None:
        """A dead letter."""
        self._log.error("dead_letter", topic=topic, partition=partition, offset=offset, error=repr(error))

    def error(self, where: str, error: Exception) -> None:
        """The loop reacts by itself; it matters when it lasts."""
        self._log.warning("loop_error", where=where, error=repr(error))
