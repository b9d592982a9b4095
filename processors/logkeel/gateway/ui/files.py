"""The style sheet and the script of the pages, from this package; and what is said of pages that are not there."""

import hashlib
from functools import cache
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from logkeel.errors import CallerError
from logkeel.gateway.ui.answering import PageRoute, page

router = APIRouter(prefix="/ui", route_class=PageRoute, include_in_schema=False)

KINDS: Final = {"ui.css": "text/css; charset=utf-8", "ui.js": "text/javascript; charset=utf-8"}


@router.get("/static/{name}")
async def show_file(request: Request, name: str) -> Response:
    """A file; nobody has to say who they are for it."""
    if name not in KINDS:
        raise CallerError(f"there is no file {name!r}")
    data, tag = _file(name)
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(data, headers=headers, media_type=KINDS[name])


@router.get("/{rest:path}")
async def show_nothing(rest: str) -> Response:
    """No such page."""
    return page("problem.html", None, 404, title="no such page", words=f"There is no page /ui/{rest}.")


@cache
def _file(name: str) -> tuple[bytes, str]:
    data = (files("logkeel.gateway.ui") / "static" / name).read_bytes()
    return data, f'"{hashlib.sha256(data).hexdigest()[:32]}"'
