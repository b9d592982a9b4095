"""A ledger on a real broker and real stores, its engine on a thread of this process, and what may befall both."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import msgspec
from tests.ledger.ledger import Ledger, LedgerTopics, Posting
from tests.ledger.verify import faults, read_books

from logkeel.errors import LogUnavailable
from logkeel.exactly_once import LoopPorts, LoopSettings, Repair, TransactionalLoop, Unobserved
from logkeel.kafka import KafkaLogClient, SystemClock
from logkeel.log import Clock, OutputRecord, TopicPartition
from logkeel.tables import RocksStoreDirectory

LIVENESS_S = 120.0


class Watched(Unobserved):
    """Counts commits and keeps what the loop complained about."""

    def __init__(self) -> None:
        self.commits = 0
        self.errors: list[tuple[str, Exception]] = []
        self.ready: set[int] = set()

    def batch_committed(self, counts: object) -> None:
        """One more."""
        self.commits += 1

    def error(self, where: str, error: Exception) -> None:
        """Kept."""
        self.errors.append((where, error))

    def resync_finished(self, partitions: object, replayed: int, seconds: float) -> None:
        """These run."""
        if isinstance(partitions, list):
            self.ready |= set(partitions)


class Engine:
    """One loop on a thread. `ended_by` is what ended it, if it did not end by being asked to."""

    def __init__(self, loop: TransactionalLoop, watched: Watched) -> None:
        self.loop, self.watched = loop, watched
        self.ended_by: Exception | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.loop.run(self._stop)
        except Exception as error:  # noqa: BLE001 - told to the test's thread
            self.ended_by = error

    def stop(self) -> None:
        """End it in order."""
        self._stop.set()
        self._thread.join(LIVENESS_S)
        assert not self._thread.is_alive(), "the engine does not end"

    def until_ended(self) -> Exception:
        """Wait until an error ends it."""
        self._thread.join(LIVENESS_S)
        assert self.ended_by is not None, f"nothing ended it; it met {self.watched.errors}"
        return self.ended_by


class Site:
    """Topics of one ledger, and engines by slot below `directory`."""

    def __init__(self, bootstrap: str, directory: Path, *, partitions: int = 1, init_timeout_ms: int = 30_000) -> None:
        self.prefix = f"site{uuid4().hex[:8]}"
        self.bootstrap = bootstrap
        self.client = KafkaLogClient(bootstrap)
        self.admin = self.client.admin()
        self.topics = LedgerTopics(self.prefix)
        self.directory = directory
        self.partitions = partitions
        self.init_timeout_ms = init_timeout_ms
        self.posted = 0
        self.admin.create_topics(self.topics.plans(partitions))

    def changelog(self, partition: int = 0) -> TopicPartition:
        """Of one partition."""
        return TopicPartition(self.topics.changelog, partition)

    def tables(self, slot: int = 0) -> Path:
        """Where an engine keeps its stores."""
        return self.directory / f"slot-{slot:04d}" / "tables"

    def ports(self, slot: int = 0, *, clock: Clock | None = None) -> LoopPorts:
        """Of one engine."""
        return LoopPorts(self.client, clock or SystemClock(), RocksStoreDirectory(self.tables(slot)))

    def settings(self, slot: int = 0) -> LoopSettings:
        """Of one engine."""
        return LoopSettings(
            application=self.prefix, group_id=self.prefix, slot=slot, init_timeout_ms=self.init_timeout_ms
        )

    def deposit(self, count: int = 1, *, partition: int = 0, name: str = "p") -> None:
        """Post, and wait until it is on the log."""
        producer = self.client.producer()
        for _ in range(count):
            self.posted += 1
            posting = Posting(id=f"{name}{self.posted}", target=f"{partition}-a{self.posted % 3}", amount=1)
            producer.produce(OutputRecord(self.topics.deposits, b"a", msgspec.json.encode(posting), partition))
        producer.flush(30)
        producer.close()

    @contextmanager
    def engine(self, slot: int = 0, *, processor: Ledger | None = None, clock: Clock | None = None) -> Iterator[Engine]:
        """An engine that runs until the end of the block, if nothing ends it before."""
        watched = Watched()
        loop = TransactionalLoop(
            self.ports(slot, clock=clock), processor or Ledger(self.topics), self.settings(slot), observer=watched
        )
        engine = Engine(loop, watched)
        try:
            yield engine
        finally:
            engine.stop()

    @contextmanager
    def repair(self, slot: int = 0) -> Iterator[Repair]:
        """A repair that has joined."""
        with Repair(self.ports(slot), Ledger(self.topics), self.settings(slot)) as repair:
            repair.join()
            yield repair

    def work(self, slot: int = 0) -> None:
        """An engine until the books are right."""
        with self.engine(slot) as engine:
            self.judge(engine)

    def judge(self, engine: Engine | None = None) -> None:
        """Wait until every posting is booked exactly once."""

        def wrong() -> list[str]:
            assert engine is None or engine.ended_by is None, f"the engine ended: {engine.ended_by!r}"
            return faults(read_books(self.client, self.topics, self.partitions))

        self.until(lambda: not wrong(), lambda: f"books stay wrong: {wrong()[:5]}")

    def until(self, met: Callable[[], bool], said: Callable[[], str]) -> None:
        """Bounded polling."""
        deadline_s = time.monotonic() + LIVENESS_S
        while not met():
            assert time.monotonic() < deadline_s, said()
            time.sleep(0.05)

    def replace_changelog(self) -> None:
        """Delete it and make it again."""
        self.admin.delete_topics([self.topics.changelog])
        self.until(lambda: not self.admin.describe_topics([self.topics.changelog]), lambda: "it does not go away")
        self.admin.create_topics(self.topics.plans(self.partitions))

    def _deletes(self, before: int) -> bool:
        """A broker hears of the new policy a moment after it was accepted."""
        try:
            self.admin.delete_records({self.changelog(): before})
        except LogUnavailable:
            return False
        return True

    def truncate_changelog(self, before: int) -> None:
        """Lose the beginning, as a wrong cleanup policy does."""
        self.admin.alter_topic_config(self.topics.changelog, {"cleanup.policy": "delete"})
        self.until(lambda: self._deletes(before), lambda: "the topic's policy does not change")
        self.admin.alter_topic_config(self.topics.changelog, {"cleanup.policy": "compact"})
