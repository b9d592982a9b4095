"""The ledger on the simulated cluster: crashes around every effect, commits in doubt, and the books stay right.

Exhaustive over a short history: first it is counted how many effects a run without crashes has, then one run per effect
and manner. What a run leaves behind is taken up by a second process with the same stores.
"""

from functools import cache

import msgspec
import pytest
from tests.ledger.crashing import CrashNow, CrashPlan, Manner, crashing
from tests.ledger.ledger import Ledger, LedgerTopics, Posting
from tests.ledger.verify import faults, fold_changelog, read_books, read_partition, rows_of

from logkeel.exactly_once import LoopPorts, LoopSettings, TransactionalLoop
from logkeel.log import OutputRecord, TopicPartition
from logkeel.simulation import MemoryStoreDirectory, SimulatedCluster

PARTITIONS = 2
TOPICS = LedgerTopics("sim")
SETTINGS = LoopSettings(application="sim", group_id="sim", max_records=2, background_threads=False)


class World:
    """One cluster with a ledger's topics and a short history, and the stores of one machine."""

    def __init__(self) -> None:
        self.cluster = SimulatedCluster()
        self.stores = MemoryStoreDirectory()
        self.client = self.cluster.client()
        self.client.admin().create_topics(TOPICS.plans(PARTITIONS))

    def post(self, prefix: str) -> None:
        """A deposit, a transfer that settles, a deposit and poison, on each partition."""
        producer = self.client.producer()
        for number in range(PARTITIONS):
            account = f"{number}-a"
            for posting in (
                Posting(id=f"{prefix}-{number}-1", target=account, amount=100),
                Posting(id=f"{prefix}-{number}-2", source=account, target=f"{number}-b", amount=30, settle_after_ms=50),
                Posting(id=f"{prefix}-{number}-3", target=f"{number}-b", amount=7),
            ):
                topic = TOPICS.deposits if posting.source is None else TOPICS.transfers
                producer.produce(OutputRecord(topic, account.encode(), msgspec.json.encode(posting), number))
            producer.produce(OutputRecord(TOPICS.deposits, account.encode(), b"poison", number))
        producer.flush(1)

    def run(self, plan: CrashPlan, turns: int = 120) -> None:
        """One process, stepped until it dies or has had its turns; dead, it leaves what a killed process leaves."""
        process = self.cluster.client()
        client, stores = crashing(process, self.stores, plan)
        loop = TransactionalLoop(LoopPorts(client, self.cluster.clock, stores), Ledger(TOPICS), SETTINGS)
        try:
            loop.start()
            for _ in range(turns):
                if not loop.turn():
                    self.cluster.advance(100)
            loop.close()
        except CrashNow:
            process.kill()
            stores.release()

    def assert_books_are_right(self) -> None:
        """Each posting applied once; stores equal the fold of the changelog (P20)."""
        assert faults(read_books(self.client, TOPICS, PARTITIONS)) == []
        for number in range(PARTITIONS):
            store = self.stores.open(Ledger.table, number)
            folded = fold_changelog(read_partition(self.client, TopicPartition(TOPICS.changelog, number)))
            assert rows_of(store) == folded
            store.close()


@cache
def effects() -> int:
    """How many effects a run without a crash has."""
    world, plan = World(), CrashPlan()
    world.post("first")
    world.run(plan)
    world.assert_books_are_right()
    return plan.count


@pytest.mark.parametrize("manner", ["before", "after", "doubt_lost", "doubt_done"])
def test_no_crash_and_no_doubt_misplaces_money(manner: Manner) -> None:
    struck = set()
    for at in range(1, effects() + 1):
        world, plan = World(), CrashPlan(at, manner)
        world.post("first")
        world.run(plan)
        struck.add(plan.where)
        world.post("second")
        world.run(CrashPlan())
        world.assert_books_are_right()
    assert {"commit", "send_offsets", "produce", "flush", "write", "init_transactions"} <= struck
