"""Faust on aiokafka, reading committed records only.

Engines write `run-events` in transactions, and an aborted one leaves its records on the log. Faust asks for
`isolation.level=read_committed` in its exactly-once mode only, which loses and duplicates (decision 0041).
"""

from typing import Any, cast

from aiokafka import AIOKafkaConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import Message


class CommittedThread(driver.AIOKafkaConsumerThread):
    """Makes the consumer as Faust does, with another isolation level."""

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        consumer: Any = super()._create_worker_consumer(transport)
        # Read when it is started. Faust has no setting for it; the test of aborted records keeps this true.
        consumer._isolation_level = "read_committed"
        return cast("AIOKafkaConsumer", consumer)


class CommittedConsumer(driver.Consumer):
    """Runs `CommittedThread`, and takes no acknowledgement from before a rebalance.

    Faust passes over what it had fetched before one, and acknowledges it: a crash before it has read that again would
    leave it out. An acknowledgement that is dropped here only makes the event come again.
    """

    def ack(self, message: Message) -> bool:
        """Whether it counts."""
        if not self.app.flow_control.is_active() or message.generation_id != self.app.consumer_generation_id:
            return False
        return super().ack(message)

    def _new_consumer_thread(self) -> CommittedThread:
        return CommittedThread(self, loop=self.loop, beacon=self.beacon)


class CommittedTransport(driver.Transport):
    """As Faust's own in all else."""

    Consumer = CommittedConsumer
