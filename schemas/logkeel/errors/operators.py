"""The branch of the error tree that an operator reacts to: configuration, topics, disks, rights."""

from typing import ClassVar

from logkeel.errors.root import LogkeelError


class OperatorError(LogkeelError):
    """Configuration, topics, disks, rights."""

    code: ClassVar[str] = "operator_error"
    exit_code: ClassVar[int] = 15


class ConfigInvalid(OperatorError):
    """A setting is wrong or unknown."""

    code: ClassVar[str] = "config_invalid"


class TopicMissing(OperatorError):
    """A topic does not exist."""

    code: ClassVar[str] = "topic_missing"


class TopicMismatch(OperatorError):
    """A topic exists with settings that break a rule."""

    code: ClassVar[str] = "topic_mismatch"


class PartitionCountChanged(OperatorError):
    """The partition count differs from the one the state was made with."""

    code: ClassVar[str] = "partition_count_changed"


class CoPartitioningBroken(OperatorError):
    """Input topics have different partition counts or assignments (P12)."""

    code: ClassVar[str] = "co_partitioning_broken"


class PositionOutOfRange(OperatorError):
    """A position lies outside of the partition."""

    code: ClassVar[str] = "position_out_of_range"


class StateLost(OperatorError):
    """Store and changelog are gone although the group has positions (P2)."""

    code: ClassVar[str] = "state_lost"


class ChangelogReplaced(OperatorError):
    """The changelog topic was deleted and made again (P17)."""

    code: ClassVar[str] = "changelog_replaced"


class StoreAhead(OperatorError):
    """The store holds more than the changelog (P17)."""

    code: ClassVar[str] = "store_ahead"


class ChangelogTruncated(OperatorError):
    """The changelog lost its beginning (P17)."""

    code: ClassVar[str] = "changelog_truncated"


class StoreCorrupt(OperatorError):
    """The store on disk cannot be read."""

    code: ClassVar[str] = "store_corrupt"


class StoreLocked(OperatorError):
    """Another process holds the store."""

    code: ClassVar[str] = "store_locked"


class StoreStale(OperatorError):
    """A repair would put an older store in the place of a newer one."""

    code: ClassVar[str] = "store_stale"


class EnginesRunning(OperatorError):
    """A repair has to be alone with the partitions, and engines own some of them."""

    code: ClassVar[str] = "engines_running"


class SlotTaken(OperatorError):
    """Another process holds the slot (P13)."""

    code: ClassVar[str] = "slot_taken"


class ConsumerFenced(OperatorError):
    """Another process took this static member over; leave the process (P11)."""

    code: ClassVar[str] = "consumer_fenced"


class AuthenticationFailed(OperatorError):
    """The broker does not let this user in: the password is wrong, or it does not know the name."""

    code: ClassVar[str] = "authentication_failed"


class CertificateRefused(OperatorError):
    """The broker's certificate has expired, is for another name, or was signed by nobody we trust: see `reason`."""

    code: ClassVar[str] = "certificate_refused"


class AuthorizationFailed(OperatorError):
    """The broker refuses an operation; `operation`, `resource` and `name` say which right is lacking, if known."""

    code: ClassVar[str] = "authorization_failed"


class TransactionsUnavailable(OperatorError):
    """The broker answers, and initialises no transactional producer."""

    code: ClassVar[str] = "transactions_unavailable"


class TransactionHangs(OperatorError):
    """A transaction that is over keeps its partitions from being read: its markers were never written (KAFKA-20734)."""

    code: ClassVar[str] = "transaction_hangs"


class UnknownPayloadKey(OperatorError):
    """A payload is encrypted with a key that this process does not have; `key_id` names it."""

    code: ClassVar[str] = "unknown_payload_key"


class GatewayUnprotected(OperatorError):
    """The gateway is to listen where others reach it, and nobody would have to say who they are."""

    code: ClassVar[str] = "gateway_unprotected"


class BrokerError(OperatorError):
    """The embedded broker."""

    code: ClassVar[str] = "broker_error"


class ArtifactsUnavailable(BrokerError):
    """The Kafka jars cannot be fetched."""

    code: ClassVar[str] = "artifacts_unavailable"


class PortTaken(BrokerError):
    """The port is in use."""

    code: ClassVar[str] = "port_taken"


class DiskFull(BrokerError):
    """There is not enough room."""

    code: ClassVar[str] = "disk_full"


class BrokerLocked(BrokerError):
    """The data directory is held by another broker."""

    code: ClassVar[str] = "broker_locked"


class BrokerDied(BrokerError):
    """The broker process ended; its last log lines are in the message."""

    code: ClassVar[str] = "broker_died"


__all__ = [
    "ArtifactsUnavailable",
    "AuthenticationFailed",
    "AuthorizationFailed",
    "BrokerDied",
    "BrokerError",
    "BrokerLocked",
    "CertificateRefused",
    "ChangelogReplaced",
    "ChangelogTruncated",
    "CoPartitioningBroken",
    "ConfigInvalid",
    "ConsumerFenced",
    "DiskFull",
    "EnginesRunning",
    "GatewayUnprotected",
    "OperatorError",
    "PartitionCountChanged",
    "PortTaken",
    "PositionOutOfRange",
    "SlotTaken",
    "StateLost",
    "StoreAhead",
    "StoreCorrupt",
    "StoreLocked",
    "StoreStale",
    "TopicMismatch",
    "TopicMissing",
    "TransactionHangs",
    "TransactionsUnavailable",
    "UnknownPayloadKey",
]
