"""The trace context of a call: from its headers into those of the record it leads to. Knows no library of traces.

Whoever calls may say which trace the call is part of (W3C Trace Context); a run that the call starts is then part of it
as well. Where traces are sent, a span of the gateway stands between the two, for each call that put a request on the
log, whatever became of it, and for no other.
"""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Protocol

from logkeel.gateway.bounding import Application, Message, Receive, Scope, Send
from logkeel.log import Header
from logkeel.records import Request, ScheduleRequest, TraceContext
from logkeel.records.tracing import parse_traceparent

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
MAX_TRACESTATE_CHARACTERS: Final = 512
"""What W3C Trace Context asks everybody to carry; a longer one is left out."""


class CallSpan(Protocol):
    """A span that has begun; it is sent when it is ended, and never if it is not."""

    @property
    def context(self) -> TraceContext:
        """What a record says that is caused by it."""
        ...

    def end(self, *, method: str, route: str, status: int, run_id: str, request_id: str) -> None:
        """It is over. `run_id`, `request_id`: of the request that the call put on the log. Must not raise."""
        ...


class CallTracer(Protocol):
    """Makes the spans of calls."""

    def begin(self, caller: TraceContext | None) -> CallSpan:
        """A span below that of the caller, or in a trace of its own. Must not raise."""
        ...


@dataclass(slots=True)
class _Call:
    context: TraceContext | None
    asked: tuple[str, str] | None = None


_CALL: ContextVar[_Call | None] = ContextVar("logkeel_call", default=None)


def headers_of_call(request: Request | ScheduleRequest) -> tuple[Header, ...]:
    """What goes with the record of a request that the present call makes. From any thread that works for the call."""
    call = _CALL.get()
    if call is None:
        return ()
    call.asked = (getattr(request, "run_id", None) or "", request.request_id or "")
    if call.context is None:
        return ()
    state = call.context.tracestate
    more = () if state is None else ((TRACESTATE, state.encode()),)
    return ((TRACEPARENT, call.context.traceparent.encode()), *more)


class Traced:
    """Stands in front of the application: takes the context in; ends the span of a call that asked for something."""

    def __init__(self, application: Application, tracer: CallTracer | None) -> None:
        self._application = application
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._application(scope, receive, send)
            return
        caller = caller_of_headers(scope["headers"])
        span = None if self._tracer is None else self._tracer.begin(caller)
        call, status = _Call(caller if span is None else span.context), 500

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        token = _CALL.set(call)
        try:
            await self._application(scope, receive, noted)
        finally:
            _CALL.reset(token)
            if span is not None and call.asked is not None:
                route = getattr(scope.get("route"), "path", "none")
                run_id, request_id = call.asked
                span.end(method="POST", route=route, status=status, run_id=run_id, request_id=request_id)


def caller_of_headers(headers: Sequence[tuple[bytes, bytes]]) -> TraceContext | None:
    """The trace context of a call's headers (lower-case names); None if they name none."""
    found = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    parent, state = found.get(TRACEPARENT), found.get(TRACESTATE)
    if parent is None or parse_traceparent(parent) is None:
        return None
    kept = state if state and len(state) <= MAX_TRACESTATE_CHARACTERS else None
    return TraceContext(traceparent=parent, tracestate=kept)
