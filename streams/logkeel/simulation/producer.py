"""The plain producer of the simulated cluster, and delivery reports.

A record waits in the process until it is sent, by a thread of the client's own, and dies with the process; so does one
that meets a broker that is down. Reports come with `poll` and `flush`, once their time has come.
"""

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from logkeel.errors import LogTimeout, LogUnavailable, RecordTooLarge, TopicMissing
from logkeel.log import DeliveryCallback, OutputRecord, TopicPartition
from logkeel.simulation.effects import effect

if TYPE_CHECKING:
    from logkeel.simulation.client import SimulatedClient
    from logkeel.simulation.cluster import SimulatedCluster


class Deliveries:
    """Delivery reports that wait for `poll` or `flush`, in the order of the records."""

    def __init__(self, cluster: "SimulatedCluster") -> None:
        self._cluster = cluster
        self.waiting: deque[tuple[float, DeliveryCallback, TopicPartition, int]] = deque()
        """Due times first."""

    def add(self, on_delivery: DeliveryCallback | None, place: TopicPartition, offset: int) -> None:
        """Keep a report."""
        if on_delivery is not None:
            due_ms = self._cluster.time_ms + self._cluster.conditions.acknowledgement_ms()
            self.waiting.append((due_ms, on_delivery, place, offset))

    def serve(self) -> None:
        """Call what is due."""
        now_ms = self._cluster.clock.elapsed_ms
        while self.waiting and self.waiting[0][0] <= now_ms:
            _, report, place, offset = self.waiting.popleft()
            report(place, offset, None)

    def serve_all(self) -> None:
        """Wait for every report, and call it."""
        if self.waiting:
            self._cluster.advance_to(max(due_ms for due_ms, *_ in self.waiting))
        self.serve()

    def drop(self) -> None:
        """Forget what waits."""
        self.waiting.clear()


class SimulatedProducer:
    """Implements `logkeel.log.Producer`."""

    def __init__(self, client: "SimulatedClient") -> None:
        self.client = client
        self._cluster = client.cluster
        self._deliveries = Deliveries(client.cluster)
        self._unsent: deque[tuple[float, OutputRecord, DeliveryCallback | None]] = deque()

    @effect("send")
    def produce(self, output: OutputRecord, on_delivery: DeliveryCallback | None = None) -> None:
        self._cluster.check_size(output)
        self._cluster.log_of(output)
        wait_ms = self._cluster.conditions.sending_ms()
        due_ms = max([self._cluster.time_ms + wait_ms, *(due_ms for due_ms, *_ in self._unsent)])
        self._unsent.append((due_ms, output, on_delivery))
        self._cluster.later(due_ms - self._cluster.time_ms, self._send)

    def produce_all(self, outputs: Sequence[tuple[OutputRecord, DeliveryCallback]]) -> None:
        for output, on_delivery in outputs:
            try:
                self.produce(output, on_delivery)
            except TopicMissing as error:
                on_delivery(TopicPartition(output.topic, output.partition or 0), -1, error)
            except (RecordTooLarge, LogUnavailable) as error:
                on_delivery(self._cluster.log_of(output).place, -1, error)

    def poll(self, timeout_s: float) -> None:
        self.client.check_running()
        if self._unsent:
            self._send()
        if self._deliveries.waiting and self.client.cut_off_ms is None:
            self._deliveries.serve()

    @property
    def is_idle(self) -> bool:
        """Whether `poll` would do nothing. The cluster must be in reach."""
        now_ms = self._cluster.clock.elapsed_ms
        if self._unsent and self._unsent[0][0] <= now_ms:
            return False
        waiting = self._deliveries.waiting
        return not waiting or waiting[0][0] > now_ms

    def flush(self, timeout_s: float) -> None:
        self.client.check_running()
        if not self.client.await_broker(timeout_s):
            raise LogTimeout("records are not acknowledged: the broker does not answer")
        self._send_all()
        self._deliveries.serve_all()

    def close(self) -> None:
        if self._can_send():
            self._send_all()
            self._deliveries.serve_all()

    def _send_all(self) -> None:
        if self._unsent:
            self._cluster.advance_to(self._unsent[-1][0])
        self._send()

    def _send(self) -> None:
        """What is due, in order. A process that stands still sends it when it goes on."""
        while self._unsent and self._unsent[0][0] <= self._cluster.time_ms and self._can_send():
            _, output, on_delivery = self._unsent.popleft()
            self._deliveries.add(on_delivery, *self._cluster.append(output, None))

    def _can_send(self) -> bool:
        return self.client.state == "running" and self.client.is_reachable
