"""Errors as problem documents (RFC 9457): the error tree's code, a status, and what to do. Pure."""

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from logkeel.errors import (
    AuthorError,
    CallerError,
    DataError,
    EngineError,
    LogkeelError,
    OperatorError,
    StepError,
)

MEDIA_TYPE: Final = "application/problem+json"

STATUS_OF_BRANCH: Final[Mapping[type[LogkeelError], int]] = {
    AuthorError: 422,
    StepError: 500,
    DataError: 422,
    CallerError: 400,
    EngineError: 503,
    OperatorError: 500,
}
STATUS_OF_CODE: Final[Mapping[str, int]] = {
    "run_not_found": 404,
    "question_not_found": 404,
    "letter_not_found": 404,
    "request_rejected": 409,
    "wait_timed_out": 504,
    "unauthenticated": 401,
    "forbidden": 403,
    "too_many_requests": 429,
    "payload_too_large": 413,
    "record_too_large": 413,
    "invariant_violation": 500,
}
RETRY_AFTER_S: Final = 1
"""For what an engine, a broker or the projection is expected to be over soon."""


def status_of(error: LogkeelError) -> int:
    """The HTTP status of an error: by its code, else by its branch."""
    by_branch = next((status for kind, status in STATUS_OF_BRANCH.items() if isinstance(error, kind)), 500)
    return STATUS_OF_CODE.get(error.code, by_branch)


def problem(error: LogkeelError, *, status: int | None = None) -> dict[str, Any]:
    """The document. Details of the error stand beside the members of RFC 9457, and never in their place."""
    status = status_of(error) if status is None else status
    members = {
        "type": f"urn:logkeel:error:{error.code}",
        "title": error.code.replace("_", " "),
        "status": status,
        "detail": error.message,
        "code": error.code,
    }
    return {**msgspec.to_builtins(error.details, enc_hook=str), **members}


def headers_of(error: LogkeelError) -> dict[str, str]:
    """What goes with the document."""
    status = status_of(error)
    if status == 401:
        return {"WWW-Authenticate": "Bearer"}
    if status == 429:
        return {"Retry-After": str(math.ceil(error.details.get("retry_after_s", RETRY_AFTER_S)))}
    return {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {}
