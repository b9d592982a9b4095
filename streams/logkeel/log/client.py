"""The log client port: the factory through which a shell reaches a cluster."""

from typing import Literal, Protocol

from logkeel.log.admin import Admin
from logkeel.log.consumer import SESSION_TIMEOUT_MS, GroupConsumer
from logkeel.log.producer import Producer, TransactionalProducer
from logkeel.log.reader import LogReader


class LogClient(Protocol):
    """Makes consumers, producers, readers and admins of one cluster."""

    def group_consumer(
        self, group_id: str, *, instance_id: str | None = None, session_timeout_ms: int = SESSION_TIMEOUT_MS
    ) -> GroupConsumer:
        """A group member, static if `instance_id` is given (KIP-345). Nothing is sent before `subscribe`."""
        ...

    def transactional_producer(
        self, transactional_id: str, *, transaction_timeout_ms: int = 10_000
    ) -> TransactionalProducer:
        """A fresh handle for that id; `init_transactions` must come first."""
        ...

    def producer(self) -> Producer:
        """An idempotent producer without transactions."""
        ...

    def reader(self, isolation: Literal["read_committed", "read_uncommitted"]) -> LogReader:
        """A reader without a group."""
        ...

    def admin(self) -> Admin:
        """An admin client."""
        ...
