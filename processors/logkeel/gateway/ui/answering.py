"""How pages answer: in HTML, with headers that let no other page in, and problems as pages.

A page without a session leads to the sign-in. Styles and the script are files of ours; nothing else is loaded or run.
"""

import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Annotated, Any, Final, TypeAlias
from urllib.parse import parse_qsl, quote

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import HTMLResponse, RedirectResponse, Response

from logkeel.approvals.rendering import render
from logkeel.errors import InvalidInput, LogkeelError, Unauthenticated
from logkeel.gateway.access import Role
from logkeel.gateway.callers import caller_of
from logkeel.gateway.dependencies import P
from logkeel.gateway.problems import headers_of, status_of
from logkeel.gateway.ui.sessions import BROWSER, FORM_TOKEN, SESSION, Visitor, form_token, is_browser, refuse_foreign

MAX_FIELDS: Final = 500
HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PageRoute(APIRoute):
    """A route of pages: its problems are pages, and every browser gets its number."""

    def get_route_handler(self) -> Handler:
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            known = request.cookies.get(BROWSER, "")
            request.state.browser = known if is_browser(known) else secrets.token_urlsafe(32)
            response = await _answered(inner, request)
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            if request.state.browser != known:
                set_cookie(request, response, BROWSER, request.state.browser)
            return response

        return handler


async def _answered(inner: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
    try:
        return await inner(request)
    except Unauthenticated:
        came_for = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        place = came_for if request.method == "GET" else "/ui/"
        return RedirectResponse(f"/ui/login?next={quote(place, safe='')}", 303)
    except LogkeelError as error:
        return problem_page(request, error)
    except RequestValidationError as error:
        found = [f"{each['loc'][-1]}: {each['msg']}" for each in error.errors()]
        return problem_page(request, InvalidInput(f"the call does not fit: {'; '.join(found)}", problems=found))


async def visitor(request: Request, parts: P) -> Visitor:
    """Who looks. Raises `Unauthenticated`, `Forbidden`, `TooManyRequests`."""
    session = request.cookies.get(SESSION, "")
    principal = await caller_of(request, parts, f"Bearer {session}" if session else None)
    principal.require(Role.VIEWER)
    request.state.visitor = Visitor(principal, form_token(request.state.browser, session), bool(parts.verifiers))
    return request.state.visitor  # type: ignore[no-any-return]  # what was set above


async def own_form(request: Request) -> dict[str, str]:
    """What a form of ours has sent; of a name that comes twice the last. Raises `Forbidden`, `InvalidInput`."""
    body = await request.body()
    try:
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError as error:
        raise InvalidInput(f"the form has more than {MAX_FIELDS} fields") from error
    wanted = form_token(request.state.browser, request.cookies.get(SESSION, ""))
    refuse_foreign(form.get(FORM_TOKEN, ""), wanted, request.headers.get("sec-fetch-site"))
    return form


V: TypeAlias = Annotated[Visitor, Depends(visitor)]
OwnForm: TypeAlias = Annotated[dict[str, str], Depends(own_form)]


def page(template: str, visitor: Visitor | None, status: int = 200, **values: Any) -> HTMLResponse:
    """A page for this visitor."""
    return HTMLResponse(render("logkeel.gateway.ui", template, visitor=visitor, **values), status)


def problem_page(request: Request, error: LogkeelError) -> Response:
    """What went wrong, in its words."""
    status = status_of(error)
    looks = getattr(request.state, "visitor", None)
    headers = headers_of(error)
    response = page("problem.html", looks, status, title=error.code.replace("_", " "), words=error.message)
    response.headers.update({name: value for name, value in headers.items() if name == "Retry-After"})
    return response


def set_cookie(request: Request, response: Response, name: str, value: str) -> None:
    """Of pages only, read by no script, sent by no other site; until the browser ends."""
    secure = request.url.scheme == "https"
    response.set_cookie(name, value, path="/ui", secure=secure, httponly=True, samesite="strict")
