"""The ports of `logkeel.log` on Apache Kafka: the only room that imports confluent_kafka."""

from logkeel.kafka.admin import KafkaAdmin
from logkeel.kafka.client import KafkaLogClient
from logkeel.kafka.consumer import KafkaGroupConsumer
from logkeel.kafka.features import finalized_features
from logkeel.kafka.membership import read_group_metadata
from logkeel.kafka.producer import KafkaProducer
from logkeel.kafka.reader import KafkaLogReader
from logkeel.kafka.system_clock import SystemClock
from logkeel.kafka.transactions import KafkaTransactionalProducer

__all__ = [
    "KafkaAdmin",
    "KafkaGroupConsumer",
    "KafkaLogClient",
    "KafkaLogReader",
    "KafkaProducer",
    "KafkaTransactionalProducer",
    "SystemClock",
    "finalized_features",
    "read_group_metadata",
]
