"""The session's broker is a real one: transactions work, and topics must be made on purpose."""

import uuid

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

pytestmark = pytest.mark.kafka


def test_aborted_records_stay_hidden_and_committed_ones_appear(kafka_bootstrap: str) -> None:
    topic = f"session-{uuid.uuid4().hex}"
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(15)
    producer = Producer({"bootstrap.servers": kafka_bootstrap, "transactional.id": topic})
    producer.init_transactions(15)
    producer.begin_transaction()
    producer.produce(topic, b"aborted")
    producer.flush(15)
    producer.abort_transaction(15)
    producer.begin_transaction()
    producer.produce(topic, b"committed")
    producer.commit_transaction(15)
    consumer = Consumer(
        {
            "bootstrap.servers": kafka_bootstrap,
            "group.id": topic,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    consumer.subscribe([topic])
    try:
        message = consumer.poll(20)
        assert message is not None
        assert message.error() is None
        assert message.value() == b"committed"
    finally:
        consumer.close()


def test_a_topic_is_never_made_by_accident(kafka_bootstrap: str) -> None:
    topic = f"absent-{uuid.uuid4().hex}"
    producer = Producer({"bootstrap.servers": kafka_bootstrap, "topic.metadata.propagation.max.ms": "500"})
    errors: list[object] = []
    producer.produce(topic, b"x", on_delivery=lambda error, _: errors.append(error))
    producer.flush(15)
    assert errors
    assert errors[0] is not None
    with pytest.raises(KafkaException):
        AdminClient({"bootstrap.servers": kafka_bootstrap}).delete_topics([topic])[topic].result(15)
