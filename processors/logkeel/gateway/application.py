"""The HTTP application: routes, errors as problems, and its description (OpenAPI 3.1)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, Final

import structlog
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from logkeel.errors import CallerError, InvalidInput, LogkeelError
from logkeel.gateway import approvals, health, looking, runs, starting, steering
from logkeel.gateway.bounding import BodyLimit, Counted, OwnNames, SlashesInIds
from logkeel.gateway.bulletin import Bulletin
from logkeel.gateway.dependencies import only_known_parameters
from logkeel.gateway.models import Problem
from logkeel.gateway.parts import Parts
from logkeel.gateway.problems import MEDIA_TYPE, headers_of, problem, status_of
from logkeel.gateway.ui import files, inbox, run_pages, signing_in
from logkeel.readmodel import Touched

PROBLEM_STATUSES: Final = (400, 401, 403, 404, 405, 409, 413, 422, 429, 500, 503, 504)

PAGES: Final = (signing_in, inbox, run_pages, files)
"""The last one says of all other pages that they are not there."""

log = structlog.get_logger("logkeel.gateway", role="gateway")


def make_application(parts: Parts) -> FastAPI:
    """The application over these parts; its lifespan makes their bulletin."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        parts.bulletin = Bulletin(asyncio.get_running_loop())
        parts.bulletin.tell(Touched(), parts.positions())
        yield
        parts.bulletin.close()

    application = FastAPI(
        title="logkeel gateway",
        version=version("logkeel"),
        summary="Durable AI-agent workflows on Apache Kafka: start, look at and steer runs.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    application.state.parts = parts
    for module in (starting, runs, steering, approvals, looking, health):
        application.include_router(module.router, dependencies=[Depends(only_known_parameters)])
    for module in PAGES:
        application.include_router(module.router)
    application.add_exception_handler(LogkeelError, _on_error)
    application.add_exception_handler(RequestValidationError, _on_invalid)
    application.add_exception_handler(HTTPException, _on_http)
    application.add_exception_handler(Exception, _on_bug)
    application.add_middleware(Counted, count=parts.calls.count)
    application.add_middleware(BodyLimit, max_bytes=parts.settings.max_body_bytes)
    application.add_middleware(SlashesInIds)
    if not parts.settings.is_protected:
        names = frozenset(name.strip().lower() for name in parts.settings.hosts.split(","))
        application.add_middleware(OwnNames, hosts=names)
    application.openapi = _description(application)  # type: ignore[method-assign]  # FastAPI's way to extend it
    return application


def _on_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, LogkeelError):
        raise error
    return _answer(request, problem(error), status_of(error), headers_of(error))


def _on_invalid(request: Request, error: Exception) -> Response:
    """What does not fit the description: where, and why."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    problems = [f"{'.'.join(str(word) for word in each['loc'])}: {each['msg']}" for each in found]
    invalid = InvalidInput(f"the call does not fit: {'; '.join(problems)}", problems=problems)
    return _answer(request, problem(invalid), status_of(invalid))


def _on_http(request: Request, error: Exception) -> Response:
    """No such route, or not with this method."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else ""
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    return _answer(request, problem(CallerError(f"{detail}: see /openapi.json"), status=status), status, headers)


def _on_bug(request: Request, error: Exception) -> Response:
    log.exception("call_failed", method=request.method, path=request.url.path, exc_info=error)
    return _answer(request, problem(LogkeelError("the gateway failed at this call; its log has more")), 500)


def _answer(request: Request, document: dict[str, Any], status: int, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(document, status, headers, media_type=MEDIA_TYPE)


def _description(application: FastAPI) -> Callable[[], dict[str, Any]]:
    """OpenAPI with problems as what every route may answer."""

    def describe() -> dict[str, Any]:
        if application.openapi_schema is None:
            found = get_openapi(
                title=application.title,
                version=application.version,
                summary=application.summary,
                routes=application.routes,
            )
            schemas = found["components"]["schemas"]
            schemas["Problem"] = Problem.model_json_schema()
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            said = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
            for operations in found["paths"].values():
                for operation in operations.values():
                    problems = {str(status): {"description": "a problem", **said} for status in PROBLEM_STATUSES}
                    operation["responses"].pop("422", None)
                    operation["responses"] |= problems
                    if not application.state.parts.settings.is_protected:
                        operation.pop("security", None)
            application.openapi_schema = found
        return application.openapi_schema

    return describe
