"""A partition with an intact store goes on at once; its neighbour without one restores beside it, bite by bite."""

from collections.abc import Sequence

import msgspec
from tests.ledger.ledger import Ledger, LedgerTopics, Posting
from tests.ledger.verify import faults, read_books

from logkeel.exactly_once import LoopPorts, LoopSettings, TransactionalLoop, Unobserved
from logkeel.log import OutputRecord
from logkeel.simulation import MemoryStoreDirectory, SimulatedCluster

TOPICS = LedgerTopics("sim")


class Order(Unobserved):
    """What happened, in order."""

    def __init__(self) -> None:
        self.happened: list[str] = []

    def batch_committed(self, counts: object) -> None:
        self.happened.append("commit")

    def resync_finished(self, partitions: Sequence[int], replayed: int, seconds: float) -> None:
        self.happened.append(f"ready {list(partitions)} replayed {replayed > 0}")


def deposit(cluster: SimulatedCluster, name: str, partition: int) -> None:
    posting = Posting(id=name, target=f"{partition}-a", amount=1)
    record = OutputRecord(TOPICS.deposits, b"a", msgspec.json.encode(posting), partition)
    cluster.client().producer().produce(record)


def work(cluster: SimulatedCluster, stores: MemoryStoreDirectory) -> list[str]:
    order = Order()
    settings = LoopSettings(
        application="sim", group_id="sim", background_threads=False, restore_bite_ms=0, restore_near_rows=2
    )
    ports = LoopPorts(cluster.client(), cluster.clock, stores)
    loop = TransactionalLoop(ports, Ledger(TOPICS), settings, observer=order)
    loop.start()
    for _ in range(40):
        if not loop.turn():
            cluster.advance(100)
    loop.close()
    return order.happened


def test_an_intact_neighbour_commits_before_a_restore_is_over() -> None:
    cluster, stores = SimulatedCluster(), MemoryStoreDirectory()
    cluster.client().admin().create_topics(TOPICS.plans(2))
    for partition in (0, 1):
        deposit(cluster, f"first-{partition}", partition)
    work(cluster, stores)
    stores.destroy(Ledger.table, 0)
    for partition in (0, 1):
        deposit(cluster, f"second-{partition}", partition)
    happened = work(cluster, stores)
    restored = happened.index("ready [0] replayed True")
    neighbour = happened.index("ready [1] replayed False")
    assert neighbour < restored
    assert "commit" in happened[neighbour:restored]
    assert faults(read_books(cluster.client(), TOPICS, 2)) == []


def test_a_restore_that_is_dropped_goes_on_where_it_was() -> None:
    """Its rows are in the store with the offset behind them, so the next process replays the rest only."""
    cluster, stores = SimulatedCluster(), MemoryStoreDirectory()
    cluster.client().admin().create_topics(TOPICS.plans(1))
    for number in range(5):
        deposit(cluster, f"p{number}", 0)
    work(cluster, stores)
    elsewhere = MemoryStoreDirectory()
    assert "ready [0] replayed True" in work(cluster, elsewhere)
    assert "ready [0] replayed False" in work(cluster, elsewhere)
    assert faults(read_books(cluster.client(), TOPICS, 1)) == []
