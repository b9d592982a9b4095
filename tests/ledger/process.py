"""One ledger process on a real broker.

`python -m tests.ledger.process BOOTSTRAP PREFIX SLOT STATE_DIRECTORY COMMIT_TIMEOUT_MS`

Prints `batch N` after each commit, so that a test knows where to strike. Runs until it is killed.
"""

import sys
import threading
from pathlib import Path

from tests.ledger.ledger import Ledger, LedgerTopics

from logkeel.exactly_once import BatchCounts, LoopPorts, LoopSettings, TransactionalLoop, Unobserved, take_slot
from logkeel.kafka import KafkaLogClient, SystemClock
from logkeel.tables import RocksStoreDirectory


class Printed(Unobserved):
    """Tells the parent what happens."""

    def batch_committed(self, counts: BatchCounts) -> None:
        """One line per transaction."""
        print(f"batch {counts.records + counts.timers}", flush=True)  # noqa: T201 - the parent reads it

    def error(self, where: str, error: Exception) -> None:
        """Errors the loop reacts to."""
        print(f"error {where}: {error!r}", flush=True)  # noqa: T201 - the parent reads it


def main(bootstrap: str, prefix: str, slot: str, state_directory: str, commit_timeout_ms: str) -> None:
    """Run the loop."""
    lock = take_slot(Path(state_directory), int(slot))
    settings = LoopSettings(
        application=prefix,
        group_id=prefix,
        slot=lock.slot,
        max_records=50,
        session_timeout_ms=6_000,
        commit_timeout_ms=int(commit_timeout_ms),
    )
    loop = TransactionalLoop(
        LoopPorts(KafkaLogClient(bootstrap), SystemClock(), RocksStoreDirectory(lock.directory / "tables")),
        Ledger(LedgerTopics(prefix)),
        settings,
        observer=Printed(),
    )
    loop.run(threading.Event())


if __name__ == "__main__":
    main(*sys.argv[1:])
