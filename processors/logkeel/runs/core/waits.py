"""Waiting in the flow: sleeps, signals, and questions to humans; how they begin. Pure.

A wait is one row and its timers; nothing else is held, for however long it lasts.
"""

from typing import assert_never

from logkeel.definitions import HumanBlock, SignalBlock, SleepBlock
from logkeel.records import FieldReference, FieldWrite, Payload
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.choosing import control_at
from logkeel.runs.core.flow import clear_timers, set_timers
from logkeel.runs.core.reading import field_value
from logkeel.runs.core.state import StoredSignal

_NULL = Payload(encoding="json", data=b"null")
"""What a signal without payload brings: the field is written, and whoever reads it sees None."""


def begin(turn: Activation, path: str) -> bool:
    """Begin to wait; whether there is nothing to wait for, since the signal has come before."""
    block = turn.plan.waits[path].block
    match block:
        case SleepBlock():
            _start(turn, path, "sleep", due_ms=turn.now_ms + block.duration_ms)
            return False
        case SignalBlock():
            return _await_signal(turn, path, block)
        case HumanBlock():
            _ask(turn, path, block)
            return False
        case _:
            assert_never(block)


def matching_signal(turn: Activation, name: str, correlation: str | None) -> int | None:
    """The revision of the oldest signal in store that such a wait would take."""
    known = ((revision, signal) for revision, signal in turn.state.signals.items() if fits(signal, name, correlation))
    return min((revision for revision, _ in known), default=None)


def fits(signal: StoredSignal, name: str, correlation: str | None) -> bool:
    """Whether a wait for this name and correlation takes the signal."""
    return signal.name == name and (correlation is None or signal.correlation == correlation)


def take_signal(turn: Activation, path: str, revision: int) -> None:
    """The wait at `path` takes the signal of that revision."""
    signal, block = turn.state.signals[revision], turn.plan.waits[path].block
    wait = turn.state.waits.get(path)
    if wait is not None:
        clear_timers(turn, path, wait)
    writes: tuple[FieldWrite, ...] = ()
    if isinstance(block, SignalBlock) and block.writes is not None:
        writes = (FieldWrite(field=block.writes, payload=signal.payload or _NULL),)
    used = (FieldReference(field=signal.name, revision=revision),)
    turn.record("wait_ended", path=path, name=signal.name, reason="signal", writes=writes, reads=used)


def _await_signal(turn: Activation, path: str, block: SignalBlock) -> bool:
    correlation = None
    if block.correlate is not None:
        correlation = str(control_at(turn.state, turn.plan, turn.plan.waits[path], block.correlate))
    known = matching_signal(turn, block.name, correlation)
    if known is not None:
        take_signal(turn, path, known)
        return True
    due_ms = None if block.timeout_ms is None else turn.now_ms + block.timeout_ms
    attributes = {} if correlation is None else {"correlation": correlation}
    _start(turn, path, "signal", due_ms=due_ms, reason=block.name, attributes=attributes)
    return False


def _start(
    turn: Activation,
    path: str,
    kind: str,
    *,
    due_ms: int | None,
    reason: str | None = None,
    attributes: dict[str, str] | None = None,
) -> None:
    turn.record("wait_started", path=path, name=kind, due_ms=due_ms, reason=reason, attributes=attributes or {})
    set_timers(turn, path, turn.state.waits[path])


def _ask(turn: Activation, path: str, block: HumanBlock) -> None:
    placed = turn.plan.waits[path]
    shown = (field_value(turn.state, turn.plan, name, placed.reading) for name in block.shows)
    facts = {
        "allow": ",".join(block.allow),
        "writes": block.writes,
        "answer": block.answer,
        "notify": block.notify,
        "shows": ",".join(block.shows) or None,
    }
    turn.record(
        "question_asked",
        path=path,
        reason=block.question,
        actor=block.assignee,
        due_ms=None if block.timeout_ms is None else turn.now_ms + block.timeout_ms,
        attributes={name: value for name, value in facts.items() if value is not None},
        reads=tuple(FieldReference(field=each.field, revision=each.revision) for each in shown if each is not None),
    )
    set_timers(turn, path, turn.state.waits[path])
