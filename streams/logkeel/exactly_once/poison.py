"""Records that cannot be processed: dead letters (P21, P22) and crash marks. Pure values; no I/O.

A crash mark is a local row of a partition's store. Each process that opens the partition leaves one: for every input,
the position it found and how many processes in a row found that very position. An input that moved starts anew, so
another input that is busy meanwhile hides nothing; a process that ends in good order takes the mark away. Behind
repeated crashes at one position, what comes from there is tried alone, and the mark names it while it is being tried:
what kills the process again and again is dead-lettered unprocessed, and nothing else ever is.
"""

import struct
from collections.abc import Mapping
from typing import NamedTuple, Self

from logkeel.exactly_once.port import Timer
from logkeel.log import OutputRecord, Record

TIMERS = ""
"""Timers count as an input; their position is the due time of the first one."""

_LENGTH = struct.Struct(">I")
_PLACE = struct.Struct(">IQI")


class CrashMark(NamedTuple):
    """`places`: (input, position, processes that opened it there). `suspect`: what is tried for the `tries`th time."""

    places: tuple[tuple[str, int, int], ...] = ()
    suspect: bytes = b""
    tries: int = 0

    def encode(self) -> bytes:
        """The row's bytes."""
        parts = [_LENGTH.pack(self.tries), _LENGTH.pack(len(self.suspect)), self.suspect]
        for name, position, crashes in self.places:
            parts += [_PLACE.pack(len(name.encode()), position, crashes), name.encode()]
        return b"".join(parts)

    @classmethod
    def decode(cls, row: bytes) -> Self:
        """The mark in `row`."""
        (tries,), (length,) = _LENGTH.unpack_from(row), _LENGTH.unpack_from(row, _LENGTH.size)
        at = 2 * _LENGTH.size
        suspect, at = row[at : at + length], at + length
        places = []
        while at < len(row):
            length, position, crashes = _PLACE.unpack_from(row, at)
            at += _PLACE.size
            places.append((row[at : at + length].decode(), position, crashes))
            at += length
        return cls(tuple(places), suspect, tries)

    def trying(self, suspect: bytes) -> Self:
        """The mark to write before `suspect` is tried, once more or for the first time."""
        return self._replace(suspect=suspect, tries=self.tries + 1 if suspect == self.suspect else 1)

    def survived(self) -> Self:
        """The mark to write when the process lives on."""
        return self._replace(suspect=b"", tries=0)

    def stuck(self, *, after: int) -> tuple[str, ...]:
        """Inputs at which more than `after` processes in a row began without getting on."""
        return tuple(name for name, _, crashes in self.places if crashes > after)

    def is_over(self, positions: Mapping[str, int]) -> bool:
        """Whether every input has moved on since."""
        return all(positions.get(name) != position for name, position, _ in self.places)


def next_mark(row: bytes | None, positions: Mapping[str, int]) -> CrashMark:
    """The mark to write when a process opens the partition at `positions`, given the row of the last one (or None)."""
    last = CrashMark() if row is None else CrashMark.decode(row)
    before = {(name, position): crashes for name, position, crashes in last.places}
    places = tuple((name, at, before.get((name, at), 0) + 1) for name, at in sorted(positions.items()))
    return last._replace(places=places)


def suspect_of(culprit: Record | Timer) -> bytes:
    """What a crash mark calls it: the same after a restart."""
    if isinstance(culprit, Timer):
        return b"timer %d " % culprit.due_ms + culprit.timer_id
    return f"record {culprit.topic} {culprit.offset}".encode()


def dead_letter(topic: str, culprit: Record | Timer, error: Exception, *, table: str) -> OutputRecord:
    """The culprit, its bytes untouched; where it came from and why it is here stand in headers."""
    reason = (
        ("dead.error", getattr(error, "code", type(error).__name__).encode()),
        ("dead.message", str(error)[:1000].encode()),
    )
    if isinstance(culprit, Timer):
        place = (
            ("dead.table", table.encode()),
            ("dead.partition", str(culprit.partition).encode()),
            ("dead.due_ms", str(culprit.due_ms).encode()),
        )
        return OutputRecord(topic, culprit.timer_id, culprit.payload, None, place + reason)
    place = (
        ("dead.topic", culprit.topic.encode()),
        ("dead.partition", str(culprit.partition).encode()),
        ("dead.offset", str(culprit.offset).encode()),
    )
    return OutputRecord(topic, culprit.key, culprit.value, None, (*culprit.headers, *place, *reason))
