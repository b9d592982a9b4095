"""What a plain producer has not sent yet is in its process, and ends with it."""

from random import Random

from logkeel.log import OutputRecord, TopicPlan
from logkeel.simulation import RandomConditions, SimulatedClient, SimulatedCluster


class _Slow(RandomConditions):
    def sending_ms(self) -> float:
        return 500.0


def _sent(cluster: SimulatedCluster) -> SimulatedClient:
    cluster.create_topic(TopicPlan("answers", 1))
    client = cluster.client()
    producer = client.producer()
    producer.produce(OutputRecord("answers", b"", b"", 0))
    assert cluster.logs()[0].end == 0
    return client


def test_a_record_is_sent_although_nobody_polls() -> None:
    cluster = SimulatedCluster(conditions=_Slow(Random(1)))
    _sent(cluster)
    cluster.advance(600.0)
    assert cluster.logs()[0].end == 1


def test_a_record_that_was_not_sent_dies_with_its_process() -> None:
    cluster = SimulatedCluster(conditions=_Slow(Random(1)))
    _sent(cluster).kill()
    cluster.advance(600.0)
    assert cluster.logs()[0].end == 0
