"""Whether anybody reads the input of a partition: what two looks at the engines' positions say. Pure.

A lag alone says nothing: an idle partition ends in markers of transactions, which no position passes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from logkeel.log import TopicPartition


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Ends of the engines' inputs, their group's positions there, and the partitions that its members hold."""

    ends: Mapping[TopicPartition, int] = field(default_factory=dict)
    positions: Mapping[TopicPartition, int] = field(default_factory=dict)
    held: frozenset[TopicPartition] = frozenset()


def standing_partitions(before: Look | None, now: Look, stood: frozenset[int]) -> frozenset[int]:
    """Partitions with input that no engine reads. `stood`: those of the look before.

    Either nobody holds one that has more than its position says; or input has come since the look before, and the
    position has not moved. Who stood still goes on doing so until the position moves.
    """
    found: set[int] = set()
    for place, end in now.ends.items():
        position = now.positions.get(place, 0)
        if end <= position:
            continue
        earlier = None if before is None else before.positions.get(place, 0)
        grew = before is not None and end > before.ends.get(place, end)
        stays = earlier == position and (grew or place.partition in stood)
        if place not in now.held or stays:
            found.add(place.partition)
    return frozenset(found)
