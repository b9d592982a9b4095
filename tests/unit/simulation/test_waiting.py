"""Simulated calls that wait: when one returns, what it waited for has happened, however times are rounded."""

from random import Random

from logkeel.log import OutputRecord, TopicPlan
from logkeel.simulation import RandomConditions, SimulatedClock, SimulatedCluster

ROUNDS = 3_000


def test_a_flush_returns_when_every_record_is_acknowledged() -> None:
    """Without it, a worker that gives its partitions up commits an offset before its dead letter."""
    cluster = SimulatedCluster(conditions=RandomConditions(Random(1)))
    cluster.create_topic(TopicPlan("letters", 1))
    producer = cluster.client().producer()
    acknowledged: list[int] = []
    for number in range(ROUNDS):
        producer.produce(OutputRecord("letters", b"", b"", 0), lambda place, offset, error: acknowledged.append(offset))
        producer.flush(1.0)
        assert acknowledged == list(range(number + 1))


def test_a_clock_arrives_where_it_is_sent_to() -> None:
    clock, draw = SimulatedClock(), Random(3)
    due_ms = 0.0
    for _ in range(ROUNDS):
        clock.advance(draw.random())
        due_ms = clock.elapsed_ms + draw.random() * 6.0
        clock.advance_to(due_ms)
        assert clock.elapsed_ms == due_ms
    clock.advance_to(0.0)
    assert clock.elapsed_ms == due_ms
