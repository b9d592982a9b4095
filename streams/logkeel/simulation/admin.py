"""Administration of the simulated cluster."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from logkeel.errors import StaleGeneration
from logkeel.log import GroupMember, TopicDescription, TopicPartition, TopicPlan

if TYPE_CHECKING:
    from logkeel.simulation.client import SimulatedClient


class SimulatedAdmin:
    """Implements `logkeel.log.Admin`."""

    def __init__(self, client: "SimulatedClient") -> None:
        self._client = client
        self._cluster = client.cluster

    def describe_topics(self, names: Sequence[str], *, with_config: bool = False) -> Mapping[str, TopicDescription]:
        self._client.check_reachable()
        found = {name: self._cluster.description(name) for name in names}
        return {name: description for name, description in found.items() if description is not None}

    def create_topics(self, plans: Sequence[TopicPlan]) -> None:
        self._client.check_reachable()
        for plan in plans:
            self._cluster.create_topic(plan)

    def alter_topic_config(self, name: str, config: Mapping[str, str]) -> None:
        self._client.check_reachable()
        self._cluster.alter_topic(name, config)

    def delete_topics(self, names: Sequence[str]) -> None:
        self._client.check_reachable()
        for name in names:
            self._cluster.delete_topic(name)

    def end_offsets(
        self, partitions: Sequence[TopicPartition], *, committed_only: bool
    ) -> Mapping[TopicPartition, int]:
        self._client.check_reachable()
        with self._cluster.lock:
            return {p: self._cluster.log(p).readable_end(committed_only=committed_only) for p in partitions}

    def start_offsets(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        self._client.check_reachable()
        with self._cluster.lock:
            return {place: self._cluster.log(place).start for place in partitions}

    def group_members(self, group_id: str) -> Sequence[GroupMember]:
        self._client.check_reachable()
        with self._cluster.lock:
            members = self._cluster.groups.group(group_id).members.values()
            return [GroupMember(each.member_id, each.instance_id, each.assignment) for each in members]

    def group_offsets(
        self, group_id: str, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, tuple[int, str]]:
        self._client.check_reachable()
        with self._cluster.lock:
            offsets = self._cluster.groups.group(group_id).offsets
            return {place: offsets[place] for place in partitions if place in offsets}

    def set_group_offsets(self, group_id: str, offsets: Mapping[TopicPartition, tuple[int, str]]) -> None:
        self._client.check_reachable()
        with self._cluster.lock:
            group = self._cluster.groups.group(group_id)
            if group.members:
                raise StaleGeneration(f"group {group_id} has members; stop them first")
            group.store(offsets, group.next_order())

    def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        self._client.check_reachable()
        with self._cluster.lock:
            for place, offset in before.items():
                self._cluster.log(place).delete_before(offset)

    def close(self) -> None:
        """Nothing to release."""
