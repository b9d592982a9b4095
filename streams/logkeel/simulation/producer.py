"""The plain producer of the simulated cluster. A record is on the log when `produce` returns; callbacks come later."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from logkeel.log import DeliveryCallback, OutputRecord, TopicPartition

if TYPE_CHECKING:
    from logkeel.simulation.client import SimulatedClient


class Deliveries:
    """Delivery reports that wait for `poll` or `flush`."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []

    def add(self, on_delivery: DeliveryCallback | None, place: TopicPartition, offset: int) -> None:
        """Keep a report."""
        if on_delivery is not None:
            self._waiting.append(lambda: on_delivery(place, offset, None))

    def serve(self) -> None:
        """Call what waits, in the order of the records."""
        waiting, self._waiting = self._waiting, []
        for report in waiting:
            report()

    def drop(self) -> None:
        """Forget what waits."""
        self._waiting = []


class SimulatedProducer:
    """Implements `logkeel.log.Producer`."""

    def __init__(self, client: "SimulatedClient") -> None:
        self._client = client
        self._deliveries = Deliveries()

    def produce(self, output: OutputRecord, on_delivery: DeliveryCallback | None = None) -> None:
        self._client.check_running()
        self._deliveries.add(on_delivery, *self._client.cluster.append(output, None))

    def poll(self, timeout_s: float) -> None:
        self._deliveries.serve()

    def flush(self, timeout_s: float) -> None:
        self._deliveries.serve()

    def close(self) -> None:
        if self._client.state == "running":
            self._deliveries.serve()
