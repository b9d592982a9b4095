"""What became of requests, for routes that wait for it."""

from logkeel.errors import RequestWasRejected
from logkeel.gateway.parts import Parts, in_thread
from logkeel.readmodel import RequestOutcome


def refuse_rejected(outcome: RequestOutcome | None, request_id: str) -> None:
    """Raise `RequestWasRejected` with the engine's reason."""
    if outcome is not None and outcome.state == "rejected":
        raise RequestWasRejected(
            f"request {request_id} was rejected: {outcome.reason} ({outcome.code})",
            request_id=request_id,
            run_id=outcome.run_id,
            reason=outcome.reason,
            rejection=outcome.code,
        )


async def outcome_of(parts: Parts, request_id: str, wait_s: float) -> RequestOutcome | None:
    """What became of a request, waiting so long for it."""

    async def look() -> RequestOutcome | None:
        return await in_thread(parts.model.request, request_id)

    return await parts.bulletin.until(look, parts.bounded(wait_s), request_id=request_id)
