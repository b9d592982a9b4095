"""A human's word about an open question as a request record. Pure: ids come in.

An answer that names the question (the revision at which it was asked) is refused once that one is no longer open, even
if the same block asks again: a second click answers nothing that its human has not seen.
"""

from typing import Any, TypedDict

import msgspec

from logkeel.client.building import payload_of
from logkeel.records import AnswerQuestion

DELEGATE = "delegate"


class AnswerDetails(TypedDict, total=False):
    """What may be said beside the verb. `by` and `comment` are kept in the history.

    `question` and `incarnation` say which question is meant, for any that is open there now if they are left out.
    `request_id`: sent again, it is the same answer. `routing_key`: if the run was started with one.
    """

    by: str | None
    comment: str | None
    question: int | None
    incarnation: str | None
    request_id: str | None
    routing_key: str | None


def answer_to(
    run_id: str, path: str, verb: str, *, value: Any, details: AnswerDetails, request_id: str
) -> AnswerQuestion:
    """The answer; `value` unset: without one. Raises `InvalidInput`, `PayloadTooLarge`."""
    payload = None if value is msgspec.UNSET else payload_of("answer", value)
    return AnswerQuestion(run_id=run_id, path=path, verb=verb, payload=payload, **_same(details, request_id))


def delegation_of(run_id: str, path: str, assignee: str, *, details: AnswerDetails, request_id: str) -> AnswerQuestion:
    """The wish that somebody else is asked."""
    return AnswerQuestion(run_id=run_id, path=path, verb=DELEGATE, assignee=assignee, **_same(details, request_id))


def _same(details: AnswerDetails, request_id: str) -> dict[str, Any]:
    return {
        "answered_by": details.get("by"),
        "comment": details.get("comment"),
        "question": details.get("question"),
        "incarnation": details.get("incarnation"),
        "request_id": details.get("request_id") or request_id,
        "routing_key": details.get("routing_key"),
    }
