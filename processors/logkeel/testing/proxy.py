"""A TCP proxy between a Kafka client and a broker that delays, cuts, refuses and drops answers (P5, P6).

It understands frames just far enough to tell an answer to EndTxn from an answer to Produce. Advertise its address
(`EmbeddedBroker(advertised=proxy.address)`), else clients leave it after the first metadata answer.

Threads: one accepts, two per connection copy. Invariant: frames of one direction of one connection keep their order.
"""

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self

from logkeel.testing.frames import FrameCutter, RequestHeader, request_header, response_correlation_id
from logkeel.testing.proxy_rules import Action, Rule, RuleBook

_CHUNK_BYTES: Final = 65_536
_CONNECT_TIMEOUT_S: Final = 5.0
_LINGER_S: Final = 2.0

RequestHook = Callable[[RequestHeader], None]


class Direction(StrEnum):
    """Which way bytes flow."""

    TO_BROKER = "to_broker"
    TO_CLIENT = "to_client"


@dataclass(eq=False)
class _Connection:
    client: socket.socket
    broker: socket.socket
    in_flight: dict[int, int] = field(default_factory=dict)  # correlation id → api key
    answered: threading.Condition = field(default_factory=threading.Condition)

    def shut_client(self) -> None:
        """The client sees the connection close; a request that is held back still reaches the broker."""
        with contextlib.suppress(OSError):
            self.client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for end in (self.client, self.broker):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                end.close()


class TcpProxy:
    """`with TcpProxy("127.0.0.1:9092") as proxy:` listens on `proxy.address`. `target` may be set later, before use."""

    def __init__(self, target: str = "", *, port: int = 0) -> None:
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", port))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        self._connections: set[_Connection] = set()
        self._book = RuleBook()
        self._hooks: list[RequestHook] = []
        self._delays: dict[Direction, float] = dict.fromkeys(Direction, 0.0)
        self._refusing = self._swallowing = False
        self._closed = threading.Event()
        self.accepted = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="proxy-accept", daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._closed.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._drain():
            connection.close()

    # Whole connections.

    def delay(self, seconds: float, direction: Direction) -> None:
        """Hold every frame of that direction back for so long, each after the other; 0 ends it."""
        self._delays[direction] = seconds

    def drop_answers(self) -> None:
        """Swallow everything the broker says until `heal`; the connections stay open."""
        self._swallowing = True

    def cut(self) -> None:
        """Close all clients' connections now; new ones are accepted. What the proxy holds back still arrives (P5)."""
        for connection in self._drain():
            connection.shut_client()

    def refuse(self) -> None:
        """Close all connections, and each new one at once, until `heal`."""
        self._refusing = True
        self.cut()

    def heal(self) -> None:
        """End delays, swallowing, refusing and all rules; the counters stay."""
        self._delays = dict.fromkeys(Direction, 0.0)
        self._refusing = self._swallowing = False
        with self._lock:
            self._book.rules.clear()

    # Single requests, by api key (see `frames`); None means any, `times=None` means until healed.

    def drop_response(self, api_key: int | None, *, times: int | None = 1) -> Rule:
        """The broker does the work, the client never hears of it; the connection stays open."""
        return self._add(Rule(Action.DROP_RESPONSE, api_key, times))

    def cut_at_response(self, api_key: int | None, *, times: int | None = 1) -> Rule:
        """The broker does the work; instead of the answer the client sees the connection close."""
        return self._add(Rule(Action.CUT_AT_RESPONSE, api_key, times))

    def cut_before_request(self, api_key: int | None, *, times: int | None = 1) -> Rule:
        """The connection closes and the broker never sees the request."""
        return self._add(Rule(Action.CUT_BEFORE_REQUEST, api_key, times))

    def delay_request(self, api_key: int | None, *, seconds: float, times: int | None = 1) -> Rule:
        """The request reaches the broker late, even when the client has gone meanwhile: a late duplicate (P5)."""
        return self._add(Rule(Action.DELAY_REQUEST, api_key, times, seconds))

    def delay_response(self, api_key: int | None, *, seconds: float, times: int | None = 1) -> Rule:
        """The answer reaches the client late."""
        return self._add(Rule(Action.DELAY_RESPONSE, api_key, times, seconds))

    def on_request(self, hook: RequestHook) -> None:
        """Call `hook` with each request's header before it is passed on, on the connection's thread."""
        self._hooks.append(hook)

    # Counters.

    def requests(self, api_key: int) -> int:
        """Requests seen with this api key."""
        with self._lock:
            return self._book.requests[api_key]

    def responses(self, api_key: int) -> int:
        """Responses of the broker to requests with this api key, dropped ones included."""
        with self._lock:
            return self._book.responses[api_key]

    def dropped(self, api_key: int) -> int:
        """Responses kept from the client by a rule."""
        with self._lock:
            return self._book.dropped[api_key]

    def _drain(self) -> list[_Connection]:
        with self._lock:
            connections = list(self._connections)
            self._connections.clear()
        return connections

    def _add(self, rule: Rule) -> Rule:
        with self._lock:
            return self._book.add(rule)

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            if not self._refusing and self._open(client):
                continue
            client.close()

    def _open(self, client: socket.socket) -> bool:
        host, _, port = self.target.rpartition(":")
        try:
            broker = socket.create_connection((host, int(port)), timeout=_CONNECT_TIMEOUT_S)
        except OSError:
            return False
        broker.settimeout(None)
        for end in (client, broker):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(client, broker)
        with self._lock:
            self._connections.add(connection)
        for copy in (self._copy_requests, self._copy_responses):
            threading.Thread(target=copy, args=(connection,), name="proxy-copy", daemon=True).start()
        return True

    def _copy_requests(self, connection: _Connection) -> None:
        cutter = FrameCutter()
        with contextlib.suppress(OSError):
            while chunk := connection.client.recv(_CHUNK_BYTES):
                if not all(self._pass_request(connection, frame) for frame in cutter.feed(chunk)):
                    break
        with connection.answered:  # closing with answers unread would reset the connection and lose the last request
            connection.answered.wait_for(lambda: not connection.in_flight or self._closed.is_set(), _LINGER_S)
        connection.close()
        with self._lock:
            self._connections.discard(connection)

    def _pass_request(self, connection: _Connection, frame: bytes) -> bool:
        rule = None
        header = request_header(frame)
        if header is not None:
            for hook in self._hooks:
                hook(header)
            with self._lock:
                rule = self._book.on_request(header)
            if rule is not None and rule.action is Action.CUT_BEFORE_REQUEST:
                return False
            with connection.answered:
                connection.in_flight[header.correlation_id] = header.api_key
        self._closed.wait(self._delays[Direction.TO_BROKER] + (0.0 if rule is None else rule.seconds))
        connection.broker.sendall(frame)
        return True

    def _copy_responses(self, connection: _Connection) -> None:
        cutter = FrameCutter()
        with contextlib.suppress(OSError):
            while chunk := connection.broker.recv(_CHUNK_BYTES):
                for frame in cutter.feed(chunk):
                    self._pass_response(connection, frame)
        connection.shut_client()

    def _pass_response(self, connection: _Connection, frame: bytes) -> None:
        rule = self._answer(connection, frame)
        action = None if rule is None else rule.action
        if action is Action.CUT_AT_RESPONSE:
            connection.shut_client()
        elif not self._swallowing and action is not Action.DROP_RESPONSE:
            self._closed.wait(self._delays[Direction.TO_CLIENT] + (0.0 if rule is None else rule.seconds))
            with contextlib.suppress(OSError):  # the client has gone; the broker's answers are read on
                connection.client.sendall(frame)

    def _answer(self, connection: _Connection, frame: bytes) -> Rule | None:
        correlation_id = response_correlation_id(frame)
        with connection.answered:
            api_key = None if correlation_id is None else connection.in_flight.pop(correlation_id, None)
            connection.answered.notify_all()
        with self._lock:
            return None if api_key is None else self._book.on_response(api_key)
