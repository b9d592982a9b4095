"""Picks and probes TCP ports on 127.0.0.1; the only place of the room that talks to sockets.

Ports are taken from below the ephemeral range: one of that range could be lost to an outgoing connection of another
process while the broker restarts.
"""

import random
import socket
import struct
from typing import Final

from logkeel.broker.settings import HOST

_FIRST, _LAST = 20_000, 32_000
_TRIES: Final = 200
_METADATA_API_KEY: Final = 3


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def pick(*, excluding: frozenset[int] = frozenset()) -> int:
    """A free port. Another process may take it before it is used; then the start fails and is tried again."""
    for _ in range(_TRIES):
        port = random.randrange(_FIRST, _LAST)
        if port not in excluding and is_free(port):
            return port
    raise OSError(f"no free port between {_FIRST} and {_LAST}")


def serves_metadata(port: int, *, timeout_s: float = 1.0) -> bool:
    """Whether a Kafka broker answers there and lists at least one live broker: the sign that it takes work.

    Sends Metadata version 1 for no topic (KIP-896 keeps it): size, api key, version, correlation id, client id, count.
    """
    body = struct.pack(">hhih", _METADATA_API_KEY, 1, 1, -1) + struct.pack(">i", 0)
    try:
        with socket.create_connection((HOST, port), timeout=timeout_s) as connection:
            connection.settimeout(timeout_s)
            connection.sendall(struct.pack(">i", len(body)) + body)
            answer = connection.recv(12, socket.MSG_WAITALL)
    except OSError:
        return False
    return len(answer) == 12 and struct.unpack(">iii", answer)[2] >= 1
