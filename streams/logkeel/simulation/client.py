"""A client of the simulated cluster: one process, with what a process can suffer."""

from typing import TYPE_CHECKING, Literal

from logkeel.errors import InvariantViolation
from logkeel.simulation.admin import SimulatedAdmin
from logkeel.simulation.consumer import SimulatedGroupConsumer
from logkeel.simulation.producer import SimulatedProducer
from logkeel.simulation.reader import SimulatedReader
from logkeel.simulation.transactional_producer import SimulatedTransactionalProducer

if TYPE_CHECKING:
    from logkeel.simulation.cluster import SimulatedCluster


class SimulatedClient:
    """Implements `logkeel.log.LogClient`. Made by `SimulatedCluster.client`."""

    def __init__(self, cluster: "SimulatedCluster") -> None:
        self.cluster = cluster
        self._consumers: list[SimulatedGroupConsumer] = []
        self.state: Literal["running", "frozen", "killed"] = "running"

    def kill(self) -> None:
        """Die as by kill -9: members fall silent, transactions stay open; both until they time out."""
        self._fall_silent()
        self.state = "killed"

    def freeze(self) -> None:
        """Stop as by SIGSTOP: silent from now on."""
        if self.state == "running":
            self._fall_silent()
            self.state = "frozen"

    def thaw(self) -> None:
        """Go on as by SIGCONT, unaware of what happened meanwhile."""
        if self.state == "frozen":
            self.cluster.expire()
            for consumer in self._consumers:
                consumer.fall_silent(None)
            self.state = "running"

    def check_running(self) -> None:
        """Every call begins with it. Raises `InvariantViolation` if the driver lets a stopped process act."""
        if self.state != "running":
            raise InvariantViolation(f"a process that is {self.state} calls the cluster")
        self.cluster.expire()

    def group_consumer(
        self, group_id: str, *, instance_id: str | None = None, session_timeout_ms: int = 10_000
    ) -> SimulatedGroupConsumer:
        consumer = SimulatedGroupConsumer(
            self, group_id, instance_id=instance_id, session_timeout_ms=session_timeout_ms
        )
        self._consumers.append(consumer)
        return consumer

    def transactional_producer(
        self, transactional_id: str, *, transaction_timeout_ms: int = 10_000
    ) -> SimulatedTransactionalProducer:
        return SimulatedTransactionalProducer(self, transactional_id, transaction_timeout_ms)

    def producer(self) -> SimulatedProducer:
        return SimulatedProducer(self)

    def reader(self, isolation: Literal["read_committed", "read_uncommitted"]) -> SimulatedReader:
        return SimulatedReader(self, committed_only=isolation == "read_committed")

    def admin(self) -> SimulatedAdmin:
        return SimulatedAdmin(self)

    def _fall_silent(self) -> None:
        self.cluster.expire()
        for consumer in self._consumers:
            consumer.fall_silent(self.cluster.clock.now_ms())
