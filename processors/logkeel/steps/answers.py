"""What a worker says about an execution: outcomes as `step-results` records. Pure.

What surely did not happen is never in doubt; what was cut off or raised in a `ONCE` step is, unless it says `NotDone`.
"""

import traceback
from collections.abc import Mapping
from types import MappingProxyType
from typing import assert_never

from msgspec.structs import replace

from logkeel.errors import (
    BlobStoreUnavailable,
    CallFailed,
    Fail,
    InvalidInput,
    LogkeelError,
    NotDone,
    RetryAfter,
    StepProcessDied,
)
from logkeel.records import (
    ErrorInfo,
    FieldReference,
    FieldWrite,
    StepCommand,
    StepFailed,
    StepRefused,
    StepReleased,
    StepSucceeded,
    StepSuspended,
)
from logkeel.steps.journal.session import BeginsAnew, CallInDoubt, LeaseLost, NotHere, Stop, Suspended, WentAnotherWay
from logkeel.workflow.durations import to_milliseconds

STACK_CHARACTERS = 8_000
MESSAGE_CHARACTERS = 4_000

NOTHING_USED: Mapping[str, int] = MappingProxyType({})
"""Of any budget, as far as is told."""


def succeeded(
    command: StepCommand,
    holder: str,
    writes: tuple[FieldWrite, ...],
    *,
    reads: tuple[FieldReference, ...],
    times_ms: tuple[int, int],
    from_check: bool,
) -> StepSucceeded:
    """The step returned, or its check said that the effect has happened. `times_ms`: start and end."""
    return StepSucceeded(
        identity=command.identity,
        holder=holder,
        started_at_ms=times_ms[0],
        finished_at_ms=times_ms[1],
        writes=writes,
        reads=reads,
        from_check=from_check,
        early_digest=command.early_digest,
        trace=command.trace,
    )


def failed(
    command: StepCommand,
    holder: str,
    error: ErrorInfo,
    *,
    times_ms: tuple[int, int],
    in_doubt: bool,
    used: Mapping[str, int] = NOTHING_USED,
) -> StepFailed:
    """The step did not return in time, or raised."""
    return StepFailed(
        identity=command.identity,
        holder=holder,
        started_at_ms=times_ms[0],
        finished_at_ms=times_ms[1],
        error=error,
        in_doubt=in_doubt,
        trace=command.trace,
        used=dict(used),
    )


def stopped(
    command: StepCommand,
    holder: str,
    why: Stop,
    *,
    times_ms: tuple[int, int],
    used: Mapping[str, int] = NOTHING_USED,
) -> StepSuspended | StepFailed | StepReleased | StepRefused:
    """Durable code that did not end by itself."""
    identity = command.identity
    match why:
        case Suspended(positions):
            return StepSuspended(identity=identity, holder=holder, waits=positions)
        case BeginsAnew(writes):
            return StepSuspended(
                identity=identity, holder=holder, waits=(), restarts=True, writes=writes, used=dict(used)
            )
        case LeaseLost():
            return StepReleased(identity=identity, holder=holder, was_started=True, started_at_ms=times_ms[0])
        case CallInDoubt(position, error):
            doubt = failed(command, holder, error, times_ms=times_ms, in_doubt=True, used=used)
            return replace(doubt, position=position)
        case NotHere(reason):
            return refused(command, holder, reason)
        case WentAnotherWay(error):
            info = error_info(error, called=True, once=False)
            return failed(command, holder, info, times_ms=times_ms, in_doubt=False, used=used)
        case _:
            assert_never(why)


def refused(command: StepCommand, holder: str, reason: str) -> StepRefused:
    """This worker has no such step (P38)."""
    return StepRefused(identity=command.identity, holder=holder, reason=reason)


def in_doubt(command: StepCommand, error: ErrorInfo, *, called: bool) -> bool:
    """Whether nobody knows if the effect has happened (P35)."""
    return command.effect == "ONCE" and called and error.kind != "not_done"


def cut_off(command: StepCommand, reason: str, *, called: bool) -> ErrorInfo:
    """The error of a step stopped from outside: at its deadline, or because it was revoked."""
    if reason == "timeout" and command.effect == "ONCE" and not called:
        message = f"not called within {command.timeout_ms} ms: its resources were not open"
        return ErrorInfo(code="timeout", message=message, kind="not_done")
    if reason == "timeout":
        return ErrorInfo(code="timeout", message=f"no result within {command.timeout_ms} ms", kind="timeout")
    return ErrorInfo(code="cancelled", message=f"stopped: {reason}", kind="cancelled")


def error_info(error: BaseException, *, called: bool, once: bool) -> ErrorInfo:
    """What an exception means. `called` False: it was raised before the author's function was entered."""
    info = _classified(error)
    if once and not called and info.kind == "retryable":
        info = ErrorInfo(code=info.code, message=info.message, kind="not_done")
    return ErrorInfo(
        code=info.code,
        message=info.message[:MESSAGE_CHARACTERS],
        kind=info.kind,
        type_name=f"{type(error).__module__}.{type(error).__qualname__}",
        stack="".join(traceback.format_exception(error))[-STACK_CHARACTERS:],
        retry_after_ms=info.retry_after_ms,
    )


def _classified(error: BaseException) -> ErrorInfo:
    message = str(error)
    match error:
        case CallFailed():
            # It failed with its own retries, and would fail the same way by the journal.
            return ErrorInfo(code=str(error.details.get("failure_code", error.code)), message=message, kind="fatal")
        case Fail():
            return ErrorInfo(code=str(error.details["failure_code"]), message=message, kind="fatal")
        case RetryAfter():
            return _retry_after(error, message)
        case NotDone():
            return ErrorInfo(code=error.code, message=message, kind="not_done")
        case InvalidInput():
            return ErrorInfo(code=error.code, message=message, kind="invalid_input")
        case BlobStoreUnavailable() | StepProcessDied():
            return ErrorInfo(code=error.code, message=message, kind="retryable")
        case LogkeelError():
            return ErrorInfo(code=error.code, message=message, kind="fatal")
        case _:
            return ErrorInfo(code=type(error).__name__, message=message, kind="retryable")


def _retry_after(error: RetryAfter, message: str) -> ErrorInfo:
    try:
        delay_ms: int | None = to_milliseconds(error.details["delay"])
    except ValueError:
        delay_ms = None
    return ErrorInfo(code=error.code, message=message, kind="retryable", retry_after_ms=delay_ms)
