"""What handlers are given: the parts, who calls, and parameters that several routes have."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeAlias

from fastapi import Depends, Header, Path, Query, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AfterValidator

from logkeel.errors import InvalidInput
from logkeel.gateway.access import Principal, Role
from logkeel.gateway.bounding import unescaped
from logkeel.gateway.callers import caller_of
from logkeel.gateway.models import LONGEST_ID, OFFSETS
from logkeel.gateway.parts import MAX_WAIT_S, Parts

_bearer = HTTPBearer(auto_error=False, description="a token of the list, or a JWT of the OpenID provider")


async def parts_of(request: Request) -> Parts:
    """The parts of this gateway. A coroutine, as all dependencies here: FastAPI runs others in threads."""
    parts: Parts = request.app.state.parts
    return parts


async def only_known_parameters(request: Request) -> None:
    """Raise `InvalidInput` for a parameter of the query that the route does not have: a filter that was misspelt would
    find too much.
    """
    path, method = request.scope["route"].path, request.method.lower()
    operation = request.app.openapi()["paths"][path][method]
    known = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"}
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        said = f"{', '.join(unknown)}: no such parameter; there are {', '.join(sorted(known)) or 'none'}"
        raise InvalidInput(said, problems=unknown)


P: TypeAlias = Annotated[Parts, Depends(parts_of)]


def allowed(role: Role) -> Callable[..., Awaitable[Principal]]:
    """A dependency: whoever calls has this role and has not called too often."""

    async def caller(
        request: Request, parts: P, given: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
    ) -> Principal:
        principal = await caller_of(request, parts, request.headers.get("authorization"))
        principal.require(role)
        return principal

    return caller


Viewer: TypeAlias = Annotated[Principal, Depends(allowed(Role.VIEWER))]
Operator: TypeAlias = Annotated[Principal, Depends(allowed(Role.OPERATOR))]
Approver: TypeAlias = Annotated[Principal, Depends(allowed(Role.APPROVER))]

RunId: TypeAlias = Annotated[
    str,
    Path(min_length=1, max_length=LONGEST_ID * 3, description="A slash in it is written %2F."),
    AfterValidator(unescaped),
]
QuestionPath: TypeAlias = Annotated[
    str,
    Path(min_length=1, max_length=LONGEST_ID * 3, description="A slash in it is written %2F."),
    AfterValidator(unescaped),
]
MinOffset: TypeAlias = Annotated[
    str | None,
    Query(
        max_length=2_000,
        pattern=OFFSETS,
        description="PARTITION:OFFSET of run-events, several with commas: the answer reflects them, or is 503.",
    ),
]
Cursor: TypeAlias = Annotated[str | None, Query(max_length=1_000, description="`next_cursor` of the page before.")]
Limit: TypeAlias = Annotated[int, Query(ge=1, le=200)]
Wait: TypeAlias = Annotated[
    float, Query(ge=0, le=MAX_WAIT_S, description="Seconds to wait for what becomes of it; 0: not at all.")
]
IdempotencyKey: TypeAlias = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="The request id: sent again with it, it is the same request.",
    ),
]
