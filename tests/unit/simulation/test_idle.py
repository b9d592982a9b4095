"""What brings nothing: fetches are known to before they are played, and what they draw is drawn."""

from collections.abc import Sequence
from random import Random

from logkeel.log import GroupMetadata, OutputRecord, TopicPartition, TopicPlan
from logkeel.simulation import RandomConditions, SimulatedCluster
from logkeel.simulation.conditions import Conditions

PLACE = TopicPartition("events", 0)
SESSION_MS = 10_000


def test_a_fetch_that_is_passed_over_draws_what_it_would() -> None:
    one, other = Random(5), Random(5)
    passing, playing = RandomConditions(one), RandomConditions(other)
    for places in (1, 2, 6, 0, 3) * 40:
        passing.pass_over(places)
        Conditions.pass_over(playing, places)
        assert one.getstate() == other.getstate()


def test_a_reader_knows_when_nothing_is_new() -> None:
    cluster = SimulatedCluster()
    cluster.create_topic(TopicPlan("events", 2))
    reader, producer = cluster.client().reader("read_committed"), cluster.client().producer()
    reader.assign({PLACE: 0, TopicPartition("events", 1): 0})
    assert reader.idle_places() is None  # it has not connected
    assert reader.fetch(10, 0.0).ends == {PLACE: 0, TopicPartition("events", 1): 0}
    assert reader.idle_places() == 2
    producer.produce(OutputRecord("events", b"key", b"value", 0))
    assert reader.idle_places() is None
    assert len(reader.fetch(10, 0.0).records) == 1
    assert reader.idle_places() == 2
    cluster.delete_topic("events")
    cluster.create_topic(TopicPlan("events", 2))
    assert reader.idle_places() is None


def test_an_open_transaction_brings_nothing_until_it_is_marked() -> None:
    cluster = SimulatedCluster()
    cluster.create_topic(TopicPlan("events", 1))
    reader = cluster.client().reader("read_committed")
    reader.assign({PLACE: 0})
    reader.fetch(10, 0.0)
    producer = cluster.client().transactional_producer("writer")
    producer.init_transactions(1.0)
    producer.begin()
    producer.produce(OutputRecord("events", b"key", b"value", 0))
    assert reader.idle_places() == 1
    producer.commit(1.0)
    assert reader.idle_places() is None


def test_who_falls_silent_is_expelled_when_its_session_is_over_and_not_before() -> None:
    """Whoever calls: in between, calls find that nothing is over."""
    cluster = SimulatedCluster(conditions=RandomConditions(Random(2)))
    cluster.create_topic(TopicPlan("events", 1))
    client, other = cluster.client(), cluster.client()
    consumer = client.group_consumer("group", session_timeout_ms=SESSION_MS)
    consumer.subscribe(["events"], _Deaf())
    for _ in range(3):
        consumer.fetch(1, 0.0)
    client.kill()
    (member,) = cluster.groups.group("group").members.values()
    silent_since_ms = member.silent_since_ms or 0
    while cluster.clock.now_ms() - silent_since_ms <= SESSION_MS:
        assert cluster.groups.group("group").members
        cluster.clock.advance(7.3)
        other.check_running()
    assert not cluster.groups.group("group").members
    assert not cluster.groups.has_silent


class _Deaf:
    """A listener that does nothing with what it owns."""

    def on_assigned(self, partitions: Sequence[TopicPartition], group: GroupMetadata) -> None:
        """Nothing."""

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Nothing."""

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Nothing."""
