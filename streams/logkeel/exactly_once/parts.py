"""What the parts of a loop share: the ports they act through. Holds references only; decides and does nothing."""

from dataclasses import dataclass

from logkeel.exactly_once.observer import Observer
from logkeel.exactly_once.port import CommitListener, Processor
from logkeel.exactly_once.producers import ProducerPair
from logkeel.exactly_once.settings import LoopSettings
from logkeel.log import Admin, Clock, GroupConsumer, LogClient, StoreDirectory, TopicPartition


@dataclass(frozen=True, slots=True)
class LoopPorts:
    """What a loop acts through: a cluster, a clock, and the place of its stores."""

    client: LogClient
    clock: Clock
    stores: StoreDirectory
    listener: CommitListener | None = None
    """Hears of outputs once they are committed."""


@dataclass(slots=True)
class Parts:
    """Ports and settings of one loop. `consumer` is replaced when the loop joins its group anew."""

    client: LogClient
    clock: Clock
    stores: StoreDirectory
    processor: Processor
    settings: LoopSettings
    observer: Observer
    pair: ProducerPair
    admin: Admin
    consumer: GroupConsumer
    inputs: tuple[str, ...]

    def inputs_of(self, partitions: list[int]) -> list[TopicPartition]:
        """The input partitions that feed these table partitions."""
        return [TopicPartition(topic, partition) for partition in partitions for topic in self.inputs]

    def changelogs_of(self, partitions: list[int]) -> list[TopicPartition]:
        """The changelog partitions of these table partitions."""
        return [TopicPartition(self.processor.changelog, partition) for partition in partitions]
