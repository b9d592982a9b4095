"""One producer, many senders: who polls hears for all."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from logkeel.client.sending import AcknowledgedSender
from logkeel.errors import TopicMissing
from logkeel.log import OutputRecord, TopicPartition, TopicPlan
from logkeel.simulation import SimulatedCluster

SENDERS = 8


def test_every_sender_hears_of_its_own_record() -> None:
    cluster = SimulatedCluster()
    cluster.create_topic(TopicPlan("t", 2))
    gate = threading.Barrier(SENDERS)
    with closing(AcknowledgedSender(cluster.client().producer())) as sender:

        def send(number: int) -> bool:
            gate.wait()
            return sender.send(OutputRecord("t", None, b"%d" % number, number % 2), 30.0)

        with ThreadPoolExecutor(SENDERS) as threads:
            assert list(threads.map(send, range(SENDERS))) == [True] * SENDERS
    assert [cluster.log(TopicPartition("t", number)).end for number in (0, 1)] == [SENDERS // 2] * 2


def test_what_nobody_acknowledges_is_told_in_time() -> None:
    cluster = SimulatedCluster()
    cluster.create_topic(TopicPlan("t", 1))
    sender = AcknowledgedSender(cluster.client().producer())
    cluster.stop()
    assert not sender.send(OutputRecord("t", None, b"lost?", 0), 0.05)


def test_a_delivery_that_fails_raises() -> None:
    with closing(AcknowledgedSender(SimulatedCluster().client().producer())) as sender, pytest.raises(TopicMissing):
        sender.send(OutputRecord("nowhere", None, b"x", 0), 30.0)
