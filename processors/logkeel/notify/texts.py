"""What people read: the words of a notification, for mail, Slack and pages alike. Foreign text goes through
`logkeel.approvals.texts`.
"""

from collections.abc import Mapping

from logkeel.approvals.texts import one_line, time_text
from logkeel.notify.cases import Case, Kind
from logkeel.notify.channels import Message

_LEADS: Mapping[Kind, str] = {
    "asked": "Question",
    "reminder": "Reminder",
    "escalated": "Escalated to you",
    "delegated": "Handed on to you",
    "answered": "Answered",
    "withdrawn": "No longer asked",
}


def subject(message: Message) -> str:
    """One line that says what it is about."""
    return f"{_LEADS[message.delivery.kind]}: {question_line(message.case)}"


def question_line(case: Case) -> str:
    """The question on one line."""
    return one_line(case.question.question) or f"{case.question.path} of {case.workflow}"


def facts(case: Case) -> list[tuple[str, str]]:
    """Which run asks, since when, until when."""
    question = case.question
    found = [
        ("run", f"{one_line(case.run_id)} ({one_line(case.workflow)}@{one_line(case.version)})"),
        ("asked", time_text(question.since_ms)),
    ]
    if question.assignee:
        found.append(("asked of", one_line(question.assignee)))
    if question.reassigned_by:
        found.append(("handed on by", one_line(question.reassigned_by)))
    if question.due_ms is not None:
        found.append(("answer by", time_text(question.due_ms)))
    return found


def ending(case: Case) -> str:
    """How the question ended."""
    answer = case.answer
    if case.over_ms is None:
        return "not answered yet"
    if answer is None:
        return "The run does not ask any more: it was cancelled, or another way was faster."
    if not answer.in_time:
        return f"Nobody answered in time: {one_line(answer.verb or 'failed')}, as its author said."
    said = f"{one_line(answer.verb)} by {one_line(answer.by or 'somebody')}"
    return f"{said}: {one_line(answer.comment)}" if answer.comment else said
