"""Ids of the run processor's timers and wake-ups. Pure.

kind (1 byte) text(run id) text(path) number(dispatch, or number of a wait); those of the partition: kind (1 byte), then
what it is about
"""

from typing import NamedTuple

from logkeel.log import keys
from logkeel.runs.core.actions import TimerKind

_BYTES: dict[TimerKind, bytes] = {
    "step": b"s",
    "run_deadline": b"d",
    "start_deadline": b"q",
    "block": b"b",
    "reminder": b"r",
    "journal": b"j",
}
_KINDS = {byte: kind for kind, byte in _BYTES.items()}
_LEASE = b"L"

SWEEP = b"S"
PARKED = b"P"

UNPARK = b"U"
"""Behind it the tail of a parked request's key: that request is handled, in a turn of its own."""

NEXT_TURN = b"N"
"""Behind it workflow and id of a conversation: its next turn begins, in a turn of the engine's own."""

LIMIT = b"M"
"""Behind it a limit: its line goes on by time. A durable timer."""

SCHEDULE = b"C"
"""Behind it a schedule's name: something is due, or a run of it has ended."""

SURVEY = b"V"
"""The next open runs are looked at, for who watches."""

OFFER = b"O"
"""Behind it what requests wait for: the next of them are handled."""


class TimerName(NamedTuple):
    """A timer of a run."""

    kind: TimerKind
    run_id: str
    path: str
    dispatch: int


def timer_id(name: TimerName) -> bytes:
    """Its id."""
    return _BYTES[name.kind] + keys.text(name.run_id) + keys.text(name.path) + keys.number(name.dispatch)


def lease_id(run_id: str, path: str) -> bytes:
    """The id of a lease's wake-up."""
    return _LEASE + keys.text(run_id) + keys.text(path)


def parse(identifier: bytes) -> TimerName | tuple[str, str] | None:
    """A timer's name, a lease's (run id, path), or None for a wake-up of the partition."""
    kind = identifier[:1]
    if kind in (SWEEP, PARKED, UNPARK, OFFER, NEXT_TURN, LIMIT, SCHEDULE, SURVEY):
        return None
    run_id, position = keys.read_text(identifier, 1)
    path, position = keys.read_text(identifier, position)
    if kind == _LEASE:
        return run_id, path
    return TimerName(_KINDS[kind], run_id, path, keys.read_number(identifier, position)[0])
