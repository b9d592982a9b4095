"""A group member in a process of its own: `python -m tests.conformance.outsider BOOTSTRAP GROUP TOPIC INSTANCE MS`.

Prints what its listener hears, a line per event. Runs until it is killed.
"""

import sys
from collections.abc import Sequence

from logkeel.kafka import KafkaLogClient
from logkeel.log import GroupMetadata, TopicPartition


class Printed:
    """A listener that tells the parent."""

    def on_assigned(self, partitions: Sequence[TopicPartition], group: GroupMetadata) -> None:
        self._print("assigned", partitions)

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self._print("revoked", partitions)

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        self._print("lost", partitions)

    def _print(self, event: str, partitions: Sequence[TopicPartition]) -> None:
        numbers = sorted(str(place.partition) for place in partitions)
        print(event, *numbers, flush=True)  # noqa: T201 - the parent reads it


def main(bootstrap: str, group_id: str, topic: str, instance_id: str, session_timeout_ms: str) -> None:
    """Fetch for ever."""
    consumer = KafkaLogClient(bootstrap).group_consumer(
        group_id, instance_id=instance_id, session_timeout_ms=int(session_timeout_ms)
    )
    consumer.subscribe([topic], Printed())
    while True:
        consumer.fetch(1, 0.1)


if __name__ == "__main__":
    main(*sys.argv[1:])
