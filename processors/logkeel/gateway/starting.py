"""Routes that ask for a new run: start and fork. They put a request on the log; everything else is the engine's."""

import hashlib
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query
from starlette.responses import Response

from logkeel.client import ForkOptions
from logkeel.gateway.dependencies import IdempotencyKey, Operator, P, RunId, Wait
from logkeel.gateway.models import Asked, ForkBody, RunDocument, StartBody
from logkeel.gateway.outcomes import refuse_rejected
from logkeel.gateway.parts import Parts, answered, in_thread
from logkeel.gateway.request_ids import keyed
from logkeel.gateway.runs import document
from logkeel.projection import RunView

router = APIRouter(prefix="/v1/runs", tags=["runs"])

STARTED: dict[int | str, dict[str, Any]] = {
    200: {"model": RunDocument, "description": "the run has ended while it was waited for"},
    202: {"model": Asked, "description": "the request is on the log"},
}


@router.post("", status_code=202, response_model=Asked, responses=STARTED, operation_id="start_run")
async def start_run(
    parts: P, _: Operator, body: StartBody, key: IdempotencyKey = None, wait_s: Annotated[Wait, Query()] = 0.0
) -> Response:
    """Ask for a run. With the same Idempotency-Key it is the same run, however often it is sent."""
    own_id = body.run_id or (None if key is None else run_id_of(body.workflow, key))
    ids = {"run_id": own_id, "request_id": key, "routing_key": body.routing_key}
    told = -1 if own_id is None or wait_s == 0 else await in_thread(parts.model.end_announced_at, own_id)
    timeout = None if body.run_timeout_ms is None else f"{body.run_timeout_ms}ms"
    request_id, run_id = await in_thread(
        parts.client.submit, body.workflow, body.input, ids, attributes=body.attributes, run_timeout=timeout
    )
    return await started(parts, run_id, request_id, wait_s, told=told)


@router.post("/{run_id}/fork", status_code=202, response_model=Asked, responses=STARTED, operation_id="fork_run")
async def fork_run(
    parts: P,
    _: Operator,
    run_id: RunId,
    body: ForkBody,
    key: IdempotencyKey = None,
    wait_s: Annotated[Wait, Query()] = 0.0,
) -> Response:
    """Start a new run from the history of this one; nothing of this one changes."""
    request_id = keyed("fork_run", run_id, key)
    new_id = body.run_id or (None if request_id is None else request_id[:32])
    told = -1 if new_id is None or wait_s == 0 else await in_thread(parts.model.end_announced_at, new_id)
    if new_id and request_id and await _has_begun(parts, new_id, request_id):
        # Sent again it would change nothing, and its end would not be told again.
        return await started(parts, new_id, request_id, wait_s)
    await parts.known(run_id)
    history = await in_thread(parts.model.history, run_id)
    options = ForkOptions(at=body.at, edits=body.edits, version=body.version, reason=body.reason)
    ids = {"run_id": new_id, "request_id": request_id}
    asked, begun = await in_thread(parts.client.submit_fork, history.value, options, **ids)
    return await started(parts, begun, asked, wait_s, told=told)


async def _has_begun(parts: Parts, run_id: str, request_id: str) -> bool:
    """Whether this request was accepted, and the run is the one that it began."""
    outcome = await in_thread(parts.model.request, request_id)
    return outcome is not None and (outcome.state, outcome.run_id) == ("accepted", run_id)


async def started(parts: Parts, run_id: str, request_id: str, wait_s: float, *, told: int = -1) -> Response:
    """202 with the place of the run; 200 with the run if its end is told while it is waited for.

    `told`: where its end was told before the request was sent, if it had ended then: that is no answer to it. Raises
    `RequestWasRejected` if that is told meanwhile.
    """

    async def ended() -> RunView | None:
        refuse_rejected(await in_thread(parts.model.request, request_id), request_id)
        if await in_thread(parts.model.end_announced_at, run_id) <= told:
            return None
        found = await in_thread(parts.model.find, run_id)
        return found if found is not None and found.status != "running" else None

    location = {"Location": f"/v1/runs/{quote(run_id, safe='')}"}
    if wait_s > 0:
        end = await parts.bulletin.until(ended, parts.bounded(wait_s), run_id=run_id, request_id=request_id)
        if end is not None:
            return answered(await document(parts, await in_thread(parts.model.run, run_id)), 200, location)
    return answered({"run_id": run_id, "request_id": request_id, "state": "asked"}, 202, location)


def run_id_of(workflow: str, key: str) -> str:
    """The run id that belongs to an Idempotency-Key: 32 hex digits, the same on every replica."""
    return hashlib.sha256(f"{len(workflow)}:{workflow}{key}".encode()).hexdigest()[:32]
