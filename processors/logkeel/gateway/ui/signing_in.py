"""Routes of the session: signing in with a bearer token, and out."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from logkeel.errors import Forbidden, Unauthenticated
from logkeel.gateway.access import Role
from logkeel.gateway.callers import caller_of
from logkeel.gateway.dependencies import P
from logkeel.gateway.ui.answering import OwnForm, PageRoute, page, set_cookie
from logkeel.gateway.ui.sessions import SESSION, fits_cookie, form_token, own_path

router = APIRouter(prefix="/ui", route_class=PageRoute, include_in_schema=False)

Next = Annotated[str, Query(alias="next", max_length=4_000)]


@router.get("/login")
async def show_login(request: Request, parts: P, wanted: Next = "/ui/") -> Response:
    """The form that takes a token."""
    if not parts.verifiers:
        return RedirectResponse(own_path(wanted), 303)
    return _login(request, own_path(wanted))


@router.post("/login")
async def log_in(request: Request, parts: P, form: OwnForm) -> Response:
    """Begin a session."""
    token, wanted = form.get("token", "").strip(), own_path(form.get("next", ""))
    try:
        if not fits_cookie(token):
            raise Unauthenticated("this is no token, or one that is too long for a browser to keep")
        principal = await caller_of(request, parts, f"Bearer {token}")
        principal.require(Role.VIEWER)
    except (Unauthenticated, Forbidden) as error:
        return _login(request, wanted, note=error.message, status=401)
    response = RedirectResponse(wanted, 303)
    set_cookie(request, response, SESSION, token)
    return response


@router.post("/logout")
async def log_out(_: OwnForm) -> Response:
    """End the session in this browser; the token stays what it is."""
    response = RedirectResponse("/ui/login", 303)
    response.delete_cookie(SESSION, path="/ui", httponly=True, samesite="strict")
    return response


def _login(request: Request, wanted: str, *, note: str = "", status: int = 200) -> Response:
    token = form_token(request.state.browser, request.cookies.get(SESSION, ""))
    return page("login.html", None, status, form_token=token, wanted=wanted, note=note)
