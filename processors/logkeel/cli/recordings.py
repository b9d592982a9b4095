"""Recorded histories: a run's events and its definition as JSON lines, to be kept, read by people, and replayed.

The first line is the definition, each further one an event; fields that are empty are left out, bytes are base64.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from logkeel.definitions import decode_document, digest_of, encode_document
from logkeel.errors import InvalidInput
from logkeel.records import RunEvent
from logkeel.runs.core.plan import Plan

FORMAT = 1


class _Head(msgspec.Struct):
    recording: int
    document: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Recording:
    """A history and the definition that it was made by."""

    document: bytes
    events: tuple[RunEvent, ...]

    def plan(self) -> Plan:
        """The definition, compiled by the present code."""
        document = decode_document(self.document)
        return Plan(document, digest_of(encode_document(document)))


def lines_of(recording: Recording) -> Iterator[bytes]:
    """The recording as lines, without their ends."""
    yield b'{"recording":%d,"document":%s}' % (FORMAT, recording.document)
    for event in recording.events:
        yield msgspec.json.encode(_short(msgspec.to_builtins(event)))


def recording_of(lines: Iterable[bytes], name: str) -> Recording:
    """Reverses `lines_of`. Raises `InvalidInput` that names file and line."""
    number, document = 1, b""
    events: list[RunEvent] = []
    try:
        for number, line in enumerate((line for line in lines if line.strip()), 1):
            if number == 1:
                document = _document(line)
            else:
                events.append(msgspec.json.decode(line, type=RunEvent))
    except (msgspec.MsgspecError, ValueError) as error:
        message = f"{name}, line {number}, is not of a recording: {error}; make one with logkeel run export RUN"
        raise InvalidInput(message, file=name, line=number) from error
    if not events:
        raise InvalidInput(f"{name} holds no events; make a recording with logkeel run export RUN", file=name)
    return Recording(document, tuple(events))


def _document(line: bytes) -> bytes:
    head = msgspec.json.decode(line, type=_Head)
    if head.recording != FORMAT:
        raise ValueError(f"it has format {head.recording}, this version reads {FORMAT}")
    document = bytes(head.document)
    decode_document(document)
    return document


def _short(value: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in value.items() if not (each is None or each is False or each in ([], {}))}
