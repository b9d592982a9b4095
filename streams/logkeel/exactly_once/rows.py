"""Layout of the rows that belong to the loop, beside the processor's own.

| key | value | changelogged |
|---|---|---|
| `00` `marks` | u64 changelog offset, u64 caught-up time in ms, topic id in UTF-8 | no |
| `00` `crashes` | u32 tries, u32 length, suspect; per input u32 length, u64 position, u32 crashes, name | no |
| `01` topic in UTF-8 | u64 next position of that input (P2) | yes |
| `02` u64 due in ms, timer id | the timer's payload | yes |
| `03` `complete` | u64 offset, topic id in UTF-8: the changelog is whole from there on | yes |

All integers are big-endian, so that timers sort by due time. Rows of a processor start at `10`.
"""

import struct
from typing import NamedTuple

from logkeel.log.keyspace import LOCAL, POSITION, TIMER, VOUCHED

MARKS_KEY = LOCAL + b"marks"
CRASH_KEY = LOCAL + b"crashes"
VOUCH_KEY = VOUCHED + b"complete"
TIMERS_START = TIMER
TIMERS_END = bytes([TIMER[0] + 1])
_MARKS = struct.Struct(">QQ")
_U64 = struct.Struct(">Q")
_NEEDED = "changelog:"


class LocalMarks(NamedTuple):
    """What a store knows of itself: the next changelog offset it lacks, when it was last caught up, and whose it is."""

    offset: int
    caught_up_ms: int
    topic_id: str

    def encode(self) -> bytes:
        """The row's bytes."""
        return _MARKS.pack(self.offset, self.caught_up_ms) + self.topic_id.encode()

    @classmethod
    def decode(cls, row: bytes) -> "LocalMarks":
        """The marks in `row`."""
        offset, caught_up_ms = _MARKS.unpack_from(row)
        return cls(offset, caught_up_ms, row[_MARKS.size :].decode())


class Needed(NamedTuple):
    """Metadata of a group's offset: the newest store of the partition has replayed the changelog up to here or further.

    Timers change rows and no input position, so positions alone do not tell which store is the newest.
    """

    offset: int
    topic_id: str

    def encode(self) -> str:
        """The metadata."""
        return f"{_NEEDED}{self.offset}:{self.topic_id}"

    @classmethod
    def decode(cls, metadata: str) -> "Needed | None":
        """None for what no loop wrote."""
        offset, _, topic_id = metadata.removeprefix(_NEEDED).partition(":")
        known = metadata.startswith(_NEEDED) and offset.isdecimal()
        return cls(int(offset), topic_id) if known else None


class Vouch(NamedTuple):
    """An operator's repair vouches for this changelog (P17): what was written below `complete_from` is not missed."""

    complete_from: int
    topic_id: str

    def encode(self) -> bytes:
        """The row's bytes."""
        return _U64.pack(self.complete_from) + self.topic_id.encode()

    @classmethod
    def decode(cls, row: bytes) -> "Vouch":
        """The vouch in `row`."""
        (complete_from,) = _U64.unpack_from(row)
        return cls(complete_from, row[_U64.size :].decode())


def position_key(topic: str) -> bytes:
    """Key of the position row of an input topic."""
    return POSITION + topic.encode()


def encode_position(position: int) -> bytes:
    """A position row's value."""
    return _U64.pack(position)


def decode_position(row: bytes) -> int:
    """The position in a row."""
    return int(_U64.unpack(row)[0])


def timer_key(due_ms: int, timer_id: bytes) -> bytes:
    """Key of a timer row; sorts by due time."""
    return TIMER + _U64.pack(due_ms) + timer_id


def due_of(key: bytes) -> int:
    """Due time in a timer row's key."""
    return int(_U64.unpack_from(key, 1)[0])


def timer_id_of(key: bytes) -> bytes:
    """Timer id in a timer row's key."""
    return key[9:]
