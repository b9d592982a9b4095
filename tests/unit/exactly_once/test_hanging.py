"""A transaction that nobody ends keeps a partition waiting: that is said, and the wait goes on until it is over."""

from tests.ledger.ledger import Ledger
from tests.unit.exactly_once.test_restoring import TOPICS, deposit

from logkeel.errors import TransactionHangs
from logkeel.exactly_once import LoopPorts, LoopSettings, TransactionalLoop, Unobserved
from logkeel.log import OutputRecord
from logkeel.simulation import MemoryStoreDirectory, SimulatedCluster


class Errors(Unobserved):
    """What was met."""

    def __init__(self) -> None:
        self.met: list[Exception] = []

    def error(self, where: str, error: Exception) -> None:
        self.met.append(error)


def test_a_transaction_that_stays_is_named_and_waited_for() -> None:
    cluster, stores, errors = SimulatedCluster(), MemoryStoreDirectory(), Errors()
    cluster.client().admin().create_topics(TOPICS.plans(1))
    deposit(cluster, "first", 0)
    # It outlives what any engine's may: as good as one whose markers were forgotten.
    hanging = cluster.client().transactional_producer("somebody", transaction_timeout_ms=900_000)
    hanging.init_transactions(1.0)
    hanging.begin()
    hanging.produce(OutputRecord(Ledger(TOPICS).changelog, b"\xff", b"", 0))
    hanging.flush(1.0)
    settings = LoopSettings(application="sim", group_id="sim", background_threads=False)
    loop = TransactionalLoop(
        LoopPorts(cluster.client(), cluster.clock, stores), Ledger(TOPICS), settings, observer=errors
    )
    loop.start()

    def running_after(seconds: int) -> list[int]:
        for _ in range(seconds * 10):
            loop.turn()
            cluster.advance(100)
        return list(loop.active_partitions)

    running_after(30)
    assert not any(isinstance(each, TransactionHangs) for each in errors.met)
    assert running_after(90) == []
    said = [each for each in errors.met if isinstance(each, TransactionHangs)]
    assert 2 <= len(said) <= 3
    assert said[0].details["partitions"] == [0]
    hanging.abort(1.0)
    assert running_after(5) == [0]
    loop.close()
