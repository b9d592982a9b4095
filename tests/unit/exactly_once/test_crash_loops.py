"""P21: what kills its process again and again is set aside, and nothing else is."""

from collections.abc import Callable

import msgspec
import pytest
from tests.ledger.crashing import CrashNow
from tests.ledger.ledger import Ledger, LedgerTopics, Posting, Receipt

from logkeel.errors import InvariantViolation, StoreUnavailable
from logkeel.exactly_once import LoopPorts, LoopSettings, Timer, TransactionalLoop, Turn
from logkeel.log import OutputRecord, Record, TopicPartition
from logkeel.simulation import MemoryStoreDirectory, SimulatedCluster

TOPICS = LedgerTopics("crash")
PATIENCE = 40
"""More lives than it may take."""


class DeadlyLedger(Ledger):
    """Raises `error` where a posting or a settlement has the id `deadly`."""

    def __init__(self, error: Callable[[], BaseException]) -> None:
        super().__init__(TOPICS)
        self._error = error

    def process(self, record: Record, turn: Turn) -> None:
        if b'"deadly"' in (record.value or b""):
            raise self._error()
        super().process(record, turn)

    def on_timer(self, timer: Timer, turn: Turn) -> None:
        if timer.timer_id == b"deadly-timer":
            raise self._error()
        super().on_timer(timer, turn)


class World:
    """One partition, and processes that come one after the other upon the same stores."""

    def __init__(self) -> None:
        self.cluster = SimulatedCluster()
        self.client = self.cluster.client()
        self.client.admin().create_topics(TOPICS.plans(1))
        self.stores = MemoryStoreDirectory()
        self.posted = 0

    def post(self, name: str | None = None, *, transfer: bool = False, settle_after_ms: int | None = None) -> None:
        """Post one deposit, or a transfer."""
        self.posted += 1
        posting = Posting(
            id=name or f"p{self.posted}",
            target="a",
            amount=1,
            source="b" if transfer else None,
            settle_after_ms=settle_after_ms,
        )
        topic = TOPICS.transfers if transfer else TOPICS.deposits
        self.client.producer().produce(OutputRecord(topic, b"a", msgspec.json.encode(posting), 0))

    def live(self, error: Callable[[], BaseException], *, turns: int = 30) -> type[BaseException] | None:
        """One life; what ended it, or None if it left in good order."""
        machine = self.cluster.client()
        settings = LoopSettings(application="crash", group_id="crash", background_threads=False)
        loop = TransactionalLoop(LoopPorts(machine, self.cluster.clock, self.stores), DeadlyLedger(error), settings)
        loop.start()
        try:
            for _ in range(turns):
                if not loop.turn():
                    self.cluster.advance(100)
        except CrashNow as crash:
            machine.kill()
            self.stores.release_all()
            self.cluster.advance(11_000)
            return type(crash)
        except InvariantViolation as violation:
            loop.close(failed=True)
            return type(violation)
        loop.close()
        return None

    def letters(self) -> list[tuple[bytes, bytes]]:
        """Reason and content of every dead letter."""
        log = self.cluster.log(TopicPartition(TOPICS.dead_letters, 0))
        records, _ = log.read(0, 100, committed_only=True)
        return [(dict(record.headers)["dead.error"], record.value or b"") for record in records]

    def receipts(self) -> list[str]:
        """What was applied or settled, in that order."""
        log = self.cluster.log(TopicPartition(TOPICS.receipts, 0))
        records, _ = log.read(0, 1_000, committed_only=True)
        return [msgspec.json.decode(record.value or b"", type=Receipt).id for record in records]


def killed() -> BaseException:
    return CrashNow("out of memory")


def impossible() -> BaseException:
    return InvariantViolation("cannot be")


@pytest.mark.parametrize("error", [killed, impossible])
def test_a_deadly_record_is_set_aside_although_another_input_moves_on(error: Callable[[], BaseException]) -> None:
    world = World()
    for _ in range(3):
        world.post(transfer=True)
    world.post("deadly", transfer=True)
    world.post(transfer=True)
    lives = 0
    while not world.letters():
        world.post()
        assert lives < PATIENCE
        world.live(error)
        lives += 1
    ((reason, content),) = world.letters()
    assert (reason, b'"deadly"' in content) == (b"crash_loop", True)
    assert world.live(error) is None
    assert len(set(world.receipts())) == len(world.receipts()) == world.posted - 1


@pytest.mark.parametrize("error", [killed, impossible])
def test_a_deadly_timer_is_set_aside(error: Callable[[], BaseException]) -> None:
    world = World()
    world.post("deadly-timer", settle_after_ms=300)
    world.post("other", settle_after_ms=500)
    for lives in range(PATIENCE):
        if world.letters():
            break
        world.live(error)
        assert lives < PATIENCE - 1
    assert [reason for reason, _ in world.letters()] == [b"crash_loop"]
    assert world.live(error) is None
    assert world.receipts() == ["deadly-timer", "other", "other"]


def test_a_store_that_fails_makes_no_record_suspicious() -> None:
    world = World()
    world.post("deadly")
    for _ in range(4):
        world.live(killed)
    failures = iter(range(7))

    def failing_store() -> BaseException:
        if next(failures, None) is None:
            return ValueError("poison at last")
        return StoreUnavailable("the disk is full")

    world.live(failing_store, turns=200)
    assert [reason for reason, _ in world.letters()] == [b"ValueError"]


def test_processes_that_leave_in_good_order_are_no_crashes() -> None:
    world = World()
    world.post()
    for _ in range(10):
        assert world.live(killed) is None
    store = world.stores.open(Ledger.table, 0)
    assert [key for key, _ in store.scan(b"\x00", b"\x01")] == [b"\x00marks"]
