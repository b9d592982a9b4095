"""Who calls, and whether they may: the same for the API, which is told by a header, and for pages, by a cookie."""

from fastapi import Request

from logkeel.errors import Unauthenticated
from logkeel.gateway.access import ANYBODY, Principal, authenticated
from logkeel.gateway.parts import Parts, in_thread


async def caller_of(request: Request, parts: Parts, authorization: str | None) -> Principal:
    """Whoever calls, counted as one more call of theirs. Raises `Unauthenticated`, `TooManyRequests`."""
    host = request.client.host if request.client else "nowhere"
    if not parts.verifiers:
        parts.rate.take(host, parts.monotonic_s())
        return ANYBODY
    try:
        principal = await in_thread(authenticated, authorization, parts.verifiers)
    except Unauthenticated:
        parts.rate.take(host, parts.monotonic_s())
        raise
    parts.rate.take(f"{principal.name} of {host}", parts.monotonic_s())
    return principal
