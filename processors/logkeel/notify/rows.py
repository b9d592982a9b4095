"""The notifier's table: keys and bytes of its rows. Pure.

| prefix | key | value |
|---|---|---|
| `10` | run, incarnation, path, number | `Case`, msgpack |
| `11` | run, incarnation, revision | offset of the event on `run-events` that wrote fields, 8 bytes |
| `12` | run, incarnation | empty: the run was retried after its end, and goes on |
| `13` | channel | fingerprint of the address that has said it is gone |
| `14` | run, incarnation | empty: it may have open questions; most events are of runs that have none |
| `15` | run, incarnation | `traceparent` of who started the run; none if they said nothing |

Fields of a case are only added, with defaults: notifiers of two versions share a table during an upgrade.
"""

import msgspec

from logkeel.log.keys import number, prefix_end, text
from logkeel.notify.cases import Case
from logkeel.records import RunEvent

CASES = b"\x10"
WRITES = b"\x11"
GOING_ON = b"\x12"
GONE = b"\x13"
ASKING = b"\x14"
TRACE = b"\x15"

_DECODER = msgspec.msgpack.Decoder(Case)
_ENCODER = msgspec.msgpack.Encoder()


def case_key(case: Case) -> bytes:
    """Of a case."""
    question = case.question
    return cases_of(case.run_id, case.incarnation) + text(question.path) + number(question.number)


def cases_of(run_id: str, incarnation: str) -> bytes:
    """What the keys of a run's cases begin with."""
    return CASES + text(run_id) + text(incarnation)


def cases_of_any(run_id: str) -> bytes:
    """What the keys of the cases of all runs of that id begin with."""
    return CASES + text(run_id)


def writes_of(run_id: str, incarnation: str) -> bytes:
    """What the keys of a run's offsets begin with."""
    return WRITES + text(run_id) + text(incarnation)


def write_key(event: RunEvent, revision: int) -> bytes:
    """Where the offset of a revision of the event's run stands."""
    return writes_of(event.run_id, event.incarnation) + number(revision)


def trace_key(run_id: str, incarnation: str) -> bytes:
    """Of the trace that a run is part of."""
    return TRACE + text(run_id) + text(incarnation)


def trace_of_writes(scope: bytes) -> bytes:
    """The same key, of the run whose offsets `writes_of` names."""
    return TRACE + scope[len(WRITES) :]


def going_on_key(event: RunEvent) -> bytes:
    """Of a run that goes on after its end."""
    return GOING_ON + text(event.run_id) + text(event.incarnation)


def asking_key(event: RunEvent) -> bytes:
    """Of a run that may have open questions."""
    return ASKING + text(event.run_id) + text(event.incarnation)


def gone_key(channel: str) -> bytes:
    """Of a channel that is gone."""
    return GONE + text(channel)


def below(prefix: bytes) -> tuple[bytes, bytes]:
    """The range of keys that begin with it."""
    return prefix, prefix_end(prefix)


def encode_case(case: Case) -> bytes:
    """To bytes."""
    return _ENCODER.encode(case)


def decode_case(data: bytes) -> Case:
    """From bytes. Raises `msgspec.DecodeError`."""
    return _DECODER.decode(data)
