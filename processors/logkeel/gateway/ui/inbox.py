"""Pages of those who are asked: open questions, and one of them with its form. GET shows, POST answers.

A form that is sent twice is one request (P26): its id is made of everything that it says. Who says something else, and
who is late, is told that the first answer counts.
"""

import secrets
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from logkeel.approvals.documents import shown_value
from logkeel.approvals.entries import WITH_VALUE, entries_for, refilled, takes_text, value_of
from logkeel.approvals.texts import one_line, value_text
from logkeel.client import Client
from logkeel.client.answers import DELEGATE, NOTHING
from logkeel.client.opening import readable_values
from logkeel.errors import InvalidInput
from logkeel.gateway.access import Role
from logkeel.gateway.approvals import answer_for, question_at
from logkeel.gateway.dependencies import Cursor, P, QuestionPath, RunId
from logkeel.gateway.models import AnswerBody
from logkeel.gateway.parts import Parts, in_thread
from logkeel.gateway.steering import tell
from logkeel.gateway.ui.answering import OwnForm, PageRoute, V, page
from logkeel.gateway.ui.sessions import Visitor, request_id_of
from logkeel.gateway.ui.views import question_line, run_path, with_cursor

router = APIRouter(prefix="/ui", route_class=PageRoute, include_in_schema=False)

SETTLE_S: Final = 5.0
"""How long an answer's page waits for what became of it; the engine takes milliseconds."""

QUESTIONS: Final = 50


@router.get("/")
@router.get("/approvals")
async def show_inbox(
    parts: P, looks: V, assignee: Annotated[str, Query(max_length=512)] = "", cursor: Cursor = None
) -> Response:
    """What humans are being asked, the oldest question first."""
    wanted = assignee.strip()
    answer = await in_thread(parts.model.questions, assignee=wanted or None, cursor=cursor, limit=QUESTIONS)
    now_ms = parts.now_ms()
    lines = [question_line(each, now_ms) for each in answer.value.items]
    following = with_cursor("/ui/approvals", {"assignee": wanted} if wanted else {}, answer.value.next_cursor)
    return page("inbox.html", looks, lines=lines, assignee=wanted, following=following, is_first=cursor is None)


@router.get("/approvals/{run_id}/{path}")
async def show_question(parts: P, looks: V, run_id: RunId, path: QuestionPath) -> Response:
    """One question, with what is to be seen and the form of an answer."""
    return await _question(parts, looks, (run_id, path))


@router.post("/approvals/{run_id}/{path}")
async def answer_question(
    request: Request, parts: P, looks: V, form: OwnForm, run_id: RunId, path: QuestionPath
) -> Response:
    """Answer, or hand on."""
    looks.principal.require(Role.APPROVER)
    asked = await question_at(parts, run_id, path)
    try:
        schema = (await in_thread(parts.published.form, asked.definition_digest, path)).schema
        body = _body(form, schema, is_known=looks.principal.is_known)
        answer = await answer_for(parts, looks.principal, (run_id, path), body)
    except InvalidInput as error:
        return await _question(parts, looks, (run_id, path), form=form, note=error.message)
    said = [f"{name}={form[name]}" for name in sorted(form) if name != "form_token"]
    request_id = request_id_of(looks.principal.name, run_id, asked.incarnation, path, *said)

    def send(client: Client, routing_key: str | None) -> str:
        return client.answer(answer, request_id=request_id, routing_key=routing_key)

    await tell(parts, run_id, send, SETTLE_S)
    return RedirectResponse(f"{run_path(run_id)}?request={request_id}", 303)


async def _question(
    parts: Parts, looks: Visitor, place: tuple[str, str], *, form: dict[str, str] | None = None, note: str = ""
) -> Response:
    asked = await in_thread(readable_values, await question_at(parts, *place), parts.payloads)
    known = await in_thread(parts.published.form, asked.definition_digest, asked.path)
    shown = {each.field: shown_value(each, known) for each in asked.shown}
    verbs = asked.question.allow
    bringing = [verb for verb in verbs if verb in WITH_VALUE]
    label = f"What to {' or '.join(bringing)}"
    entries: tuple[Any, ...] = ()
    if bringing and form is None:
        current = shown.get(asked.question.answer or "", NOTHING)
        entries = entries_for(known.schema, label, current)
    elif bringing and form is not None:
        entries = refilled(known.schema, label, form)
    return page(
        "question.html",
        looks,
        422 if note else 200,
        line=question_line(asked, parts.now_ms()),
        note=note,
        shown=[(one_line(name), value_text(value)) for name, value in shown.items()],
        verbs=[(verb, verb in WITH_VALUE) for verb in verbs],
        entries=entries,
        schema="" if known.schema is None or takes_text(known.schema) else value_text(known.schema),
        ask_json=bool(bringing) and known.schema is None,
        number=asked.question.number,
        # A form keeps its number when it comes back, so that sending it again is the same request.
        key=(form or {}).get("key") or secrets.token_urlsafe(12),
        given=form or {},
    )


def _body(form: dict[str, str], schema: Any, *, is_known: bool) -> AnswerBody:
    """The answer that a form means. Raises `InvalidInput`."""
    verb, name = form.get("verb", ""), one_line(form.get("name", ""))
    if not is_known and not name:
        raise InvalidInput("say who you are: it is kept in the history", field="name")
    said: dict[str, Any] = {"verb": verb, "question": int(form["question"]) if _is_number(form) else None}
    said |= {"comment": form.get("comment", "").strip() or None, "answered_by": name or None}
    if verb == DELEGATE:
        said["assignee"] = form.get("assignee", "").strip() or None
    if verb in WITH_VALUE:
        said["value"] = value_of(form, schema)
    try:
        return AnswerBody.model_validate(said)
    except ValidationError as error:
        problems = [f"{each['loc'][0]}: {each['msg']}" for each in error.errors(include_url=False)]
        raise InvalidInput("; ".join(problems), problems=problems) from error


def _is_number(form: dict[str, str]) -> bool:
    text = form.get("question", "")
    return text.isascii() and text.isdecimal() and len(text) <= 15
