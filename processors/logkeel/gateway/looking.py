"""Routes that look at more than one run: workflows, counts, requests."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from logkeel.errors import RunNotFound
from logkeel.gateway.dependencies import MinOffset, P, Viewer, Wait
from logkeel.gateway.models import LONGEST_ID, Counts, Outcome, Workflows
from logkeel.gateway.outcomes import outcome_of
from logkeel.gateway.parts import answered, in_thread

router = APIRouter(prefix="/v1")


@router.get("/counts", response_model=Counts, operation_id="count_runs", tags=["runs"])
async def count_runs(parts: P, _: Viewer, min_offset: MinOffset = None) -> Response:
    """How many runs there are: in flight, by status, by workflow and status."""
    await parts.settle(min_offset)
    answer = await in_thread(parts.model.counts)
    by_status, by_workflow = dict[str, int](), dict[str, dict[str, int]]()
    for workflow, status, runs in answer.value:
        by_status[status] = by_status.get(status, 0) + runs
        by_workflow.setdefault(workflow, {})[status] = runs
    return answered(
        {
            "in_flight": by_status.get("running", 0),
            "by_status": by_status,
            "by_workflow": by_workflow,
            "reflects": parts.reflects(answer.reflects),
        }
    )


@router.get("/workflows", response_model=Workflows, operation_id="list_workflows", tags=["workflows"])
async def list_workflows(parts: P, _: Viewer, min_offset: MinOffset = None) -> Response:
    """What is published, with its document, and how many runs of each name there are."""
    await parts.settle(min_offset)
    counted = await in_thread(parts.model.counts)
    runs: dict[str, dict[str, int]] = {}
    for workflow, status, count in counted.value:
        runs.setdefault(workflow, {})[status] = count
    items = [
        {
            "name": each.name,
            "version": each.version,
            "digest": each.digest,
            "schema_version": each.schema_version,
            "published_at_ms": each.published_at_ms,
            "runs": runs.get(each.name, {}),
            "document": msgspec.Raw(each.document),
        }
        for each in await in_thread(parts.published.all)
    ]
    return answered({"items": items, "reflects": parts.reflects(counted.reflects)})


@router.get("/requests/{request_id}", response_model=Outcome, operation_id="show_request", tags=["runs"])
async def show_request(
    parts: P,
    _: Viewer,
    request_id: Annotated[str, Path(min_length=1, max_length=LONGEST_ID)],
    wait_s: Annotated[Wait, Query()] = 0.0,
) -> Response:
    """What became of a request: accepted by an event of a run, or rejected; 404 while that is not known."""
    outcome = await outcome_of(parts, request_id, wait_s)
    if outcome is None:
        raise RunNotFound(f"nothing is known of request {request_id} yet", request_id=request_id)
    return answered({"request_id": request_id, **msgspec.to_builtins(outcome)})
