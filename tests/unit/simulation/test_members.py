"""Members of a simulated group that are counted out: those that fell silent, and those that live."""

from collections.abc import Sequence

from logkeel.log import GroupMetadata, TopicPartition, TopicPlan
from logkeel.simulation import Conditions, SimulatedClient, SimulatedCluster

SESSION_MS = 10_000
TASKS = TopicPartition("tasks", 0)


class Late(Conditions):
    """The last heartbeat was a while ago."""

    def unheard_ms(self) -> float:
        return 2_500.0


class Member:
    """One process of a group, and what it hears."""

    def __init__(self, cluster: SimulatedCluster, name: str) -> None:
        self.heard: list[str] = []
        self.client: SimulatedClient = cluster.client()
        self._consumer = self.client.group_consumer("group", instance_id=name, session_timeout_ms=SESSION_MS)
        self._consumer.subscribe(["tasks"], self)
        self.poll()

    def poll(self) -> None:
        for _ in range(5):
            self._consumer.fetch(10, 0.0)

    def on_assigned(self, partitions: Sequence[TopicPartition], group: GroupMetadata) -> None:
        self.heard.append("assigned" if TASKS in partitions else "nothing")

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.heard.append("revoked")

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.heard.append("lost")


def cluster_of(conditions: Conditions) -> SimulatedCluster:
    cluster = SimulatedCluster(conditions=conditions)
    cluster.create_topic(TopicPlan("tasks", 1))
    return cluster


def test_a_session_ends_so_long_after_the_last_heartbeat_not_after_the_death() -> None:
    cluster = cluster_of(Late())
    first, second = Member(cluster, "a"), Member(cluster, "b")
    first.poll()
    second.poll()
    first.client.kill()
    cluster.advance(SESSION_MS - 2_600)
    second.poll()
    assert second.heard[-1] == "nothing"
    cluster.advance(200)
    second.poll()
    assert second.heard[-1] == "assigned"


def test_a_member_that_is_counted_out_has_lost_what_it_owned_and_joins_anew() -> None:
    cluster = cluster_of(Conditions())
    member = Member(cluster, "a")
    member.client.be_expelled()
    member.client.be_expelled()
    assert cluster.groups.group("group").members == {}
    member.poll()
    assert member.heard == ["assigned", "lost", "assigned"]
    assert len(cluster.groups.group("group").members) == 1
