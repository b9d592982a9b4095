"""Order-preserving keys: the order of the bytes is the order of the tuples that were encoded.

| part | bytes |
|---|---|
| text | UTF-8 with `00` written as `00 FF`, ended by `00 01` |
| number | 8 bytes, unsigned, big-endian |

A text that is a prefix of another sorts before it, as in a dictionary: its terminator `00 01` is below every
continuation: `00 FF` and any byte from `01` on. So a prefix of the parts of a key is a prefix of its bytes, and all
rows below some parts are one range (`prefix_end`).
"""

import struct
from functools import lru_cache

_NUMBER = struct.Struct(">Q")
TERMINATOR = b"\x00\x01"
"""Behind the text of a part."""


_ESCAPED_ZERO = b"\x00\xff"


@lru_cache(maxsize=16_384)
def text(part: str) -> bytes:
    """A text part. Cached: the same run ids, paths and fields come again with every record of a run."""
    return part.encode().replace(b"\x00", _ESCAPED_ZERO) + TERMINATOR


def number(part: int) -> bytes:
    """A number part, 0 <= part < 2**64. Raises `struct.error` outside of that."""
    return _NUMBER.pack(part)


def read_text(key: bytes, start: int) -> tuple[str, int]:
    """(text, position behind it) of the text part at `start`. Raises ValueError if there is none."""
    end = start
    while True:
        end = key.index(b"\x00", end)
        if key[end : end + 2] == TERMINATOR:
            return key[start:end].replace(_ESCAPED_ZERO, b"\x00").decode(), end + 2
        end += 2


def read_number(key: bytes, start: int) -> tuple[int, int]:
    """(number, position behind it) of the number part at `start`."""
    return _NUMBER.unpack_from(key, start)[0], start + _NUMBER.size


def prefix_end(prefix: bytes) -> bytes:
    """The first key behind all keys that start with `prefix`. Raises ValueError for an empty or all-FF prefix."""
    stripped = prefix.rstrip(b"\xff")
    if not stripped:
        raise ValueError("no key lies behind this prefix")
    return stripped[:-1] + bytes([stripped[-1] + 1])
