"""Whoever listens hears of outputs that are committed, with their place; never of others, and of none in doubt."""

from collections.abc import Sequence
from typing import Literal

import msgspec
import pytest
from tests.ledger.ledger import Ledger, LedgerTopics, Posting

from logkeel.exactly_once import LoopPorts, LoopSettings, Produced, TransactionalLoop
from logkeel.exactly_once.committing import HEARD_OUTPUTS
from logkeel.log import OutputRecord, Record, TopicPartition
from logkeel.simulation import MemoryStoreDirectory, SimulatedCluster

TOPICS = LedgerTopics("heard")
SETTINGS = LoopSettings(application="heard", group_id="heard", background_threads=False)
RECEIPTS = TopicPartition(TOPICS.receipts, 0)


class Listener:
    """Keeps what it hears, and what could be read then."""

    topics = frozenset({TOPICS.receipts})

    def __init__(self) -> None:
        self.heard: list[Produced] = []

    def committed(self, records: Sequence[Produced]) -> None:
        self.heard += records


class World:
    """A ledger with one partition, whose loop has a listener."""

    def __init__(self) -> None:
        self.cluster = SimulatedCluster()
        self.client = self.cluster.client()
        self.client.admin().create_topics(TOPICS.plans(1))
        self.listener = Listener()
        ports = LoopPorts(self.cluster.client(), self.cluster.clock, MemoryStoreDirectory(), self.listener)
        self.loop = TransactionalLoop(ports, Ledger(TOPICS), SETTINGS)
        self.loop.start()
        self.turns()

    def deposit(self, count: int) -> None:
        producer = self.client.producer()
        for number in range(count):
            posting = Posting(id=f"p-{number}", target="a", amount=1)
            producer.produce(OutputRecord(TOPICS.deposits, b"a", msgspec.json.encode(posting), 0))
        producer.flush(1)

    def turns(self, count: int = 40) -> None:
        for _ in range(count):
            if not self.loop.turn():
                self.cluster.advance(100)

    def receipts(self) -> list[Record]:
        reader = self.client.reader("read_committed")
        reader.assign({RECEIPTS: 0})
        found: list[Record] = []
        while records := reader.fetch(1_000, 0.2).records:
            found += records
        return found


def test_it_hears_what_can_be_read_with_its_place() -> None:
    world = World()
    world.deposit(3)
    world.turns()
    heard = [(each.place, each.offset, each.output.value) for each in world.listener.heard]
    assert heard == [(RECEIPTS, record.offset, record.value) for record in world.receipts()]
    assert len(heard) == 3


@pytest.mark.parametrize("fault", ["commit_abortable", "commit_lost_in_doubt", "commit_applied_in_doubt"])
def test_it_hears_nothing_of_a_commit_that_was_not_answered(
    fault: Literal["commit_abortable", "commit_lost_in_doubt", "commit_applied_in_doubt"],
) -> None:
    world = World()
    world.deposit(1)
    world.cluster.faults.plan(fault)
    world.turns(100)
    assert world.cluster.faults.left == 0
    heard = [each.offset for each in world.listener.heard]
    offsets = [record.offset for record in world.receipts()]
    assert len(offsets) == 1
    assert heard == ([] if fault == "commit_applied_in_doubt" else offsets)


def test_a_batch_of_many_outputs_is_left_to_the_log() -> None:
    world = World()
    world.deposit(HEARD_OUTPUTS + 1)
    world.turns(100)
    assert len(world.receipts()) == HEARD_OUTPUTS + 1
    assert world.listener.heard == []
