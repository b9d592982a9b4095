"""What holds for every question to people, whether a `human` block or code inside a step has asked it. Pure."""

from collections.abc import Sequence

from logkeel.records import AnswerQuestion, JournalEntry
from logkeel.runs.core.actions import Reject
from logkeel.runs.core.activation import Activation

DELEGATE = "delegate"
NO_ANSWER = "no answer in time"
WITH_ANSWER = ("edit", "respond")
"""The verbs that bring a value."""


def refusal(
    turn: Activation, request: AnswerQuestion, open_number: int | None, allow: Sequence[str], takes: str
) -> Reject | None:
    """Why a request answers nothing; None if it counts.

    `open_number`: of the question that is open at the request's path. `allow`: its verbs; `takes`: those, as told.
    """
    path = request.path
    if not turn.state.running:
        return Reject("run_finished", f"run {request.run_id} has ended as {turn.state.head.status}")
    if request.incarnation is not None and request.incarnation != turn.state.info.incarnation:
        return Reject("another_incarnation", f"run {request.run_id} is another one now")
    if open_number is None:
        return Reject("question_not_open", f"nobody is asked at {path}: it may be answered, or its time may be over")
    if request.question is not None and request.question != open_number:
        return Reject("question_not_open", f"question {request.question} of {path} is over; {open_number} is open")
    if request.verb == DELEGATE:
        return None if request.assignee else Reject("assignee_missing", "to delegate, say to whom")
    if request.verb not in allow:
        return Reject("verb_not_allowed", f"{path} takes {takes}, not {request.verb!r}")
    if request.verb in WITH_ANSWER and request.payload is None:
        return Reject("answer_missing", f"{request.verb} of {path} needs an answer")
    return None


def reassign(
    turn: Activation, request: AnswerQuestion, request_id: str, due_ms: int | None, journal: JournalEntry | None = None
) -> None:
    """Somebody else is asked from now on; the deadline stays. `journal`: the intent, if code asks."""
    turn.record(
        "question_reassigned",
        path=request.path,
        name=request.assignee,
        actor=request.answered_by or "somebody",
        reason=request.comment,
        due_ms=due_ms,
        request_id=request_id,
        journal=journal,
    )
