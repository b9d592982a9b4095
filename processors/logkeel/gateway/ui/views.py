"""What templates are given: lines of lists, a run, and its history, in words. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from logkeel.approvals.texts import duration_text, one_line, time_text, value_text
from logkeel.projection import OpenQuestion, RunView
from logkeel.projection.documents import value_of
from logkeel.projection.waits import WaitView
from logkeel.records import RunEvent

SHOWN_STEPS: Final = 100
"""Closed steps of a run on its page; an `each` has thousands."""


@dataclass(frozen=True, slots=True)
class Since:
    """A time that goes on: how long it has been, in words and for the script that counts on."""

    milliseconds: int

    @property
    def words(self) -> str:
        """`3m 12s`."""
        return duration_text(self.milliseconds)


def run_path(run_id: str) -> str:
    """The page of a run."""
    return f"/ui/runs/{quote(run_id, safe='')}"


def question_path(run_id: str, path: str) -> str:
    """The page of a question."""
    return f"/ui/approvals/{quote(run_id, safe='')}/{quote(path, safe='')}"


def with_cursor(path: str, given: Mapping[str, str], cursor: str | None) -> str | None:
    """The next page of a list; None behind the last one."""
    return None if cursor is None else f"{path}?{urlencode({**given, 'cursor': cursor})}"


def due_words(due_ms: int | None, now_ms: int) -> str:
    """`in 2h 5m`, `3m 0s ago`; nothing without a time."""
    if due_ms is None:
        return ""
    return f"in {duration_text(due_ms - now_ms)}" if due_ms >= now_ms else f"{duration_text(now_ms - due_ms)} ago"


def question_line(asked: OpenQuestion, now_ms: int) -> dict[str, Any]:
    """A question in the list, and at the head of its page."""
    question = asked.question
    return {
        "href": question_path(asked.run_id, asked.path),
        "words": one_line(question.question) or f"{question.path} of {asked.workflow}",
        "run_id": one_line(asked.run_id),
        "run_href": run_path(asked.run_id),
        "path": question.path,
        "workflow": one_line(f"{asked.workflow}@{asked.version}"),
        "assignee": one_line(question.assignee or ""),
        "reassigned_by": one_line(question.reassigned_by or ""),
        "age": Since(now_ms - question.since_ms),
        "asked_at": time_text(question.since_ms),
        "due": due_words(question.due_ms, now_ms),
        "is_late": question.due_ms is not None and question.due_ms < now_ms,
    }


def run_line(view: RunView, now_ms: int) -> dict[str, Any]:
    """A run in the list, and at the head of its page."""
    return {
        "href": run_path(view.run_id),
        "run_id": one_line(view.run_id),
        "workflow": one_line(f"{view.workflow}@{view.version}"),
        "status": "paused" if view.status == "running" and view.paused_at_ms is not None else view.status,
        "began_at": time_text(view.started_at_ms),
        "age": duration_text((view.finished_at_ms or now_ms) - view.started_at_ms),
        "steps": [one_line(each.path) for each in view.current_steps],
        "waits": [wait_words(each) for each in view.waits.values()],
    }


def run_parts(view: RunView, now_ms: int) -> dict[str, Any]:
    """What the page of a run shows of it, its history aside."""
    closed = [each for each in view.steps.values() if not each.is_open]
    return {
        **run_line(view, now_ms),
        "revision": view.revision,
        "complete": view.complete,
        "attributes": sorted((one_line(name), one_line(value)) for name, value in view.attributes.items()),
        "deadline": due_words(view.deadline_ms, now_ms) if view.status == "running" else "",
        "error": None if view.error is None else (view.error.code, one_line(view.error.message)),
        "open_steps": [
            {
                "path": one_line(each.path),
                "phase": each.phase.replace("_", " "),
                "attempt": each.attempt,
                "since": Since(now_ms - each.since_ms),
                "due": due_words(each.due_ms, now_ms),
                "holder": one_line(each.holder or ""),
                "reason": one_line((each.error.message if each.error else each.reason) or ""),
            }
            for each in view.current_steps
        ],
        "open_waits": [
            {
                "words": wait_words(each),
                "path": one_line(each.path),
                "href": question_path(view.run_id, each.path) if each.kind == "human" else "",
                "since": Since(now_ms - each.since_ms),
                "due": due_words(each.due_ms, now_ms),
                "assignee": one_line(each.assignee or ""),
            }
            for each in view.waits.values()
        ],
        "closed_steps": [
            {"path": one_line(each.path), "phase": each.phase, "attempt": each.attempt, "at": time_text(each.since_ms)}
            for each in closed[-SHOWN_STEPS:]
        ],
        "closed_count": len(closed),
        "fields": [
            {"name": one_line(name), "value": value_text(value_of(field)), "by": one_line(field.path or "the input")}
            for name, field in view.fields.items()
        ],
        "errors": [
            {
                "path": one_line(each.path),
                "attempt": each.attempt,
                "at": time_text(each.at_ms),
                "code": each.error.code,
                "message": one_line(each.error.message),
            }
            for each in view.errors
        ],
    }


def wait_words(wait: WaitView) -> str:
    """What is waited for."""
    match wait.kind:
        case "human":
            return f"an answer: {one_line(wait.question)}"
        case "signal":
            return f"signal {one_line(wait.name)}"
        case "child":
            return f"run {one_line(wait.name)}"
        case "limit":
            return f"limit {one_line(wait.name)}"
        case "within":
            return "a time limit"
        case "sleep":
            return "time to pass"


def event_lines(events: Sequence[RunEvent]) -> list[dict[str, Any]]:
    """The history, as its page shows it."""
    return [
        {
            "revision": each.revision,
            "at": time_text(each.at_ms),
            "kind": each.kind.replace("_", " "),
            "path": one_line(each.path or ""),
            "attempt": each.attempt,
            "words": _said(each),
        }
        for each in events
    ]


def _said(event: RunEvent) -> str:
    words = [event.name, event.actor and f"by {event.actor}", event.reason, event.error and event.error.message]
    if event.writes:
        words.append(f"writes {', '.join(each.field for each in event.writes)}")
    return one_line(" · ".join(each for each in words if each))
