"""The proxy before a real broker: an answer to EndTxn that is lost, and what the client makes of it."""

import uuid
from collections.abc import Callable

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from logkeel.broker import EmbeddedBroker
from logkeel.testing.frames import END_TXN
from logkeel.testing.proxy import TcpProxy

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def test_the_client_hides_a_lost_answer_to_end_txn(embedded_broker: Callable[..., EmbeddedBroker]) -> None:
    with TcpProxy() as proxy:
        broker = embedded_broker(advertised=proxy.address)
        proxy.target = broker.listener
        assert broker.bootstrap_servers == proxy.address
        topic = uuid.uuid4().hex
        admin = AdminClient({"bootstrap.servers": proxy.address})
        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(15)
        producer = Producer({"bootstrap.servers": proxy.address, "transactional.id": topic, "log_level": 0})
        producer.init_transactions(15)
        producer.begin_transaction()
        producer.produce(topic, b"x")
        rule = proxy.cut_at_response(END_TXN)
        producer.commit_transaction(15)  # P5: reported as a plain success
        assert rule.hits == 1
        assert proxy.dropped(END_TXN) == 1
        assert proxy.requests(END_TXN) >= 2
