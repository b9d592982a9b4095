"""A client of the simulated cluster: one process, with what a process can suffer."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from logkeel.errors import InvariantViolation, LogTimeout
from logkeel.log import SESSION_TIMEOUT_MS, TopicPartition
from logkeel.simulation.admin import SimulatedAdmin
from logkeel.simulation.consumer import SimulatedGroupConsumer
from logkeel.simulation.effects import EffectName, Probe, ProcessDied
from logkeel.simulation.producer import SimulatedProducer
from logkeel.simulation.reader import SimulatedReader
from logkeel.simulation.transactional_producer import SimulatedTransactionalProducer

if TYPE_CHECKING:
    from logkeel.simulation.cluster import SimulatedCluster

WAIT_MS = 50.0


class SimulatedClient:
    """Implements `logkeel.log.LogClient`. Made by `SimulatedCluster.client`.

    `probe` stands at every effect; `on_wait` lets time pass for a call that blocks; by default it moves the clock.
    """

    def __init__(self, cluster: "SimulatedCluster") -> None:
        self.cluster = cluster
        self.probe: Probe | None = None
        self.on_wait: Callable[[float], None] = cluster.advance
        self.producers: list[SimulatedTransactionalProducer] = []
        self.initialised: list[str] = []
        """Transactional ids, in the order in which this process initialised them; for judges."""
        self.unanswered: set[TopicPartition] = set()
        """Partitions whose committed offset was asked for last without an answer; for judges."""
        self.consumers: list[SimulatedGroupConsumer] = []
        self.readers: list[SimulatedReader] = []
        self.senders: list[SimulatedProducer] = []
        """Plain producers, in the order in which they were made, as all of these."""
        self.state: Literal["running", "frozen", "killed"] = "running"
        self.cut_off_ms: float | None = None
        """Since when no packet passes between it and the cluster; None while they do."""
        self._frozen_ms = 0.0

    def kill(self) -> None:
        """Die as by kill -9: members fall silent, transactions stay open; both until they time out."""
        self._fall_silent()
        self.state = "killed"

    def freeze(self) -> None:
        """Stop as by SIGSTOP: silent from now on."""
        if self.state == "running":
            self._fall_silent()
            self.state = "frozen"
            self._frozen_ms = self.cluster.time_ms

    def thaw(self) -> None:
        """Go on as by SIGCONT, unaware of what happened meanwhile."""
        if self.state == "frozen":
            self.state = "running"
            self._connect_again(self._frozen_ms)
            if self.cut_off_ms is None:
                self.cluster.expire()
                for consumer in self.consumers:
                    consumer.fall_silent(None)

    def cut_off(self) -> None:
        """Its network is gone: it goes on, and every call to the cluster waits, fails or brings nothing."""
        if self.state == "running" and self.cut_off_ms is None:
            self._fall_silent()
            self.cut_off_ms = self.cluster.time_ms
            for producer in self.producers:
                producer.disconnected()

    def reconnect(self) -> None:
        """The network is back; what became of its memberships meanwhile it hears with a heartbeat.

        One that is stopped sends none: it stays silent until it goes on.
        """
        if self.cut_off_ms is None:
            return
        self._connect_again(self.cut_off_ms)
        self.cut_off_ms = None
        if self.state == "running":
            self.cluster.expire()
            for consumer in self.consumers:
                consumer.reconnected()

    @property
    def is_reachable(self) -> bool:
        """Whether the cluster would answer."""
        return self.cut_off_ms is None and not self.cluster.is_down

    @property
    def may_be_passed_over(self) -> bool:
        """Whether a call now is answered at once, and finds what the last one left: nothing arrives, nothing ends."""
        cluster = self.cluster
        is_quiet = cluster.clock.elapsed_ms < cluster.quiet_until_ms and not cluster.is_down
        return is_quiet and self.state == "running" and self.cut_off_ms is None

    def be_expelled(self) -> None:
        """Its groups count it out, as when its heartbeats were lost; it goes on until it hears of it."""
        for consumer in self.consumers:
            if not consumer.is_closed:
                consumer.be_expelled()

    def check_running(self) -> None:
        """Every call begins with it.

        Raises `ProcessDied` once the process was killed, `InvariantViolation` if a driver lets a frozen one act.
        """
        if self.state != "running":
            if self.state == "killed":
                raise ProcessDied("a process that was killed calls the cluster")
            raise InvariantViolation(f"a process that is {self.state} calls the cluster")
        cluster = self.cluster
        if cluster.clock.elapsed_ms >= cluster.quiet_until_ms:  # most calls of a simulation find nothing over
            cluster.expire()

    def check_reachable(self) -> None:
        """As `check_running`. Raises `LogTimeout` while the broker is down, or the network."""
        self.check_running()
        if not self.is_reachable:
            raise LogTimeout("the broker does not answer")

    def await_broker(self, timeout_s: float) -> bool:
        """Wait while the broker is down, or the network, at most so long; whether it answers."""
        left_ms = timeout_s * 1_000
        while left_ms > 0 and not self.is_reachable:
            self.on_wait(min(WAIT_MS, left_ms))
            left_ms -= WAIT_MS
            self.check_running()
        return self.is_reachable

    def before(self, effect: EffectName) -> None:
        """An effect is about to happen: its way to the cluster takes time."""
        self.check_running()
        took_ms = self.cluster.conditions.call_ms(effect)
        if took_ms:
            self.cluster.advance(took_ms)
        if self.probe is not None:
            self.probe.before(effect)
            self._check_again()

    def after(self, effect: EffectName) -> None:
        """It has happened."""
        if self.probe is not None:
            self.probe.after(effect)
            self._check_again()

    def _check_again(self) -> None:
        """As `check_running`, which would mostly find nothing: effects are many."""
        cluster = self.cluster
        if self.state != "running" or cluster.clock.elapsed_ms >= cluster.quiet_until_ms:
            self.check_running()

    def group_consumer(
        self, group_id: str, *, instance_id: str | None = None, session_timeout_ms: int = SESSION_TIMEOUT_MS
    ) -> SimulatedGroupConsumer:
        consumer = SimulatedGroupConsumer(
            self, group_id, instance_id=instance_id, session_timeout_ms=session_timeout_ms
        )
        self.consumers.append(consumer)
        return consumer

    def transactional_producer(
        self, transactional_id: str, *, transaction_timeout_ms: int = 10_000
    ) -> SimulatedTransactionalProducer:
        producer = SimulatedTransactionalProducer(self, transactional_id, transaction_timeout_ms)
        self.producers.append(producer)
        return producer

    def producer(self) -> SimulatedProducer:
        sender = SimulatedProducer(self)
        self.senders.append(sender)
        return sender

    def reader(self, isolation: Literal["read_committed", "read_uncommitted"]) -> SimulatedReader:
        reader = SimulatedReader(self, committed_only=isolation == "read_committed")
        self.readers.append(reader)
        return reader

    def admin(self) -> SimulatedAdmin:
        return SimulatedAdmin(self)

    def _connect_again(self, silent_since_ms: float) -> None:
        """Perhaps: what reads goes on from where it was, over connections that bring nothing at first."""
        if self.cluster.conditions.drops_connections(self.cluster.time_ms - silent_since_ms):
            for consumer in self.consumers:
                consumer.cursors.disconnected()
            for reader in self.readers:
                reader.cursors.disconnected()

    def _fall_silent(self) -> None:
        self.cluster.expire()
        for consumer in self.consumers:
            consumer.fall_silent(self.cluster.clock.now_ms() - int(self.cluster.conditions.unheard_ms()))
