"""Makes the clients of one cluster."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

from confluent_kafka import KafkaException

from logkeel.errors import ConfigInvalid
from logkeel.kafka import settings
from logkeel.kafka.admin import KafkaAdmin
from logkeel.kafka.client_log import ClientLog
from logkeel.kafka.consumer import KafkaGroupConsumer
from logkeel.kafka.producer import KafkaProducer
from logkeel.kafka.reader import KafkaLogReader
from logkeel.kafka.transactions import KafkaTransactionalProducer
from logkeel.log import SESSION_TIMEOUT_MS

T = TypeVar("T")


class KafkaLogClient:
    """Implements `logkeel.log.LogClient`. `overrides` are options of librdkafka that correctness does not rest on.

    Raises `ConfigInvalid` for an option that must not be overridden, or that librdkafka does not know.
    """

    def __init__(self, bootstrap_servers: str, overrides: Mapping[str, Any] | None = None) -> None:
        if not bootstrap_servers:
            raise ConfigInvalid("no broker is named; give --bootstrap-servers host:port or LOGKEEL_BOOTSTRAP_SERVERS")
        self._bootstrap_servers = bootstrap_servers
        self._overrides = settings.check_overrides(overrides or {})

    def __repr__(self) -> str:
        return f"KafkaLogClient({self._bootstrap_servers!r}, {settings.masked(self._overrides)!r})"

    def _options(self, own: Mapping[str, Any]) -> dict[str, Any]:
        return {"logger": ClientLog(), **own, **self._overrides, "bootstrap.servers": self._bootstrap_servers}

    def group_consumer(
        self, group_id: str, *, instance_id: str | None = None, session_timeout_ms: int = SESSION_TIMEOUT_MS
    ) -> KafkaGroupConsumer:
        options = settings.group_settings(group_id, instance_id, session_timeout_ms)
        return self._made(KafkaGroupConsumer, self._options(options))

    def transactional_producer(
        self, transactional_id: str, *, transaction_timeout_ms: int = 10_000
    ) -> KafkaTransactionalProducer:
        options = settings.transactional_settings(transactional_id, transaction_timeout_ms)
        return self._made(KafkaTransactionalProducer, self._options(options))

    def producer(self) -> KafkaProducer:
        return self._made(KafkaProducer, self._options(settings.producer_settings()))

    def reader(self, isolation: Literal["read_committed", "read_uncommitted"]) -> KafkaLogReader:
        return self._made(KafkaLogReader, self._options(settings.reader_settings(isolation)))

    def admin(self) -> KafkaAdmin:
        return self._made(KafkaAdmin, self._options({}))

    def _made(self, kind: Callable[[Mapping[str, Any]], T], options: Mapping[str, Any]) -> T:
        try:
            return kind(options)
        except KafkaException as exception:
            raise ConfigInvalid(f"the Kafka client refuses its options: {exception.args[0].str()}") from exception
