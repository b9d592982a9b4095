"""Traces over OTLP: the only importer of opentelemetry, which is an extra. Loaded only when its variables ask for it.

Spans have derived ids (`logkeel.records.tracing`): an execution that is repeated under the same dispatch is the same
span, and a call that is replayed from a journal is no span at all. The span of an execution is current while its code
runs, so what a step's own libraries trace (models, HTTP) hangs below it.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from logkeel.observe import spans
from logkeel.records import StepFailed, TraceContext
from logkeel.records.tracing import (
    SpanPlace,
    call_span_id,
    cause_of,
    notification_span_id,
    span_id_of,
    trace_id_of,
    trace_id_of_command,
    traceparent,
)
from logkeel.steps.attempt import Attempt
from logkeel.steps.execution import Outcome
from logkeel.steps.journal.calls import CallSeen
from logkeel.steps.observing import Unwatched

__all__ = [
    "CallInGateway",
    "CallTracing",
    "DerivedIds",
    "NotificationTracing",
    "StepTracing",
    "TracerProvider",
    "make_provider",
    "share",
]

_FORCED: ContextVar[tuple[int, int] | None] = ContextVar("logkeel_span", default=None)


class DerivedIds(IdGenerator):
    """The ids of the span that is being made, if it is one of ours; else random ones."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()

    def generate_trace_id(self) -> int:
        forced = _FORCED.get()
        return self._random.generate_trace_id() if forced is None else forced[0]

    def generate_span_id(self) -> int:
        forced = _FORCED.get()
        return self._random.generate_span_id() if forced is None else forced[1]


class StepTracing(Unwatched):
    """Implements `logkeel.steps.StepObserver`. `group`: the consumer group of the worker."""

    def __init__(self, provider: TracerProvider, group: str) -> None:
        self._tracer = provider.get_tracer("logkeel.steps")
        self._group = group
        self._open: dict[Attempt, Span] = {}

    def began(self, attempt: Attempt) -> None:
        """See `StepObserver`."""
        command = attempt.command
        with _forced(trace_id_of_command(command), span_id_of(command.identity)):
            span = self._tracer.start_span(
                spans.execution_name(attempt),
                # Without a parent: a tree of its own, however long ago the run began.
                context=context.Context(),
                kind=SpanKind.CONSUMER,
                attributes=spans.execution_attributes(attempt, self._group),
                links=[Link(_context_of(place)) for place in spans.execution_links(attempt)],
            )
        self._open[attempt] = span
        # For the rest of the asyncio context of its own that each execution has.
        context.attach(trace.set_span_in_context(span))

    def ended(self, attempt: Attempt, outcome: Outcome | None, now_ms: int) -> None:
        """See `StepObserver`. A span that never ends, of an execution that was not called, is never sent."""
        span = self._open.pop(attempt, None)
        if span is None or outcome is None:
            return
        span.set_attributes(spans.outcome_attributes(outcome))
        if isinstance(outcome, StepFailed):
            span.set_status(Status(StatusCode.ERROR, outcome.error.code))
        span.end()

    @contextmanager
    def calling(self, attempt: Attempt, call: CallSeen) -> Iterator[None]:
        """See `StepObserver`."""
        identity, around = attempt.command.identity, self._open.get(attempt)
        here = context.get_current()
        if around is not None and not trace.get_current_span(here).get_span_context().is_valid:
            here = trace.set_span_in_context(around, here)
        with _forced(trace_id_of_command(attempt.command), call_span_id(identity, call.position, call.number)):
            span = self._tracer.start_span(
                spans.call_name(call), context=here, kind=SpanKind.INTERNAL, attributes=spans.call_attributes(call)
            )
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield
        except asyncio.CancelledError:
            _failed(span, "cancelled")
            raise
        except Exception as error:
            _failed(span, type(error).__qualname__)
            raise
        finally:
            span.end()


@dataclass(frozen=True, slots=True)
class CallInGateway:
    """Implements `logkeel.gateway.tracing.CallSpan`."""

    span: Span
    context: TraceContext

    def end(self, *, method: str, route: str, status: int, run_id: str, request_id: str) -> None:
        """See `CallSpan`."""
        self.span.update_name(f"{method} {route}")
        self.span.set_attributes(spans.http_attributes(method, route, status))
        self.span.set_attributes(spans.request_attributes(run_id, request_id))
        if status >= spans.SERVER_ERROR:
            _failed(self.span, str(status))
        self.span.end()


class CallTracing:
    """Implements `logkeel.gateway.tracing.CallTracer`. A call is made once: its span has a random id."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("logkeel.gateway")

    def begin(self, caller: TraceContext | None) -> CallInGateway:
        """See `CallTracer`."""
        above, place = context.Context(), cause_of(caller)
        if place is not None:
            above = trace.set_span_in_context(trace.NonRecordingSpan(_context_of(place)), above)
        span = self._tracer.start_span("POST", context=above, kind=SpanKind.SERVER)
        here = span.get_span_context()
        flags = bool(here.trace_flags & TraceFlags.SAMPLED)
        header = traceparent(SpanPlace(f"{here.trace_id:032x}", f"{here.span_id:016x}", flags))
        return CallInGateway(
            span, TraceContext(traceparent=header, tracestate=None if caller is None else caller.tracestate)
        )


class NotificationTracing:
    """Implements `logkeel.notify.tracing.NotificationTracer`. An attempt that is repeated is the same span."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("logkeel.notify")

    @contextmanager
    def sending(self, facts: dict[str, str | int], traceparent: str | None) -> Iterator[dict[str, str | int]]:
        """See `NotificationTracer`."""
        caller = None if traceparent is None else TraceContext(traceparent=traceparent)
        cause, ended = cause_of(caller), dict[str, str | int]()
        trace_id = trace_id_of(str(facts["run_id"]), str(facts["incarnation"]), caller)
        with _forced(trace_id, notification_span_id(str(facts["key"]), int(facts["attempt"]))):
            span = self._tracer.start_span(
                f"notify {facts['kind']}",
                # Without a parent: a tree of its own, as an execution is.
                context=context.Context(),
                kind=SpanKind.CLIENT,
                attributes=spans.notification_attributes(facts),
                links=[] if cause is None else [Link(_context_of(cause))],
            )
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield ended
        finally:
            outcome = str(ended.get("outcome", "failed"))
            span.set_attribute("logkeel.notification.outcome", outcome)
            if outcome != "delivered":
                _failed(span, outcome)
            span.end()


def make_provider(resource: dict[str, str], exporter: SpanExporter | None = None) -> TracerProvider:
    """Spans are sampled, batched and sent as the variables of OpenTelemetry say (OTEL_TRACES_SAMPLER, OTEL_BSP_*,
    OTEL_EXPORTER_OTLP_*). `resource`: attributes that these variables may override.
    """
    described = Resource(resource).merge(Resource.create())
    if "service.name" in resource and str(described.attributes.get("service.name", "")).startswith("unknown_service"):
        described = described.merge(Resource({"service.name": resource["service.name"]}))
    provider = TracerProvider(resource=described, id_generator=DerivedIds(), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
    return provider


def share(provider: TracerProvider) -> None:
    """Let what else traces in this process use it, too, unless somebody has set another one."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(provider)


@contextmanager
def _forced(trace_id: str, span_id: str) -> Iterator[None]:
    token = _FORCED.set((int(trace_id, 16), int(span_id, 16)))
    try:
        yield
    finally:
        _FORCED.reset(token)


def _context_of(place: SpanPlace) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if place.sampled else TraceFlags.DEFAULT)
    return SpanContext(int(place.trace_id, 16), int(place.span_id, 16), is_remote=True, trace_flags=flags)


def _failed(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR, kind))
