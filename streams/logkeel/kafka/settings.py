"""Options of the clients: what correctness rests on is fixed, the rest may be overridden.

The figures behind the defaults are in ARCHITECTURE section 4 and in the README of this room.
"""

from collections.abc import Mapping
from typing import Any

from logkeel.errors import ConfigInvalid
from logkeel.kafka.options import client_options

MESSAGE_MAX_BYTES = 10_000_000
"""Above any input limit plus envelope (P22): topics cap their own records below this."""

TRANSACTION_MARGIN_MS = 2_000
"""`message.timeout.ms` stays below the transaction time-out by this much (P18)."""

HEARTBEAT_MS = 500
"""A member hears of a rebalance in the answer to a heartbeat: so long may a hand-over take."""

_SHARED: dict[str, Any] = {
    # A broker that has just started may name no leader of a partition; the client asks again at its next refresh.
    "topic.metadata.refresh.interval.ms": 5_000,
    "reconnect.backoff.ms": 20,
    "socket.nagle.disable": True,
    "allow.auto.create.topics": False,
    "topic.metadata.propagation.max.ms": 5_000,
    "log.connection.close": True,
}
_CONSUMER: dict[str, Any] = {
    "enable.partition.eof": True,
    "fetch.wait.max.ms": 100,
    "fetch.queue.backoff.ms": 5,
    "fetch.error.backoff.ms": 5,
    "retry.backoff.ms": 5,
    "retry.backoff.max.ms": 5,
    "fetch.message.max.bytes": MESSAGE_MAX_BYTES,
    "queued.max.messages.kbytes": 65_536,
}
DELIVERY_TIMEOUT_MS = 20_000
"""Two sessions: a record that was not acknowledged by then is reported, and sent again by whoever must not lose it."""

_PRODUCER: dict[str, Any] = {
    "linger.ms": 0,
    "retry.backoff.ms": 5,
    "compression.type": "lz4",
    "message.max.bytes": MESSAGE_MAX_BYTES,
    "queue.buffering.max.messages": 500_000,
}
_FIXED_CONSUMER: dict[str, Any] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "partition.assignment.strategy": "range",
}
_FIXED_PRODUCER: dict[str, Any] = {"enable.idempotence": True, "acks": "all"}
FIXED = frozenset(
    {
        *_FIXED_CONSUMER,
        *_FIXED_PRODUCER,
        "isolation.level",
        "enable.partition.eof",
        "group.id",
        "group.instance.id",
        "transactional.id",
        "transaction.timeout.ms",
        "message.timeout.ms",
        "delivery.timeout.ms",
        "request.required.acks",
        "max.in.flight",
        "max.in.flight.requests.per.connection",
        "group.protocol",
        "session.timeout.ms",
        "log_cb",
        "error_cb",
        "logger",
        # Other names of the same.
        "auto.commit.enable",
        "auto.commit.interval.ms",
        "enable.gapless.guarantee",
        "group.protocol.type",
        "group.remote.assignor",
    }
)
_SECRET_WORDS = ("password", "passphrase", "secret", "key.pem", "oauthbearer.config", "token", "jaas", "keystore.key")


def check_overrides(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The overrides by librdkafka's names; they may be given by Java's (`options`).

    Raises `ConfigInvalid` for an option that correctness rests on, and for one that is not known.
    """
    for key in overrides:
        if key in FIXED:
            raise ConfigInvalid(f"the Kafka option {key!r} cannot be overridden: exactly-once rests on it", key=key)
    return client_options(overrides)


def masked(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The overrides with secrets hidden, for logs and errors."""
    return {key: "***" if any(word in key for word in _SECRET_WORDS) else value for key, value in overrides.items()}


def group_settings(group_id: str, instance_id: str | None, session_timeout_ms: int) -> dict[str, Any]:
    """Options of a group member."""
    settings: dict[str, Any] = {
        **_SHARED,
        **_CONSUMER,
        **_FIXED_CONSUMER,
        "isolation.level": "read_committed",
        "group.id": group_id,
        "session.timeout.ms": session_timeout_ms,
        "heartbeat.interval.ms": max(100, min(HEARTBEAT_MS, session_timeout_ms // 4)),
        "max.poll.interval.ms": max(300_000, session_timeout_ms),
    }
    if instance_id is not None:
        settings["group.instance.id"] = instance_id
    return settings


def reader_settings(isolation: str) -> dict[str, Any]:
    """Options of a reader without a group; the client wants a group id all the same and never uses it."""
    return {**_SHARED, **_CONSUMER, **_FIXED_CONSUMER, "isolation.level": isolation, "group.id": "logkeel-reader"}


def producer_settings() -> dict[str, Any]:
    """Options of an idempotent producer without transactions."""
    return {**_SHARED, **_PRODUCER, **_FIXED_PRODUCER, "message.timeout.ms": DELIVERY_TIMEOUT_MS}


def transactional_settings(transactional_id: str, transaction_timeout_ms: int) -> dict[str, Any]:
    """Options of a transactional producer."""
    return {
        **_SHARED,
        **_PRODUCER,
        **_FIXED_PRODUCER,
        "transactional.id": transactional_id,
        "transaction.timeout.ms": transaction_timeout_ms,
        "message.timeout.ms": max(1_000, transaction_timeout_ms - TRANSACTION_MARGIN_MS),
    }
