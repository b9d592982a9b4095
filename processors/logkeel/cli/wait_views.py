"""What a run waits for, in words and as JSON values. Pure: views and times in, texts and values out."""

from typing import Any

from logkeel.cli.texts import one_line
from logkeel.cli.times import ago, due, duration
from logkeel.projection import QuestionView, Wait, WaitView


def sentence(wait: Wait, now_ms: int, *, name: str | None = None) -> str:
    """`waits for a human: approve, asked 2h 00m ago, due in 1d 22h, of editors`. `name`: instead of its path."""
    name = name or wait.path
    if isinstance(wait, QuestionView):
        return f"waits for a human: {name}, asked {ago(wait.since_ms, now_ms)}{_due(wait, now_ms)}{_asked_of(wait)}"
    since = f"for {duration(now_ms - wait.since_ms)}"
    match wait.kind:
        case "sleep":
            return f"sleeps: {name}, {since}{_due(wait, now_ms)}"
        case "signal":
            of = "" if wait.correlation is None else f" of {wait.correlation!r}"
            return f"waits for the signal {wait.signal!r}{of}: {name}, {since}{_due(wait, now_ms)}"
        case "within":
            return f"has limited time: {name}, {since}{_due(wait, now_ms)}"


def as_json(wait: Wait, now_ms: int) -> dict[str, Any]:
    """Everything a wait is."""
    value: dict[str, Any] = {
        "path": wait.path,
        "kind": "question" if isinstance(wait, QuestionView) else wait.kind,
        "since_ms": wait.since_ms,
        "for_ms": now_ms - wait.since_ms,
        "due_ms": wait.due_ms,
    }
    return value | (_question(wait) if isinstance(wait, QuestionView) else _signal(wait))


def _question(question: QuestionView) -> dict[str, Any]:
    return {
        "question": question.number,
        "text": question.text,
        "allow": list(question.allow),
        "assignee": question.assignee,
        "reassigned_by": question.reassigned_by,
        "escalated": question.escalated,
        "reminded_ms": question.reminded_ms,
        "notify": question.notify,
        "writes": question.writes,
        "answer": question.answer,
        "shows": list(question.shows),
    }


def _signal(wait: WaitView) -> dict[str, Any]:
    return {"signal": wait.signal, "correlation": wait.correlation} if wait.kind == "signal" else {}


def _due(wait: Wait, now_ms: int) -> str:
    if wait.due_ms is None:
        return ""
    return f", {'due' if wait.due_ms >= now_ms else 'was due'} {due(wait.due_ms, now_ms)}"


def _asked_of(question: QuestionView) -> str:
    return "" if question.assignee is None else f", of {one_line(question.assignee)}"
