"""What people read: the words of a notification, for mail, Slack and pages alike.

Whatever a run says is foreign text: one line where a line is expected, cut where it is long, control characters written
out, so that nobody is shown something else than what they approve. Escaping is the business of the template or the
format that it goes into.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from logkeel.notify.cases import Case, Kind
from logkeel.notify.channels import Message

LINE_CHARACTERS: Final = 200
VALUE_CHARACTERS: Final = 4_000

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


def readable(text: str) -> str:
    """The text with its control characters written out, but for line ends and tabs."""
    return "".join(each if each in "\n\t" or each.isprintable() else ascii(each)[1:-1] for each in text)


def one_line(text: str, limit: int = LINE_CHARACTERS) -> str:
    """Without line breaks and control characters, cut at `limit` characters."""
    line = " ".join(readable(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def value_text(value: Any, limit: int = VALUE_CHARACTERS) -> str:
    """A shown value: a text as it is, anything else as JSON, cut at `limit` characters."""
    text = value if isinstance(value, str) else msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    text = readable(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


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


def time_text(at_ms: int) -> str:
    """2026-11-28 00:15 UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
