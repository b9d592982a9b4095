"""The admin port: topics, offsets and group members."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from logkeel.log.records import TopicPartition


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """A topic as it should be. `config` holds Kafka topic settings by their names, values as strings."""

    name: str
    partitions: int
    replication_factor: int = 1
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TopicDescription:
    """A topic as it is. `topic_id` changes when a topic is deleted and made again (KIP-516)."""

    name: str
    topic_id: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A live member of a consumer group."""

    member_id: str
    instance_id: str | None
    assignment: tuple[TopicPartition, ...]


class Admin(Protocol):
    """Administration calls. Every method raises `LogUnavailable`, `LogTimeout` or `AuthorizationFailed`."""

    def describe_topics(self, names: Sequence[str], *, with_config: bool = False) -> Mapping[str, TopicDescription]:
        """The named topics that exist; missing ones are absent from the answer."""
        ...

    def create_topics(self, plans: Sequence[TopicPlan]) -> None:
        """Create topics that do not exist; existing ones are left as they are. Waits until they can be described."""
        ...

    def alter_topic_config(self, name: str, config: Mapping[str, str]) -> None:
        """Set these settings of one topic (incremental, KIP-339)."""
        ...

    def delete_topics(self, names: Sequence[str]) -> None:
        """Delete topics; missing ones are ignored."""
        ...

    def end_offsets(
        self, partitions: Sequence[TopicPartition], *, committed_only: bool
    ) -> Mapping[TopicPartition, int]:
        """End of each partition: the high watermark, or with `committed_only` the last stable offset."""
        ...

    def start_offsets(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The log start offset (low watermark) of each partition."""
        ...

    def group_members(self, group_id: str) -> Sequence[GroupMember]:
        """Live members of the group; empty for an unknown group."""
        ...

    def group_offsets(
        self, group_id: str, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, tuple[int, str]]:
        """Committed offsets and metadata of a group, pending ones not included; partitions without are absent."""
        ...

    def set_group_offsets(self, group_id: str, offsets: Mapping[TopicPartition, tuple[int, str]]) -> None:
        """Write offsets of a group without active members (P31's pre-commit)."""
        ...

    def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        """Delete records below these offsets (tests of P2 and P17)."""
        ...

    def close(self) -> None:
        """Release the client; idempotent."""
        ...
