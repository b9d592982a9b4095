"""Routes that speak to a run: signals, cancel, pause, resume, retry, and decisions about steps in doubt."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from logkeel.client import Client, Decision
from logkeel.errors import InvalidInput
from logkeel.gateway.dependencies import IdempotencyKey, Operator, P, RunId, Wait
from logkeel.gateway.models import Asked, ReasonBody, ResolveBody, SignalBody
from logkeel.gateway.outcomes import outcome_of, refuse_rejected
from logkeel.gateway.parts import Parts, answered, in_thread
from logkeel.gateway.request_ids import keyed

router = APIRouter(prefix="/v1/runs/{run_id}", tags=["runs"])

ASKED: dict[int | str, dict[str, Any]] = {
    200: {"model": Asked, "description": "it was accepted while that was waited for"},
    202: {"model": Asked, "description": "the request is on the log"},
}
WaitQuery = Annotated[Wait, Query()]


@router.post("/signals", status_code=202, response_model=Asked, responses=ASKED, operation_id="signal_run")
async def signal_run(
    parts: P, _: Operator, run_id: RunId, body: SignalBody, key: IdempotencyKey = None, wait_s: WaitQuery = 0.0
) -> Response:
    """Send a signal; it may come before the wait for it."""
    request_id = keyed("signal_run", run_id, key)

    def send(client: Client, routing_key: str | None) -> str:
        ids = {"request_id": request_id, "routing_key": routing_key}
        return client.signal(run_id, body.name, body.payload, correlation=body.correlation, **ids)

    return await tell(parts, run_id, send, wait_s)


@router.post("/cancel", status_code=202, response_model=Asked, responses=ASKED, operation_id="cancel_run")
async def cancel_run(
    parts: P, _: Operator, run_id: RunId, body: ReasonBody, key: IdempotencyKey = None, wait_s: WaitQuery = 0.0
) -> Response:
    """Cancel a run: nothing more is sent to workers, and what runs is told to stop."""
    request_id = keyed("cancel_run", run_id, key)

    def send(client: Client, routing_key: str | None) -> str:
        return client.cancel(run_id, reason=body.reason, request_id=request_id, routing_key=routing_key)

    return await tell(parts, run_id, send, wait_s)


@router.post("/pause", status_code=202, response_model=Asked, responses=ASKED, operation_id="pause_run")
async def pause_run(
    parts: P, _: Operator, run_id: RunId, body: ReasonBody, key: IdempotencyKey = None, wait_s: WaitQuery = 0.0
) -> Response:
    """Let a run send no more commands until it is resumed."""
    request_id = keyed("pause_run", run_id, key)

    def send(client: Client, routing_key: str | None) -> str:
        return client.pause(run_id, reason=body.reason, request_id=request_id, routing_key=routing_key)

    return await tell(parts, run_id, send, wait_s)


@router.post("/resume", status_code=202, response_model=Asked, responses=ASKED, operation_id="resume_run")
async def resume_run(
    parts: P, _: Operator, run_id: RunId, body: ReasonBody, key: IdempotencyKey = None, wait_s: WaitQuery = 0.0
) -> Response:
    """Let a paused run go on."""
    request_id = keyed("resume_run", run_id, key)

    def send(client: Client, routing_key: str | None) -> str:
        return client.resume(run_id, reason=body.reason, request_id=request_id, routing_key=routing_key)

    return await tell(parts, run_id, send, wait_s)


@router.post("/retry", status_code=202, response_model=Asked, responses=ASKED, operation_id="retry_run")
async def retry_run(
    parts: P, _: Operator, run_id: RunId, body: ReasonBody, key: IdempotencyKey = None, wait_s: WaitQuery = 0.0
) -> Response:
    """Let a run that failed, or took too long, try again what failed."""
    request_id = keyed("retry_run", run_id, key)

    def send(client: Client, routing_key: str | None) -> str:
        return client.retry(run_id, reason=body.reason, request_id=request_id, routing_key=routing_key).request_id

    return await tell(parts, run_id, send, wait_s)


@router.post("/resolve", status_code=202, response_model=Asked, responses=ASKED, operation_id="resolve_step")
async def resolve_step(
    parts: P, _: Operator, run_id: RunId, body: ResolveBody, key: IdempotencyKey = None, wait_s: WaitQuery = 0.0
) -> Response:
    """Decide about a step in doubt: find out first whether its effect has happened."""
    request_id = keyed("resolve_step", run_id, key)
    view = await parts.known(run_id)
    in_doubt = [step.path for step in view.current_steps if step.phase == "in_doubt"]
    if body.path not in in_doubt:
        before = await outcome_before(parts, run_id, request_id)
        if before is not None:
            return before
        others = ", ".join(in_doubt) or "none"
        raise InvalidInput(f"step {body.path!r} of run {run_id} is not in doubt (in doubt: {others})", run_id=run_id)
    decided = Decision(run_id=run_id, path=body.path, decision=body.decision, result=body.result, comment=body.comment)

    def send(client: Client, routing_key: str | None) -> str:
        return client.decide(decided, request_id=request_id, routing_key=routing_key)

    return await tell(parts, run_id, send, wait_s)


async def outcome_before(parts: Parts, run_id: str, request_id: str | None) -> Response | None:
    """What became of this request when it came before; None if it did not, or nothing is known of it yet.

    What it asked for may not fit the run any more, because of itself: sent again it is no mistake. Raises
    `RequestWasRejected`.
    """
    outcome = None if request_id is None else await in_thread(parts.model.request, request_id)
    if outcome is None or request_id is None:
        return None
    refuse_rejected(outcome, request_id)
    return answered({"run_id": run_id, "request_id": request_id, "state": "accepted"})


async def tell(parts: Parts, run_id: str, send: Callable[[Client, str | None], str], wait_s: float) -> Response:
    """Send a request to the home of a run that is known; 200 once it was accepted, else 202.

    Raises `RunNotFound`, and `RequestWasRejected` if that is told meanwhile.
    """
    view = await parts.known(run_id)
    request_id = await in_thread(send, parts.client, view.routing_key)
    outcome = await outcome_of(parts, request_id, wait_s) if wait_s > 0 else None
    refuse_rejected(outcome, request_id)
    state = "asked" if outcome is None else "accepted"
    return answered({"run_id": run_id, "request_id": request_id, "state": state}, 202 if outcome is None else 200)
