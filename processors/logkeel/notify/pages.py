"""The pages where people answer: a Starlette application, mountable below any other one.

GET shows, POST decides: mail scanners and previews open links. What is answered goes through `logkeel.client` under a
request id that is made of question and person, so that two clicks, two tabs and a repeated POST are one answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from logkeel.approvals.entries import WITH_VALUE, entries_for, refilled, takes_text
from logkeel.approvals.rendering import render
from logkeel.approvals.texts import VALUE_CHARACTERS, one_line, value_text
from logkeel.client import Answer
from logkeel.client.answers import NOTHING
from logkeel.errors import DataError, LogkeelError
from logkeel.notify.book import CaseBook, Kept
from logkeel.notify.cases import Case
from logkeel.notify.links import Grant, LinkExpired, LinkInvalid, answer_request_id, grant_for, signed, verified
from logkeel.notify.replies import Forms, NoForms, Said, Unfit, reply
from logkeel.notify.texts import ending, facts, question_line

BODY_BYTES: Final = 1_048_576
SETTLE_S: Final = 5.0
"""How long a page waits for what became of an answer: engine and notifier answer within milliseconds."""

HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

Send = Callable[[Answer, str, str | None], object]
"""Sends an answer under a request id to the run with that routing key, as `logkeel.client.Client.answer` does."""

Shown = Callable[[Case, int], Mapping[str, Any]]
"""The values that a question shows; the number is the run's partition. Raises `LogUnavailable`."""


@dataclass(frozen=True, slots=True)
class Links:
    """Makes the links of messages. `public_url`: where people reach the pages; `keys`: the first one signs."""

    public_url: str
    keys: tuple[str, ...]
    valid_ms: int
    now_ms: Callable[[], int]

    def link(self, case: Case, recipient: str) -> tuple[str, str] | None:
        """A link for this recipient. One that is no person's, such as a channel of Slack, has to say a name."""
        who = recipient if "@" in recipient else ""
        token = signed(grant_for(case, who, now_ms=self.now_ms(), valid_ms=self.valid_ms), self.keys)
        return f"{self.public_url.rstrip('/')}/answers/{token}", token


class AnswerPages:
    """Looks questions up in the `book`, and sends answers."""

    def __init__(self, links: Links, book: CaseBook, shown: Shown, send: Send, forms: Forms | None = None) -> None:
        self._links = links
        self._book = book
        self._shown = shown
        self._send = send
        self._forms = forms or NoForms()

    def routes(self) -> list[BaseRoute]:
        """For an application."""
        return [
            Route("/answers/{token}", self.show, methods=["GET"]),
            Route("/answers/{token}", self.take, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The question, and a form if it is open. Changes nothing."""
        return await run_in_threadpool(self._show, request.path_params["token"], request.query_params.get("sent"))

    async def take(self, request: Request) -> Response:
        """An answer."""
        body = await bounded_body(request)
        if body is None:
            return _page("That is too much", status=413)
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        return await run_in_threadpool(self._take, request.path_params["token"], form, str(request.url.path))

    def _granted(self, token: str) -> tuple[Grant, Kept] | Response:
        try:
            grant = verified(token, self._links.keys, now_ms=self._links.now_ms())
        except LinkInvalid:
            return _page("This link is not valid", note="It may have been cut on its way: copy all of it.", status=404)
        except LinkExpired:
            return _page("The time of this link is over", note="The next reminder brings a new one.", status=410)
        kept = self._book.get(grant.case_id)
        if kept is None:
            return _page(
                "Nobody asks this any more", note="The question is not known here, or was forgotten.", status=404
            )
        return grant, kept

    def _show(self, token: str, sent: str | None) -> Response:
        granted = self._granted(token)
        if isinstance(granted, Response):
            return granted
        grant, kept = granted
        note = ""
        if sent is not None and kept.case.is_open:
            note = f"Your answer was sent: {one_line(sent)}. It takes effect once the engine has read it."
        return self._form(grant, kept, note=note)

    def _take(self, token: str, form: Mapping[str, str], path: str) -> Response:
        granted = self._granted(token)
        if isinstance(granted, Response):
            return granted
        grant, kept = granted
        case = kept.case
        if not case.is_open:
            return self._form(grant, kept, status=409)
        said = Said(
            verb=form.get("verb", ""),
            who=grant.who or one_line(form.get("name", "")),
            comment=form.get("comment", "").strip(),
            posted=form,
        )
        try:
            answer = reply(case, said, self._forms)
            if isinstance(answer, Unfit):
                return self._form(grant, kept, note=answer.problem, status=422, said=said)
            self._send(answer, answer_request_id(case.case_id, said.who), case.routing_key)
        except DataError as error:
            return self._form(grant, kept, note=error.message, status=422, said=said)
        except LogkeelError:
            note = "Your answer could not be sent now. Press the button again: it counts once."
            return self._form(grant, kept, note=note, status=503, said=said)
        self._book.wait_for(case.case_id, lambda each: not each.case.is_open, SETTLE_S)
        return RedirectResponse(f"{path}?sent={said.verb}", status_code=303, headers=dict(HEADERS))

    def _form(
        self, grant: Grant, kept: Kept, *, note: str = "", status: int = 200, said: Said | None = None
    ) -> Response:
        case = kept.case
        verbs = case.question.allow if case.is_open else ()
        takes_value = any(verb in WITH_VALUE for verb in verbs)
        try:
            shown = self._shown(case, kept.partition)
            schema = self._forms.schema(case) if takes_value else None
        except LogkeelError:
            return _page(question_line(case), note="The log does not answer now: try again soon.", status=503)
        label = f"To {' or '.join(verb for verb in verbs if verb in WITH_VALUE)}, write here"
        if said is None:
            entries = entries_for(schema, label, _prefilled(case, shown))
        else:
            entries = refilled(schema, label, said.posted)
        return _page(
            question_line(case),
            note=note or ("" if case.is_open else ending(case)),
            status=status,
            facts=facts(case),
            shown=[(name, value_text(value)) for name, value in shown.items()],
            verbs=verbs,
            who=grant.who,
            ask_name=not grant.who,
            entries=entries if takes_value else (),
            schema="" if schema is None or takes_text(schema) else value_text(schema),
            ask_json=takes_value and schema is None,
            comment="" if said is None else said.comment,
        )


async def bounded_body(request: Request) -> bytes | None:
    """The body; None if it is longer than `BODY_BYTES`. No more than that is read."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES:
            return None
    return bytes(body)


def application(routes: list[BaseRoute], ready: Callable[[], bool]) -> Starlette:
    """Routes with the probes of a process: `/livez`, `/readyz`."""

    async def livez(request: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(request: Request) -> Response:
        return PlainTextResponse("ok") if ready() else PlainTextResponse("not ready", 503)

    return Starlette(routes=[*routes, Route("/livez", livez), Route("/readyz", readyz)])


def _prefilled(case: Case, shown: Mapping[str, Any]) -> Any:
    """What is to be edited, as it stands, unless it is too long to be whole."""
    value = shown.get(case.question.answer or "", NOTHING)
    return NOTHING if value is NOTHING or len(value_text(value)) >= VALUE_CHARACTERS else value


def _page(title: str, *, status: int = 200, note: str = "", **values: Any) -> Response:
    blank: dict[str, Any] = {"facts": [], "shown": [], "verbs": (), "who": "", "ask_name": False, "entries": ()}
    blank |= {"comment": "", "schema": "", "ask_json": False}
    return HTMLResponse(
        render("logkeel.notify", "page.html", title=title, note=note, **blank | values),
        status_code=status,
        headers=dict(HEADERS),
    )
