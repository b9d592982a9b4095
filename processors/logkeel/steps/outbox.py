"""What became of executions, on the worker's disk from the moment it is known until the log has it. A shell file.

A process that is killed between an effect and the acknowledgement of its answer would have it done again. Its successor
in the slot finds the answer here and sends it before it asks about anything (P32). So the window is the moment between
effect and write, not a way through client, network and broker. What the file holds may also be on the log: an answer
that comes twice, or too late, brings no run forward (P33, P34).

It outlives the process, not the machine: nothing is synced. Where it cannot be written, and when it is full, answers go
out as they would without it.

`kept` touches no disk and waits for nobody, for the thread that polls; `put` and `tidy` are for a thread that may.

Two segments of at most `SEGMENT_BYTES`, written in turn; one that holds nothing which waits is begun anew. When nothing
waits at all, the file is empty: results do not stay on the disk.

    segment   "LKO1"  epoch:8             an older epoch was written earlier
    frame     state:1  length:4  crc:4  body
              state 1: waits, 2: the log has it. crc: CRC-32 of epoch and body, so that frames of an earlier epoch, and
              one that was cut off, end the segment
    body      msgpack [topic, key, value, partition]

Integers are big endian.
"""

import os
import struct
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

import msgspec
import structlog

from logkeel.log import OutputRecord

FILE_NAME: Final = "outbox"
SEGMENT_BYTES: Final = 4 * 1_024 * 1_024

_MAGIC: Final = b"LKO1"
_EPOCH: Final = struct.Struct(">Q")
_HEAD: Final = len(_MAGIC) + _EPOCH.size
_FRAME: Final = struct.Struct(">BII")
_WAITS: Final = 1
_KEPT: Final = b"\x02"

log = structlog.get_logger("logkeel.worker", role="worker")


class Ticket(NamedTuple):
    """Where an answer stands: which of the segments, and the offset of its frame in the file."""

    segment: "_Segment"
    offset: int


class _Body(NamedTuple):
    topic: str
    key: bytes | None
    value: bytes
    partition: int | None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Body).decode


class _Segment:
    """`end`: behind its last frame, an offset of the file. `waiting`: frames that the log does not have yet."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.epoch = 0
        self.end = start + _HEAD
        self.waiting = 0

    def crc(self, body: bytes) -> int:
        """Of a frame with this body."""
        return crc32(body, crc32(_EPOCH.pack(self.epoch)))


class Outbox:
    """Of one slot, whose lock its caller holds. Thread-safe."""

    def __init__(self, path: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Opens the file, or makes one. One that cannot be used is told in the log, and nothing is kept."""
        self._lock = threading.Lock()
        self._segment_bytes = segment_bytes
        self._segments = (_Segment(0), _Segment(segment_bytes))
        self._settled: deque[Ticket] = deque()
        self._descriptor: int | None = None
        self._fails = False
        self._found: list[tuple[Ticket, OutputRecord]] = []
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            for segment in self._segments:
                self._found += self._read(segment, self._descriptor)
        except OSError as error:
            self._tell(error)
        self._found.sort(key=lambda each: (each[0].segment.epoch, each[0].offset))
        self._current = max(self._segments, key=lambda each: each.epoch)

    def take_found(self) -> list[tuple[Ticket, OutputRecord]]:
        """What the slot's last process knew and the log may not, in the order in which it was put. Once."""
        found, self._found = self._found, []
        return found

    def put(self, output: OutputRecord) -> Ticket | None:
        """Keep it, so that it is found if this process ends now. None: there is no room for it, or the disk refuses.

        A record without value or with headers is none of this file's.
        """
        if self._descriptor is None or output.value is None or output.headers:
            return None
        body = _encode(_Body(output.topic, output.key, output.value, output.partition))
        with self._lock:
            self._tidy()
            segment = self._with_room(_FRAME.size + len(body))
            if segment is None:
                return None
            frame = _FRAME.pack(_WAITS, len(body), segment.crc(body)) + body
            ticket = Ticket(segment, segment.end)
            if not self._write(frame, segment.end):
                return None
            segment.end += len(frame)
            segment.waiting += 1
            return ticket

    def kept(self, ticket: Ticket) -> None:
        """The log has it, or will not take it: once for each ticket. `tidy` and `put` make it known on the disk."""
        self._settled.append(ticket)

    def tidy(self) -> None:
        """Note on the disk what is kept by now. What is not noted when the process ends is found and sent again."""
        with self._lock:
            self._tidy()

    def close(self) -> None:
        """Release the file; idempotent. What waits is found by the next process."""
        self.tidy()
        self.let_go()

    def let_go(self) -> None:
        """Release the file as the end of the process would: nothing more is noted. Idempotent."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _tidy(self) -> None:
        settled = [self._settled.popleft() for _ in range(len(self._settled))]
        for ticket in settled:
            ticket.segment.waiting -= 1
        if settled and not any(segment.waiting for segment in self._segments):
            self._empty()
            return
        for ticket in settled:
            self._write(_KEPT, ticket.offset)

    def _empty(self) -> None:
        """Nothing of the file is needed. No frame outlives this, so that epochs may begin anew in the next life."""
        if self._descriptor is None:
            return
        self._current = self._segments[0]
        try:
            os.ftruncate(self._descriptor, 0)
        except OSError as error:
            self._tell(error)

    def _with_room(self, size: int) -> _Segment | None:
        """The segment to write to; begun anew if nothing in it waits."""
        room = self._segment_bytes - _HEAD
        if size > room:
            return None
        segment = self._current
        if segment.waiting and segment.end + size <= segment.start + self._segment_bytes:
            return segment
        if segment.waiting:
            segment = next(each for each in self._segments if each is not segment)
            if segment.waiting:
                return None
        epoch = 1 + max(each.epoch for each in self._segments)
        if not self._write(_MAGIC + _EPOCH.pack(epoch), segment.start):
            return None
        segment.epoch, segment.end = epoch, segment.start + _HEAD
        self._current = segment
        return segment

    def _read(self, segment: _Segment, descriptor: int) -> Iterator[tuple[Ticket, OutputRecord]]:
        data = os.pread(descriptor, self._segment_bytes, segment.start)
        if len(data) < _HEAD or not data.startswith(_MAGIC):
            return
        (segment.epoch,) = _EPOCH.unpack_from(data, len(_MAGIC))
        position = _HEAD
        while position + _FRAME.size <= len(data):
            state, length, crc = _FRAME.unpack_from(data, position)
            body = data[position + _FRAME.size : position + _FRAME.size + length]
            if len(body) < length or crc != segment.crc(body):
                break
            if state == _WAITS:
                try:
                    topic, key, value, partition = _decode(body)
                except msgspec.MsgspecError as error:  # of another version
                    self._tell(error)
                    break
                segment.waiting += 1
                yield Ticket(segment, segment.start + position), OutputRecord(topic, key, value, partition)
            position += _FRAME.size + length
        segment.end = segment.start + position

    def _write(self, data: bytes, offset: int) -> bool:
        if self._descriptor is None:
            return False
        try:
            if os.pwrite(self._descriptor, data, offset) == len(data):
                self._fails = False
                return True
            self._tell(OSError("the disk is full"))
        except OSError as error:
            self._tell(error)
        return False

    def _tell(self, error: Exception) -> None:
        """Once, until it works again. Work goes on: an answer that is not here is one whose step may be done again."""
        if not self._fails:
            self._fails = True
            log.warning("outbox_unusable", reason=str(error))
