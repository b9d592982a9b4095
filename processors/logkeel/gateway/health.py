"""Routes for those who run the gateway: is it alive, is it ready, and figures. Probes need not say who they are."""

from typing import Final

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from starlette.responses import Response

from logkeel.errors import ReadModelBehind
from logkeel.gateway.dependencies import P, Viewer
from logkeel.gateway.parts import SILENT_S, Parts, answered, in_thread

router = APIRouter(tags=["operation"])

METRICS: Final = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/livez", operation_id="livez", response_model=dict[str, str])
async def livez(parts: P) -> Response:
    """200 while the process takes calls. It does not ask the broker: a restart would not help there."""
    return answered({"status": "alive"})


@router.get("/readyz", operation_id="readyz", response_model=dict[str, str])
async def readyz(parts: P) -> Response:
    """200 once the read model has caught up with what was there at the start, and while it is moved on; else 503."""
    if not parts.pulse.caught_up:
        raise ReadModelBehind("the read model has not caught up yet")
    silent_s = parts.monotonic_s() - parts.pulse.turned_s
    if silent_s > SILENT_S:
        raise ReadModelBehind(f"the read model was not moved on for {silent_s:.0f} s: is the broker there?")
    return answered({"status": "ready"})


@router.get(
    "/metrics",
    operation_id="metrics",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(parts: P, _: Viewer) -> Response:
    """Figures as Prometheus reads them."""
    return Response(await in_thread(_figures, parts), media_type=METRICS)


def _figures(parts: Parts) -> str:
    counted, reflects = parts.model.counts(), parts.model.reflects()
    lines = ["# TYPE logkeel_runs gauge"]
    lines += [
        f'logkeel_runs{{workflow="{_escaped(workflow)}",status="{status}"}} {runs}'
        for workflow, status, runs in counted.value
    ]
    lines.append("# TYPE logkeel_waits gauge")
    lines += [f'logkeel_waits{{kind="{kind}"}} {count}' for kind, count, _ in parts.model.waiting()]
    lines.append("# TYPE logkeel_gateway_position gauge")
    lines += [
        f'logkeel_gateway_position{{topic="{topic}",partition="{number}"}} {offset}'
        for topic, offsets in reflects.items()
        for number, offset in sorted(offsets.items())
    ]
    lines += ["# TYPE logkeel_gateway_streams gauge", f"logkeel_gateway_streams {parts.calls.streams}"]
    lines.append("# TYPE logkeel_gateway_requests_total counter")
    lines += [
        f'logkeel_gateway_requests_total{{method="{method}",route="{route}",status="{status}"}} {count}'
        for (method, route, status), count in sorted(parts.calls.by_route.copy().items())
    ]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
