"""Which partitions this member owns, under which generation, and in which epoch (P4, P9, P12).

A listener that only notes: callbacks are short (P10). The loop compares `epoch` around each fetch and drops what it
collected if it changed. Group metadata is taken from the assignment callback and from nowhere else (P4, P11b).
"""

from collections.abc import Callable, Sequence
from typing import Literal

from logkeel.errors import CoPartitioningBroken, InvariantViolation
from logkeel.log import GroupMetadata, TopicPartition

GroupEvent = Literal["assigned", "revoked", "lost"]


class Assignment:
    """Implements the port `AssignmentListener`. `on_event` is told after the fields have changed."""

    def __init__(self, inputs: tuple[str, ...], on_event: Callable[[GroupEvent], None]) -> None:
        self._inputs = inputs
        self._on_event = on_event
        self.epoch = 0
        self.group: GroupMetadata | None = None
        self.partitions: tuple[int, ...] = ()
        self.assigned: tuple[TopicPartition, ...] = ()
        self.problem: CoPartitioningBroken | None = None

    def on_assigned(self, partitions: Sequence[TopicPartition], group: GroupMetadata) -> None:
        """See `AssignmentListener`; checks membership (P4) and co-partitioning (P12)."""
        self.epoch += 1
        self.group = checked_group(group)
        self.assigned = tuple(partitions)
        self.problem = None
        try:
            self.partitions = co_partitions(self._inputs, partitions)
        except CoPartitioningBroken as error:
            self.partitions, self.problem = (), error
        self._on_event("assigned")

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """See `AssignmentListener`."""
        self._give_up("revoked")

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """See `AssignmentListener`."""
        self._give_up("lost")

    def _give_up(self, event: GroupEvent) -> None:
        self.epoch += 1
        self.group = None
        self.assigned = ()
        self.partitions = ()
        self._on_event(event)


def checked_group(group: GroupMetadata) -> GroupMetadata:
    """Metadata that fences (P4). Raises `InvariantViolation` for one the broker would not check."""
    if group.generation < 0 or not group.member_id:
        raise InvariantViolation(
            "an assignment without generation or member id would switch the broker's fence off",
            generation=group.generation,
            member_id=group.member_id,
        )
    return group


def co_partitions(inputs: Sequence[str], assigned: Sequence[TopicPartition]) -> tuple[int, ...]:
    """The partition numbers owned, equal for all inputs. Raises `CoPartitioningBroken` (P12)."""
    by_topic = {topic: sorted(tp.partition for tp in assigned if tp.topic == topic) for topic in inputs}
    numbers = by_topic[inputs[0]]
    if any(other != numbers for other in by_topic.values()):
        raise CoPartitioningBroken(
            "input topics are assigned with different partition numbers: all inputs are paused until every member "
            "subscribes to the same topics with equal partition counts",
            assigned=by_topic,
        )
    return tuple(numbers)
