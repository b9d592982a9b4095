"""What an error of the client means to us (P11). Pure: a code and two flags in, one of our errors out."""

from confluent_kafka import KafkaError, KafkaException

from logkeel.errors import (
    ConsumerFenced,
    LogkeelError,
    LogTimeout,
    LogUnavailable,
    PositionOutOfRange,
    ProducerFatal,
    ProducerFenced,
    RecordTooLarge,
    StaleGeneration,
    TopicMissing,
    TransactionAbortable,
)
from logkeel.kafka.rights import Right, denied

STALE_MEMBERSHIP = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.STALE_MEMBER_EPOCH,
    }
)
FENCED_MEMBER = frozenset({KafkaError.FENCED_INSTANCE_ID, KafkaError._FENCED, KafkaError._FATAL})
FENCED_PRODUCER = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_ID_MAPPING,
    }
)
DENIED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError._AUTHENTICATION,
    }
)
MISSING_TOPIC = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION})
TIMED_OUT = frozenset(
    {KafkaError._TIMED_OUT, KafkaError.REQUEST_TIMED_OUT, KafkaError._TIMED_OUT_QUEUE, KafkaError._MSG_TIMED_OUT}
)
TOO_LARGE = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})
OUT_OF_RANGE = frozenset({KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET, KafkaError._NO_OFFSET})


def error_of(exception: KafkaException) -> KafkaError:
    """The error inside an exception of the client."""
    error: KafkaError = exception.args[0]
    return error


def transaction_error(error: KafkaError, *, doing: str, rights: tuple[Right, ...] = ()) -> LogkeelError:
    """Meaning of an error of a transactional call. A stale member is one although the client calls it abortable.

    `rights`: those that the call needs, to name the one that is missing; likewise below.
    """
    text = _text(error, doing)
    if error.code() in STALE_MEMBERSHIP:
        return StaleGeneration(text, kafka_code=error.name())
    if error.code() in FENCED_PRODUCER:
        return ProducerFenced(text, kafka_code=error.name())
    if error.code() in DENIED:
        return denied(text, error.name(), *rights)
    if error.txn_requires_abort():
        return TransactionAbortable(text, kafka_code=error.name())
    if error.fatal() or error.code() == KafkaError._STATE:
        return ProducerFatal(text, kafka_code=error.name())
    if error.code() in TOO_LARGE:
        return RecordTooLarge(text, kafka_code=error.name())
    if error.code() in TIMED_OUT or error.retriable():
        return LogTimeout(text, kafka_code=error.name())
    return ProducerFatal(text, kafka_code=error.name())


def consumer_error(error: KafkaError, *, doing: str, rights: tuple[Right, ...] = ()) -> LogkeelError | None:
    """Meaning of an error of a consumer or reader; None for one that the client mends by itself."""
    text = _text(error, doing)
    if error.code() in FENCED_MEMBER or error.fatal():
        return ConsumerFenced(
            f"{text}; another process has taken this member over: leave the process. If both are to run, each needs a"
            " slot of its own: engines of several hosts or state directories all begin at slot 0, give them --slot"
            " (`kafka-consumer-groups --describe --members` shows the host that holds it)",
            kafka_code=error.name(),
        )
    if error.code() in DENIED:
        return denied(text, error.name(), *rights)
    if error.code() in MISSING_TOPIC:
        return TopicMissing(f"{text}; make the topics with `logkeel topics apply`", kafka_code=error.name())
    if error.code() in OUT_OF_RANGE:
        return PositionOutOfRange(text, kafka_code=error.name())
    return None


def call_error(error: KafkaError, *, doing: str, rights: tuple[Right, ...] = ()) -> LogkeelError:
    """Meaning of an error of a plain request: admin, committed offsets, commits of workers."""
    text = _text(error, doing)
    # A consumer whose error is fatal was fenced: no other error of a consumer is.
    if error.code() in STALE_MEMBERSHIP or error.code() == KafkaError._FATAL:
        return StaleGeneration(text, kafka_code=error.name())
    if error.code() in TIMED_OUT:
        return LogTimeout(text, kafka_code=error.name())
    if error.code() in DENIED:
        return denied(text, error.name(), *rights)
    if error.code() in MISSING_TOPIC:
        return TopicMissing(f"{text}; make the topics with `logkeel topics apply`", kafka_code=error.name())
    if error.code() in TOO_LARGE:
        return RecordTooLarge(text, kafka_code=error.name())
    if error.code() in OUT_OF_RANGE:
        return PositionOutOfRange(text, kafka_code=error.name())
    return LogUnavailable(text, kafka_code=error.name())


def _text(error: KafkaError, doing: str) -> str:
    return f"{doing} failed: {error.str()} ({error.name()})"
