"""What a loop tells the log."""

from collections.abc import Sequence
from typing import Literal

import structlog

from logkeel.exactly_once import Unobserved

log = structlog.get_logger("logkeel.engine")


class LoggedLoop(Unobserved):
    """Tells the log what an operator wants to know of a loop."""

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
