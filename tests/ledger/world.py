"""One ledger on a real broker: its topics, its postings, the processes that keep it, and the judge."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import msgspec
from tests.ledger.ledger import Ledger, LedgerTopics, Posting
from tests.ledger.verify import faults, read_books, rows_of

from logkeel.kafka import KafkaLogClient
from logkeel.log import OutputRecord
from logkeel.log.keyspace import END
from logkeel.tables import RocksStoreDirectory

PARTITIONS = 2


class Processes:
    """Ledger processes by slot; each has its output in a file."""

    def __init__(self, bootstrap: str, prefix: str, directory: Path, commit_timeout_ms: int) -> None:
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._commit_timeout_ms = commit_timeout_ms
        self.directory = directory
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, slot: int) -> None:
        """Start the process of a slot."""
        with self.output(slot).open("ab") as output:
            self._running[slot] = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.ledger.process",
                    self._bootstrap,
                    self._prefix,
                    str(slot),
                    self.directory,
                    str(self._commit_timeout_ms),
                ],
                cwd=Path(__file__).parents[2],
                stdout=output,
                stderr=output,
            )

    def output(self, slot: int) -> Path:
        """Where its lines go."""
        return self.directory / f"output-{slot}"

    def batches(self, slot: int) -> int:
        """How often it committed."""
        return self.count(slot, "batch ")

    def count(self, slot: int, said: str) -> int:
        """How often it said so."""
        path = self.output(slot)
        return path.read_bytes().count(said.encode()) if path.exists() else 0

    def signal(self, slot: int, number: int) -> None:
        """Send a signal."""
        self._running[slot].send_signal(number)
        if number == signal.SIGKILL:
            self._running.pop(slot).wait()

    def end(self) -> None:
        """Kill what is left."""
        for slot in list(self._running):
            self.signal(slot, signal.SIGCONT)
            self.signal(slot, signal.SIGKILL)


class World:
    """One ledger: topics, postings, processes."""

    def __init__(self, bootstrap: str, directory: Path, *, commit_timeout_ms: int = 8_000) -> None:
        prefix = f"ledger-{uuid4().hex[:8]}"
        self.client = KafkaLogClient(bootstrap)
        self.topics = LedgerTopics(prefix)
        self.processes = Processes(bootstrap, prefix, directory, commit_timeout_ms)
        admin = self.client.admin()
        admin.create_topics(self.topics.plans(PARTITIONS))
        admin.close()

    def post(self, count: int, *, seed: int) -> None:
        """Write deposits, transfers and a little poison."""
        rng = random.Random(seed)
        producer = self.client.producer()
        for number in range(count):
            deposit = number % 5 == 0
            posting = Posting(
                id=f"{seed}-{number}",
                target=f"a{rng.randrange(20)}",
                amount=rng.randrange(1, 100),
                source=None if deposit else f"a{rng.randrange(20)}",
                settle_after_ms=300 if number % 7 == 0 else None,
            )
            value = b"not a posting" if number % 997 == 500 else msgspec.json.encode(posting)
            topic = self.topics.deposits if deposit else self.topics.transfers
            producer.produce(OutputRecord(topic, posting.id.encode(), value, number % PARTITIONS))
        producer.flush(30)
        producer.close()

    def wait_for_batches(self, slot: int, more: int) -> None:
        """Until a process committed `more` often."""
        goal = self.processes.batches(slot) + more
        self.until(lambda: self.processes.batches(slot) >= goal, f"slot {slot} did not commit {more} times")

    def until(self, met: Callable[[], bool], message: str, timeout_s: float = 45) -> None:
        """Bounded polling."""
        deadline = time.monotonic() + timeout_s
        while not met():
            if time.monotonic() > deadline:
                outputs = "\n".join(path.read_text()[-1500:] for path in self.processes.directory.glob("output-*"))
                raise AssertionError(f"{message}\n{outputs}")
            time.sleep(0.02)

    def judge(self) -> None:
        """Wait until the books are complete, then look for faults."""
        self.until(lambda: not faults(read_books(self.client, self.topics, PARTITIONS)), "books stay wrong")

    def judge_stores(self, slot: int) -> None:
        """After everybody is dead: each store of a slot that came last equals the table of the log."""
        tables = read_books(self.client, self.topics, PARTITIONS).tables
        stores = RocksStoreDirectory(self.processes.directory / f"slot-{slot:04d}" / "tables")
        for partition in range(PARTITIONS):
            store = stores.open(Ledger.table, partition)
            assert rows_of(store) == tables[partition]
            assert any(True for _ in store.scan(b"", END))
            store.close()
