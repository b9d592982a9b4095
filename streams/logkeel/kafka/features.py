"""What a broker says of itself before any login: its feature levels, by one ApiVersions request (KIP-511, KIP-584).

The client library asks the same on every connection, but tells nobody the answer. Plain connections only: with TLS the
broker does not answer in the clear.

    request 3    int16 18, int16 3, int32 correlation, int16 client id length -1, tags; compact strings name, version
    response 3   int32 correlation, int16 error, compact array of (int16 key, int16 min, int16 max, tags), int32
                 throttle, tags: 2 = compact array of (compact string feature, int16 max, int16 min, tags)

Source: the Kafka protocol guide, "ApiVersions", and KIP-482 for compact types and tags.
"""

import socket
import struct
from collections.abc import Mapping

from logkeel.errors import LogUnavailable

TIMEOUT_S = 5.0
METADATA_VERSION = "metadata.version"
TRANSACTION_VERSION = "transaction.version"
_FINALIZED_FEATURES_TAG = 2


def finalized_features(bootstrap_servers: str) -> Mapping[str, int]:
    """Feature levels of the first broker that answers. Raises `LogUnavailable` if none does in the clear."""
    failures = []
    for address in bootstrap_servers.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), TIMEOUT_S) as connection:
                connection.sendall(request_bytes())
                return features_of(_answer(connection))
        except (OSError, ValueError, IndexError, struct.error) as error:
            failures.append(f"{address}: {error}")
    raise LogUnavailable(f"no broker says its version in the clear: {'; '.join(failures)}")


def request_bytes() -> bytes:
    """ApiVersions, version 3, framed."""
    name = b"logkeel"
    body = struct.pack(">hhihB", 18, 3, 1, -1, 0) + bytes([len(name) + 1]) + name + b"\x020" + b"\x00"
    return struct.pack(">i", len(body)) + body


def features_of(answer: bytes) -> dict[str, int]:
    """Finalized feature levels in a response without its frame. Raises ValueError for an error code."""
    error = struct.unpack_from(">h", answer, 4)[0]
    if error:
        raise ValueError(f"error code {error}")
    count, at = _uvarint(answer, 6)
    for _ in range(count - 1):
        at = _skip_tags(answer, at + 6)
    return _tagged_features(answer, at + 4)


def _tagged_features(answer: bytes, at: int) -> dict[str, int]:
    tags, at = _uvarint(answer, at)
    for _ in range(tags):
        tag, at = _uvarint(answer, at)
        size, at = _uvarint(answer, at)
        if tag == _FINALIZED_FEATURES_TAG:
            return _features(answer, at)
        at += size
    return {}


def _features(answer: bytes, at: int) -> dict[str, int]:
    found = {}
    count, at = _uvarint(answer, at)
    for _ in range(count - 1):
        length, at = _uvarint(answer, at)
        name = answer[at : at + length - 1].decode()
        at += length - 1
        found[name] = struct.unpack_from(">h", answer, at)[0]
        at = _skip_tags(answer, at + 4)
    return found


def _skip_tags(answer: bytes, at: int) -> int:
    tags, at = _uvarint(answer, at)
    for _ in range(tags):
        _, at = _uvarint(answer, at)
        size, at = _uvarint(answer, at)
        at += size
    return at


def _uvarint(answer: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = answer[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _answer(connection: socket.socket) -> bytes:
    size = struct.unpack(">i", _exactly(connection, 4))[0]
    return _exactly(connection, size)


def _exactly(connection: socket.socket, size: int) -> bytes:
    if not 0 <= size < 1_000_000:
        raise ValueError("this is no Kafka broker")
    received = b""
    while len(received) < size:
        chunk = connection.recv(size - len(received))
        if not chunk:
            raise ValueError("the connection was closed")
        received += chunk
    return received
