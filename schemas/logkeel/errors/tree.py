"""The error tree, by who reacts.

    LogkeelError
    ├── AuthorError             the author of a workflow changes code
    │   ├── DefinitionError         definition_invalid
    │   ├── StepSignatureError      step_signature
    │   └── JournalDiverged         journal_diverged
    ├── StepError               raised by step code, decides about retries
    │   ├── Fail                    (the author's code)  never retried
    │   ├── RetryAfter              retry_after          retried no earlier than said
    │   ├── NotDone                 not_done             a ONCE effect surely did not happen
    │   └── CallFailed              call_failed          a journaled call failed for good
    ├── DataError               the sender of a record or input changes it
    │   ├── UndecodableRecord       undecodable_record
    │   ├── UnknownSchema           unknown_schema
    │   ├── InvalidInput            invalid_input
    │   ├── PayloadTooLarge         payload_too_large
    │   ├── RecordTooLarge          record_too_large
    │   ├── PayloadTampered         payload_tampered
    │   ├── BlobMissing             blob_missing
    │   └── CrashLoop               crash_loop
    ├── CallerError             the caller of client, CLI or HTTP changes the call
    │   ├── RunNotFound             run_not_found
    │   ├── LetterNotFound          letter_not_found
    │   ├── QuestionNotFound        question_not_found
    │   ├── RunFailed               run_failed
    │   ├── RequestWasRejected      request_rejected
    │   ├── WaitTimedOut            wait_timed_out
    │   ├── Unauthenticated         unauthenticated
    │   ├── Forbidden               forbidden
    │   └── TooManyRequests         too_many_requests
    ├── EngineError             the loop reacts by itself; an operator sees it when it lasts
    │   ├── LogUnavailable          log_unavailable
    │   │   └── LogTimeout              log_timeout
    │   ├── ClientStuck             client_stuck
    │   ├── TransactionAbortable    transaction_abortable
    │   │   └── StaleGeneration         stale_generation
    │   ├── ProducerFatal           producer_fatal
    │   │   └── ProducerFenced          producer_fenced
    │   ├── CommitInDoubt           commit_in_doubt
    │   ├── StoreUnavailable        store_unavailable
    │   ├── BlobStoreUnavailable    blob_store_unavailable
    │   ├── StepProcessDied         step_process_died
    │   ├── ReadModelBehind         read_model_behind
    │   └── InvariantViolation      invariant_violation
    └── OperatorError           configuration, topics, disks, rights
        ├── ConfigInvalid           config_invalid
        ├── TopicMissing            topic_missing
        ├── TopicMismatch           topic_mismatch
        ├── PartitionCountChanged   partition_count_changed
        ├── CoPartitioningBroken    co_partitioning_broken
        ├── PositionOutOfRange      position_out_of_range
        ├── StateLost               state_lost
        ├── ChangelogReplaced       changelog_replaced
        ├── StoreAhead              store_ahead
        ├── ChangelogTruncated      changelog_truncated
        ├── StoreCorrupt            store_corrupt
        ├── StoreLocked             store_locked
        ├── StoreStale              store_stale
        ├── EnginesRunning          engines_running
        ├── SlotTaken               slot_taken
        ├── ConsumerFenced          consumer_fenced
        ├── AuthenticationFailed    authentication_failed
        ├── CertificateRefused      certificate_refused
        ├── AuthorizationFailed     authorization_failed
        ├── TransactionsUnavailable transactions_unavailable
        ├── TransactionHangs        transaction_hangs
        ├── UnknownPayloadKey       unknown_payload_key
        ├── GatewayUnprotected      gateway_unprotected
        └── BrokerError             the embedded broker
            ├── ArtifactsUnavailable    artifacts_unavailable
            ├── PortTaken               port_taken
            ├── DiskFull                disk_full
            ├── BrokerLocked            broker_locked
            └── BrokerDied              broker_died

Exit codes of commands by branch: AuthorError 10, StepError 11, DataError 12, CallerError 13, EngineError 14,
OperatorError 15.

Every error has a stable `code`, typed keyword attributes, a message that says what happened and what to do, and can be
pickled. Attributes are JSON values. Raising is for the branch that can react; what the outside world can cause inside a
fold is a value (`Ignored`), not an exception.
"""

from typing import Any, ClassVar

from logkeel.errors.operators import (
    ArtifactsUnavailable,
    AuthenticationFailed,
    AuthorizationFailed,
    BrokerDied,
    BrokerError,
    BrokerLocked,
    CertificateRefused,
    ChangelogReplaced,
    ChangelogTruncated,
    ConfigInvalid,
    ConsumerFenced,
    CoPartitioningBroken,
    DiskFull,
    EnginesRunning,
    GatewayUnprotected,
    OperatorError,
    PartitionCountChanged,
    PortTaken,
    PositionOutOfRange,
    SlotTaken,
    StateLost,
    StoreAhead,
    StoreCorrupt,
    StoreLocked,
    StoreStale,
    TopicMismatch,
    TopicMissing,
    TransactionHangs,
    TransactionsUnavailable,
    UnknownPayloadKey,
)
from logkeel.errors.root import LogkeelError


class AuthorError(LogkeelError):
    """The author of a workflow changes code."""

    code: ClassVar[str] = "author_error"
    exit_code: ClassVar[int] = 10


class DefinitionError(AuthorError):
    """A workflow definition is wrong; `place` and `remedy` say where and what to do."""

    code: ClassVar[str] = "definition_invalid"


class StepSignatureError(AuthorError):
    """A step function has a signature the engine cannot bind."""

    code: ClassVar[str] = "step_signature"


class JournalDiverged(AuthorError):
    """A step's code does not make the calls that its journal holds: `expected`, `found` and `position` say where.

    The code was changed while runs were under way, or it decides by something that is not journaled.
    """

    code: ClassVar[str] = "journal_diverged"


class StepError(LogkeelError):
    """Raised by step code to tell the engine how to go on."""

    code: ClassVar[str] = "step_error"
    exit_code: ClassVar[int] = 11


class Fail(StepError):
    """The step failed for good: `raise Fail("card_declined", "...")`. Never retried."""

    code: ClassVar[str] = "fail"

    def __init__(self, failure_code: str, message: str = "", **details: Any) -> None:
        super().__init__(message or failure_code, failure_code=failure_code, **details)


class RetryAfter(StepError):
    """Retry no earlier than the given delay: `raise RetryAfter("12s")`, for rate limits.

    A number is seconds; a string carries its unit (ms, s, m, h, d).
    """

    code: ClassVar[str] = "retry_after"

    def __init__(self, delay: str | float, message: str = "") -> None:
        super().__init__(message or f"retry after {delay}", delay=delay)


class NotDone(StepError):
    """A `ONCE` effect surely did not happen; only then may it be retried (P35)."""

    code: ClassVar[str] = "not_done"


class CallFailed(StepError):
    """A journaled call failed, its retries included; raised the same way whenever the step is executed again.

    `call` names it, `failure_code` is the code of its last failure, `kind` what sort of failure that was.
    """

    code: ClassVar[str] = "call_failed"


class DataError(LogkeelError):
    """The sender of a record or input changes it."""

    code: ClassVar[str] = "data_error"
    exit_code: ClassVar[int] = 12


class UndecodableRecord(DataError):
    """Bytes are neither Avro nor JSON of a known record."""

    code: ClassVar[str] = "undecodable_record"


class UnknownSchema(DataError):
    """The schema fingerprint is not known to this version."""

    code: ClassVar[str] = "unknown_schema"


class InvalidInput(DataError):
    """The input of a run does not fit its state class."""

    code: ClassVar[str] = "invalid_input"


class PayloadTooLarge(DataError):
    """A payload exceeds the inline limit."""

    code: ClassVar[str] = "payload_too_large"


class RecordTooLarge(DataError):
    """A record exceeds the record limit of the topic or client."""

    code: ClassVar[str] = "record_too_large"


class PayloadTampered(DataError):
    """A payload or its blob is not what its writer made: the bytes were changed, cut, or belong to another one."""

    code: ClassVar[str] = "payload_tampered"


class BlobMissing(DataError):
    """A payload's blob is not in the store any more: the store forgets sooner than the log; `uri` names it."""

    code: ClassVar[str] = "blob_missing"


class CrashLoop(DataError):
    """A record killed the process repeatedly; it was dead-lettered unprocessed (P21)."""

    code: ClassVar[str] = "crash_loop"


class CallerError(LogkeelError):
    """The caller of client, CLI or HTTP changes the call."""

    code: ClassVar[str] = "caller_error"
    exit_code: ClassVar[int] = 13


class RunNotFound(CallerError):
    """No run of that id is known."""

    code: ClassVar[str] = "run_not_found"


class LetterNotFound(CallerError):
    """No dead letter of that name is known."""

    code: ClassVar[str] = "letter_not_found"


class QuestionNotFound(CallerError):
    """Nobody is asked there now; `run_id` and `path` say where."""

    code: ClassVar[str] = "question_not_found"


class RunFailed(CallerError):
    """The awaited run ended without success; `status` and `error` say how."""

    code: ClassVar[str] = "run_failed"


class RequestWasRejected(CallerError):
    """The engine refused a request; `reason` says why."""

    code: ClassVar[str] = "request_rejected"


class WaitTimedOut(CallerError):
    """The answer did not come in time; the run goes on."""

    code: ClassVar[str] = "wait_timed_out"


class Unauthenticated(CallerError):
    """The call says not who makes it, or not in a way that is believed."""

    code: ClassVar[str] = "unauthenticated"


class Forbidden(CallerError):
    """Who makes the call may not; `role` names what is needed."""

    code: ClassVar[str] = "forbidden"


class TooManyRequests(CallerError):
    """The caller makes more calls than one caller may; `retry_after_s` says when to come again."""

    code: ClassVar[str] = "too_many_requests"


class EngineError(LogkeelError):
    """The loop reacts by itself; an operator sees it when it lasts."""

    code: ClassVar[str] = "engine_error"
    exit_code: ClassVar[int] = 14


class LogUnavailable(EngineError):
    """No broker answers."""

    code: ClassVar[str] = "log_unavailable"


class LogTimeout(LogUnavailable):
    """One call was not answered in time."""

    code: ClassVar[str] = "log_timeout"


class ClientStuck(EngineError):
    """A call of the client does not return; the process ended itself."""

    code: ClassVar[str] = "client_stuck"


class TransactionAbortable(EngineError):
    """The transaction must be aborted; then the work goes on."""

    code: ClassVar[str] = "transaction_abortable"


class StaleGeneration(TransactionAbortable):
    """The group has moved on: this member is no longer the owner."""

    code: ClassVar[str] = "stale_generation"


class ProducerFatal(EngineError):
    """The producer instance is of no more use."""

    code: ClassVar[str] = "producer_fatal"


class ProducerFenced(ProducerFatal):
    """A younger instance of the transactional id exists."""

    code: ClassVar[str] = "producer_fenced"


class CommitInDoubt(EngineError):
    """Whether the transaction was committed is unknown (P6)."""

    code: ClassVar[str] = "commit_in_doubt"


class StoreUnavailable(EngineError):
    """The store cannot be read or written now, e.g. the disk is full."""

    code: ClassVar[str] = "store_unavailable"


class BlobStoreUnavailable(EngineError):
    """The blob store does not answer, or not in time."""

    code: ClassVar[str] = "blob_store_unavailable"


class StepProcessDied(EngineError):
    """The process that ran a `cpu=True` step ended without an answer."""

    code: ClassVar[str] = "step_process_died"


class ReadModelBehind(EngineError):
    """The read model has not read up to the offset that the caller has seen, and not in the time it waited."""

    code: ClassVar[str] = "read_model_behind"


class InvariantViolation(EngineError):
    """An impossible combination: stop without committing."""

    code: ClassVar[str] = "invariant_violation"


__all__ = [
    "ArtifactsUnavailable",
    "AuthenticationFailed",
    "AuthorError",
    "AuthorizationFailed",
    "BlobMissing",
    "BlobStoreUnavailable",
    "BrokerDied",
    "BrokerError",
    "BrokerLocked",
    "CallFailed",
    "CallerError",
    "CertificateRefused",
    "ChangelogReplaced",
    "ChangelogTruncated",
    "CoPartitioningBroken",
    "CommitInDoubt",
    "ConfigInvalid",
    "ConsumerFenced",
    "CrashLoop",
    "DataError",
    "DefinitionError",
    "DiskFull",
    "EngineError",
    "EnginesRunning",
    "Fail",
    "Forbidden",
    "GatewayUnprotected",
    "InvalidInput",
    "InvariantViolation",
    "JournalDiverged",
    "LetterNotFound",
    "LogTimeout",
    "ClientStuck",
    "LogUnavailable",
    "LogkeelError",
    "NotDone",
    "OperatorError",
    "PartitionCountChanged",
    "PayloadTampered",
    "PayloadTooLarge",
    "PortTaken",
    "PositionOutOfRange",
    "ProducerFatal",
    "ProducerFenced",
    "QuestionNotFound",
    "ReadModelBehind",
    "RecordTooLarge",
    "RequestWasRejected",
    "RetryAfter",
    "RunFailed",
    "RunNotFound",
    "SlotTaken",
    "StaleGeneration",
    "StateLost",
    "StepError",
    "StepProcessDied",
    "StepSignatureError",
    "StoreAhead",
    "StoreCorrupt",
    "StoreLocked",
    "StoreStale",
    "StoreUnavailable",
    "TooManyRequests",
    "TopicMismatch",
    "TopicMissing",
    "TransactionAbortable",
    "TransactionHangs",
    "TransactionsUnavailable",
    "Unauthenticated",
    "UndecodableRecord",
    "UnknownPayloadKey",
    "UnknownSchema",
    "WaitTimedOut",
]
