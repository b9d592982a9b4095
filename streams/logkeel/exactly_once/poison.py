"""Records that cannot be processed: dead letters (P21, P22) and crash marks. Pure values; no I/O.

A crash mark is a local row of the partition's store: the positions at which a process opened the partition, and how
often in a row. It is removed by the first commit. Repeated crashes at one position make the loop go record by record;
a record that then still kills the process is dead-lettered unprocessed.
"""

import struct
from collections.abc import Mapping
from typing import NamedTuple

from logkeel.exactly_once.port import Timer
from logkeel.log import OutputRecord, Record

_MARK = struct.Struct(">IB")
_POSITION = struct.Struct(">IQ")


class CrashMark(NamedTuple):
    """How often processes opened the partition at these positions without a commit. `single`: one record at a time."""

    crashes: int
    single: bool
    positions: tuple[tuple[str, int], ...]

    def encode(self) -> bytes:
        """The row's bytes."""
        parts = [_MARK.pack(self.crashes, self.single)]
        for topic, position in self.positions:
            name = topic.encode()
            parts.append(_POSITION.pack(len(name), position) + name)
        return b"".join(parts)

    @classmethod
    def decode(cls, row: bytes) -> "CrashMark":
        """The mark in `row`."""
        count, single = _MARK.unpack_from(row)
        at, positions = _MARK.size, []
        while at < len(row):
            length, position = _POSITION.unpack_from(row, at)
            at += _POSITION.size
            positions.append((row[at : at + length].decode(), position))
            at += length
        return cls(count, bool(single), tuple(positions))


def next_mark(row: bytes | None, positions: Mapping[str, int], *, single_after: int) -> CrashMark:
    """The mark to write when a partition is opened, given the row left by the last process (or None)."""
    here = tuple(sorted(positions.items()))
    last = None if row is None else CrashMark.decode(row)
    if last is None or last.positions != here:
        return CrashMark(1, False, here)
    return CrashMark(last.crashes + 1, last.single or last.crashes + 1 > single_after, here)


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
