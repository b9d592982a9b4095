"""Trace context on its way through the engine: from headers into the run, into commands, out with completions. Pure.

The engine makes no spans. It says in a command which execution led to it, so that the worker's span can link to it; the
ids are derived (`logkeel.records.tracing`), so nothing is kept for that.
"""

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from logkeel.log import Header
from logkeel.records import Request, RunEvent, StartRun, TraceContext
from logkeel.records.tracing import SpanPlace, cause_of, execution_span_id, parse_traceparent, trace_id_of, traceparent
from logkeel.runs.core.state import RunInfo

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
MAX_TRACESTATE_CHARACTERS = 512
"""What W3C Trace Context asks everybody to carry; a longer one is left out."""

RESULTS = frozenset({"step_succeeded", "step_failed", "step_suspended", "step_released", "step_refused"})
"""Events that end an execution and may lead to another one."""

CALLS = RESULTS | {"step_journaled"}
"""And those by which one may have a child run started."""


def with_trace(request: Request, headers: Sequence[Header]) -> Request:
    """The start with the trace context of its record's headers, unless it brings one itself or they name none."""
    if not headers or not isinstance(request, StartRun) or request.trace is not None:
        return request
    found = {name: value.decode(errors="replace") for name, value in headers if name in (TRACEPARENT, TRACESTATE)}
    parent, state = found.get(TRACEPARENT), found.get(TRACESTATE)
    if parent is None or parse_traceparent(parent) is None:
        return request
    kept = state if state and len(state) <= MAX_TRACESTATE_CHARACTERS else None
    return replace(request, trace=TraceContext(traceparent=parent, tracestate=kept))


def headers_of(trace: TraceContext | None) -> tuple[Header, ...]:
    """The same on the way out."""
    if trace is None:
        return ()
    state = () if trace.tracestate is None else ((TRACESTATE, trace.tracestate.encode()),)
    return ((TRACEPARENT, trace.traceparent.encode()), *state)


def context_of_dispatch(
    info: RunInfo, events: Sequence[RunEvent], kinds: Collection[str] = RESULTS
) -> TraceContext | None:
    """What a command says about its cause: the execution whose result led to it, else who started the run."""
    cause = next((event for event in events if event.kind in kinds), None)
    if cause is None or cause.path is None or cause.dispatch is None:
        return info.trace
    root = cause_of(info.trace)
    place = SpanPlace(
        trace_id_of(info.run_id, info.incarnation, info.trace),
        execution_span_id(info.run_id, info.incarnation, cause.path, cause.dispatch),
        sampled=root is None or root.sampled,
    )
    return TraceContext(
        traceparent=traceparent(place), tracestate=None if info.trace is None else info.trace.tracestate
    )
