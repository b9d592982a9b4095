"""Ids of traces and spans, and the traceparent header that carries them. Pure.

Nothing is remembered: an id is the digest of what it stands for, so whoever looks at an execution (its worker, the one
that repeats it, the engine) arrives at the same span. W3C Trace Context, https://www.w3.org/TR/trace-context/:

    traceparent = 00-<trace id: 32 hex>-<span id: 16 hex>-<flags: 2 hex, bit 0: sampled>
"""

import re
from hashlib import blake2b
from typing import NamedTuple

from logkeel.records.steps import StepCommand
from logkeel.records.values import StepIdentity, TraceContext

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_VERSION_FORBIDDEN = "ff"
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


class SpanPlace(NamedTuple):
    """A span: its trace and itself, in lower-case hex; `sampled`: somebody keeps it."""

    trace_id: str
    span_id: str
    sampled: bool = True


def parse_traceparent(text: str) -> SpanPlace | None:
    """The span that a traceparent header names; None if it is not one."""
    found = _TRACEPARENT.fullmatch(text)
    if found is None or text.startswith(_VERSION_FORBIDDEN) or found[1] == _NO_TRACE or found[2] == _NO_SPAN:
        return None
    return SpanPlace(found[1], found[2], bool(int(found[3], 16) & 1))


def traceparent(place: SpanPlace) -> str:
    """The header that names this span."""
    return f"00-{place.trace_id}-{place.span_id}-{'01' if place.sampled else '00'}"


def cause_of(trace: TraceContext | None) -> SpanPlace | None:
    """The span that a record says it was caused by; None: it names none."""
    return None if trace is None else parse_traceparent(trace.traceparent)


def trace_id_of(run_id: str, incarnation: str, trace: TraceContext | None) -> str:
    """The trace of a run: that of its request, else one of its own, the same for whoever asks."""
    cause = cause_of(trace)
    return _digest(16, run_id, incarnation) if cause is None else cause.trace_id


def trace_id_of_command(command: StepCommand) -> str:
    """The trace that an execution belongs to."""
    return trace_id_of(command.identity.run_id, command.identity.incarnation, command.trace)


def execution_span_id(run_id: str, incarnation: str, path: str, dispatch: int) -> str:
    """The span of one execution of a step. `dispatch` tells executions apart, also those of one attempt (P32)."""
    return _digest(8, run_id, incarnation, path, str(dispatch))


def span_id_of(identity: StepIdentity) -> str:
    """As `execution_span_id`."""
    return execution_span_id(identity.run_id, identity.incarnation, identity.path, identity.dispatch)


def call_span_id(identity: StepIdentity, position: str, number: int) -> str:
    """The span of the try `number` of the journaled call at `position`, as this execution makes it."""
    return _digest(
        8, identity.run_id, identity.incarnation, identity.path, str(identity.dispatch), position, str(number)
    )


def notification_span_id(key: str, attempt: int) -> str:
    """The span of one attempt to send the notification with this idempotency key."""
    return _digest(8, "notification", key, str(attempt))


def _digest(size: int, *parts: str) -> str:
    return blake2b("\x00".join(parts).encode(), digest_size=size).hexdigest()
