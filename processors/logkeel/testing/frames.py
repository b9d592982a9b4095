"""Cuts a byte stream into Kafka frames and reads the few header fields a proxy needs; pure.

    size           int32   bytes that follow
    request:  api_key int16, api_version int16, correlation_id int32, ...
    response: correlation_id int32, ...

See the Kafka protocol guide, "Common request and response structure". All integers are big-endian.
"""

import struct
from dataclasses import dataclass
from typing import Final

LIST_OFFSETS: Final = 2
"""Api key of ListOffsets."""
END_TXN: Final = 26
"""Api key of EndTxn: commits or aborts a transaction."""
TXN_OFFSET_COMMIT: Final = 28
"""Api key of TxnOffsetCommit."""

_SIZE: Final = struct.Struct(">i")
_REQUEST: Final = struct.Struct(">ihhi")
_RESPONSE: Final = struct.Struct(">ii")


@dataclass(frozen=True, slots=True)
class RequestHeader:
    """The start of a request."""

    api_key: int
    api_version: int
    correlation_id: int


class FrameCutter:
    """Collects bytes and gives whole frames, size prefix included, in order."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """Frames that are complete with this chunk."""
        self._pending += chunk
        frames = []
        while len(self._pending) >= _SIZE.size:
            length = _SIZE.size + _SIZE.unpack_from(self._pending)[0]
            if len(self._pending) < length:
                break
            frames.append(bytes(self._pending[:length]))
            del self._pending[:length]
        return frames


def request_header(frame: bytes) -> RequestHeader | None:
    """Header of a request frame; None if the frame is too short to be one."""
    if len(frame) < _REQUEST.size:
        return None
    _, api_key, api_version, correlation_id = _REQUEST.unpack_from(frame)
    return RequestHeader(api_key, api_version, correlation_id)


def response_correlation_id(frame: bytes) -> int | None:
    """Correlation id of a response frame; None if the frame is too short to have one."""
    return _RESPONSE.unpack_from(frame)[1] if len(frame) >= _RESPONSE.size else None
