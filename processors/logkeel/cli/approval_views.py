"""What an open question looks like to a person. Pure."""

from collections.abc import Iterator
from typing import Any

import msgspec

from logkeel.approvals.documents import shown_value
from logkeel.approvals.forms import Form
from logkeel.cli.texts import one_line, readable
from logkeel.cli.times import ago, due
from logkeel.projection import OpenQuestion
from logkeel.records import FieldValue

COLUMNS = ("run", "path", "question", "answers", "assignee", "asked", "due")


def row(asked: OpenQuestion, now_ms: int) -> tuple[Any, ...]:
    """A line of the list, by `COLUMNS`."""
    question = asked.question
    return (
        asked.run_id,
        question.path,
        one_line(question.question),
        ", ".join(question.allow),
        None if question.assignee is None else one_line(question.assignee),
        ago(question.since_ms, now_ms),
        due(question.due_ms, now_ms),
    )


def lines(asked: OpenQuestion, form: Form, now_ms: int) -> Iterator[str]:
    """The same for people: facts, then the shown fields, then the form of an answer."""
    question = asked.question
    facts = {
        "question": readable(question.question),
        "run": f"{asked.run_id}  {asked.workflow}@{asked.version}",
        "path": question.path,
        "asked": ago(question.since_ms, now_ms) + _asked_of(asked),
        "due": due(question.due_ms, now_ms),
        "answers": ", ".join(question.allow),
    }
    width = max(len(name) for name in facts)
    yield from (f"{name:<{width}}  {value}" for name, value in facts.items())
    known = {value.field for value in asked.shown}
    for value in asked.shown:
        yield ""
        yield f"{value.field}:"
        yield from (f"  {line}" for line in _text(value, form).split("\n"))
    for name in question.shows:
        if name not in known:
            yield ""
            yield f"{name}: (written before the history that is kept)"
    if form.schema is not None:
        yield ""
        yield f"the answer of edit and respond goes to {question.answer}, and has to fit this JSON Schema:"
        yield from (f"  {line}" for line in _pretty(form.schema).split("\n"))


def how_to_answer(asked: OpenQuestion) -> str:
    """The command to type."""
    verbs = "|".join(asked.question.allow)
    return f"answer it: logkeel approvals answer {asked.run_id} {verbs} --path {asked.path}"


def _asked_of(asked: OpenQuestion) -> str:
    question = asked.question
    if question.assignee is None:
        return ""
    handed = "escalated to" if question.escalated else "handed on to" if question.reassigned_by else "of"
    by = f" by {one_line(question.reassigned_by)}" if question.reassigned_by and not question.escalated else ""
    return f", {handed} {one_line(question.assignee)}{by}"


def _text(value: FieldValue, form: Form) -> str:
    plain = shown_value(value, form)
    if plain is None and value.revision == 0:
        return "(not written)"
    return readable(plain) if isinstance(plain, str) else _pretty(plain)


def _pretty(value: Any) -> str:
    return readable(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
