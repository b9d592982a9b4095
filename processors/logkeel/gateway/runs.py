"""Routes that look at runs."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from starlette.responses import Response, StreamingResponse

from logkeel.client.building import plain_result
from logkeel.client.opening import opened
from logkeel.errors import CallerError, LogkeelError
from logkeel.gateway.dependencies import MinOffset, P, RunId, Viewer
from logkeel.gateway.models import LARGEST, HistoryPage, RunDocument, RunPage, RunQuery
from logkeel.gateway.parts import Parts, answered, in_thread
from logkeel.gateway.sse import RunStream, place_from
from logkeel.projection import RunView
from logkeel.projection.documents import event_json, run_json, summary
from logkeel.readmodel import Answer, Filters
from logkeel.records import RunCompleted

router = APIRouter(prefix="/v1/runs", tags=["runs"])


@router.get("", response_model=RunPage, operation_id="list_runs")
async def list_runs(parts: P, _: Viewer, asked: Annotated[RunQuery, Query()]) -> Response:
    """Runs that meet every filter, the youngest first. `step`: is open now; age by the times of the start."""
    await parts.settle(asked.min_offset)
    answer = await in_thread(parts.model.runs, filters_of(asked), cursor=asked.cursor, limit=asked.limit)
    now_ms = parts.now_ms()
    items = [summary(view, now_ms) for view in answer.value.items]
    reflects = parts.reflects(answer.reflects)
    return answered({"items": items, "next_cursor": answer.value.next_cursor, "reflects": reflects})


def filters_of(asked: RunQuery) -> Filters:
    """The filters of a call. Raises `CallerError` for an attribute that is no pair."""
    return Filters(
        workflow=asked.workflow,
        status=asked.status,
        step=asked.step,
        waiting_for=asked.waiting_for,
        assignee=asked.assignee,
        in_doubt=asked.in_doubt,
        paused=asked.paused,
        started_after_ms=asked.started_after_ms,
        started_before_ms=asked.started_before_ms,
        attributes=_pairs(asked.attribute),
    )


@router.get("/{run_id}", response_model=RunDocument, operation_id="show_run")
async def show_run(parts: P, _: Viewer, run_id: RunId, min_offset: MinOffset = None) -> Response:
    """A run as it is now: steps, fields, waits, errors, and its result."""
    await parts.settle(min_offset)
    await parts.known(run_id)
    answer = await in_thread(parts.model.run, run_id)
    return answered(await document(parts, answer))


@router.get("/{run_id}/state", response_model=RunDocument, operation_id="show_state")
async def show_state(
    parts: P,
    _: Viewer,
    run_id: RunId,
    revision: Annotated[int | None, Query(ge=1, le=LARGEST, description="Behind this one; else now.")] = None,
    min_offset: MinOffset = None,
) -> Response:
    """A run as it was right behind a revision, rebuilt from its history."""
    await parts.settle(min_offset)
    await parts.known(run_id)
    answer = await in_thread(parts.model.run, run_id, revision)
    view = await in_thread(opened, answer.value, parts.payloads)
    now_ms = parts.now_ms() if revision is None else view.updated_at_ms
    return answered({**run_json(view, now_ms), "reflects": parts.reflects(answer.reflects)})


@router.get("/{run_id}/history", response_model=HistoryPage, operation_id="show_history")
async def show_history(
    parts: P,
    _: Viewer,
    run_id: RunId,
    after: Annotated[int, Query(ge=0, le=LARGEST, description="Events behind this revision.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 200,
    min_offset: MinOffset = None,
) -> Response:
    """The events of a run in order, without payloads."""
    await parts.settle(min_offset)
    await parts.known(run_id)
    answer = await in_thread(parts.model.history, run_id, after=after, limit=limit)
    items = [event_json(event) for event in answer.value]
    following = answer.value[-1].revision if len(items) == limit else None
    return answered({"items": items, "next_after": following, "reflects": parts.reflects(answer.reflects)})


@router.get(
    "/{run_id}/events",
    operation_id="follow_run",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "events as they come"},
        204: {"description": "the run has ended and everything was told"},
    },
)
async def follow_run(
    parts: P,
    _: Viewer,
    run_id: RunId,
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID", max_length=100)] = None,
) -> Response:
    """What happens to a run and what its steps emit, as Server-Sent Events, until it ends; resumable."""
    return await stream_of(parts, run_id, last_event_id)


async def stream_of(parts: Parts, run_id: str, last_event_id: str | None) -> Response:
    """The event stream of a run, from a place on. Raises `RunNotFound`, `CallerError`, `TooManyRequests`."""
    place = place_from(last_event_id)
    run = await parts.known(run_id)
    stream = RunStream(parts, run, place)
    if await stream.is_over():
        return Response(status_code=204)
    parts.begin_stream()
    return _EventStream(parts, stream)


class _EventStream(StreamingResponse):
    """Counts as open until its body was sent, or the client has gone."""

    def __init__(self, parts: Parts, stream: RunStream) -> None:
        super().__init__(stream.messages(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._parts = parts

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._parts.calls.streams -= 1


async def document(parts: Parts, answer: Answer[RunView]) -> dict[str, Any]:
    """Everything a run is, with what it returned."""
    view = await in_thread(opened, answer.value, parts.payloads)
    completed = None if view.status == "running" else await in_thread(parts.model.end, view.run_id)
    known = {"reflects": parts.reflects(answer.reflects)}
    if completed is not None and completed.status == "succeeded":
        known |= await in_thread(_result, parts, completed)
    return {**run_json(view, parts.now_ms()), **known}


def _result(parts: Parts, completed: RunCompleted) -> dict[str, Any]:
    """What it returned, by field; where it cannot be opened here, why not."""
    try:
        return {"result": plain_result(parts.client.opened(completed).result)}
    except LogkeelError as error:
        return {"result_unreadable": error.code}


def _pairs(given: list[str]) -> dict[str, str]:
    pairs = [each.partition("=") for each in given]
    if not all(name and sign for name, sign, _ in pairs):
        raise CallerError("attribute is name=value")
    return {name: value for name, _, value in pairs}
