"""Pages of runs: a list with filters, and one run with its drawn flow, live by the same event stream as the API's."""

from typing import Annotated, Any, Final, get_args

from fastapi import APIRouter, Header, Query, Request
from pydantic import ValidationError
from starlette.responses import Response

from logkeel.client.opening import opened
from logkeel.errors import InvalidInput, LogkeelError
from logkeel.gateway.dependencies import P, RunId
from logkeel.gateway.models import LARGEST, LONGEST_ID, RunQuery
from logkeel.gateway.parts import Parts, in_thread
from logkeel.gateway.runs import filters_of, stream_of
from logkeel.gateway.ui.answering import PageRoute, V, page
from logkeel.gateway.ui.marks import marks_of
from logkeel.gateway.ui.views import event_lines, run_line, run_parts, run_path, with_cursor
from logkeel.projection import RunView
from logkeel.records import RunStatus
from logkeel.workflow.drawing import as_picture

router = APIRouter(prefix="/ui/runs", route_class=PageRoute, include_in_schema=False)

RUNS: Final = 50
LAST_EVENTS: Final = 30
EVENTS: Final = 200
WAITING_FOR: Final = ("human", "signal", "sleep", "child", "limit")
FLAGS: Final = ("paused", "in_doubt")


@router.get("")
async def show_runs(request: Request, parts: P, looks: V) -> Response:
    """Runs that meet the filters, the youngest first."""
    given = {name: value for name, value in request.query_params.items() if value.strip()}
    asked = _query(given)
    filters = filters_of(asked)
    answer = await in_thread(parts.model.runs, filters, cursor=asked.cursor, limit=RUNS)
    counted = await in_thread(parts.model.counts)
    now_ms = parts.now_ms()
    kept = {name: value for name, value in given.items() if name != "cursor"}
    return page(
        "runs.html",
        looks,
        lines=[run_line(each, now_ms) for each in answer.value.items],
        given=kept,
        is_first=asked.cursor is None,
        following=with_cursor("/ui/runs", kept, answer.value.next_cursor),
        workflows=sorted({workflow for workflow, _, _ in counted.value}),
        statuses=get_args(RunStatus),
        waiting_for=WAITING_FOR,
        counts=_counts(counted.value),
    )


@router.get("/{run_id}")
async def show_run(
    parts: P, looks: V, run_id: RunId, request: Annotated[str, Query(max_length=LONGEST_ID)] = ""
) -> Response:
    """A run: what it does now, its drawn flow, its fields and its history."""
    await parts.known(run_id)
    values = await _run(parts, run_id)
    outcome = await in_thread(parts.model.request, request) if request else None
    note = ""
    if request:
        note = "Your answer is on its way: it takes effect once the engine has read it."
    if outcome is not None:
        note = (
            "Your answer was taken." if outcome.state == "accepted" else f"Your answer came too late: {outcome.reason}."
        )
    return page("run.html", looks, note=note, **values)


@router.get("/{run_id}/live")
async def show_live(parts: P, looks: V, run_id: RunId) -> Response:
    """The part of a run's page that changes."""
    await parts.known(run_id)
    return page("live.html", looks, **await _run(parts, run_id))


@router.get("/{run_id}/events")
async def follow(
    parts: P,
    _: V,
    run_id: RunId,
    after: Annotated[str, Query(max_length=100)] = "",
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID", max_length=100)] = None,
) -> Response:
    """The event stream of the API, for the session of a page. `after`: where to begin, as `Last-Event-ID`."""
    return await stream_of(parts, run_id, last_event_id or after or None)


@router.get("/{run_id}/history")
async def show_history(
    parts: P, looks: V, run_id: RunId, after: Annotated[int, Query(ge=0, le=LARGEST)] = 0
) -> Response:
    """Its events from the beginning, in pages."""
    view = await parts.known(run_id)
    answer = await in_thread(parts.model.history, run_id, after=after, limit=EVENTS)
    following = f"{run_path(run_id)}/history?after={answer.value[-1].revision}" if len(answer.value) == EVENTS else None
    line = run_line(view, parts.now_ms())
    return page("history.html", looks, line=line, events=event_lines(answer.value), following=following)


async def _run(parts: Parts, run_id: str) -> dict[str, Any]:
    answer = await in_thread(parts.model.run, run_id)
    view = await in_thread(opened, answer.value, parts.payloads)
    after = max(0, view.revision - LAST_EVENTS)
    events = (await in_thread(parts.model.history, run_id, after=after, limit=LAST_EVENTS)).value
    # Everything below is in the page. The smallest of all partitions is at most that of the run's own.
    reflected = parts.reflects(answer.reflects).values()
    return {
        "run": run_parts(view, parts.now_ms()),
        "events": list(reversed(event_lines(events))),
        "picture": await _picture(parts, view),
        "marks": marks_of(view),
        "follow": f"{run_path(run_id)}/events?after={min(reflected, default=0) - 1}",
        "is_running": view.status == "running",
    }


async def _picture(parts: Parts, view: RunView) -> Any:
    """The drawing of its flow; None where its definition cannot be read: the page is there without it."""
    try:
        document = await in_thread(parts.published.document, view.definition_digest)
    except LogkeelError:
        return None
    return None if document is None else as_picture(document)


def _query(given: dict[str, str]) -> RunQuery:
    """Filters as a form sends them. Raises `InvalidInput`."""
    asked: dict[str, Any] = {name: value.strip() for name, value in given.items() if name != "attribute"}
    asked |= {name: True for name in FLAGS if name in given}
    if "attribute" in given:
        asked["attribute"] = [given["attribute"].strip()]
    try:
        return RunQuery.model_validate(asked)
    except ValidationError as error:
        problems = [f"{each['loc'][0]}: {each['msg']}" for each in error.errors(include_url=False)]
        raise InvalidInput("; ".join(problems), problems=problems) from error


def _counts(counted: list[tuple[str, str, int]]) -> list[tuple[str, int]]:
    by_status: dict[str, int] = {}
    for _, status, count in counted:
        by_status[status] = by_status.get(status, 0) + count
    return sorted(by_status.items())
