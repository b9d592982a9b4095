"""The proxy on a plain frame server: what it delays, cuts, drops and counts."""

import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logkeel.testing.frames import END_TXN, FrameCutter, RequestHeader, request_header
from logkeel.testing.proxy import Direction, TcpProxy

PRODUCE = 0


def request(api_key: int, correlation_id: int, body: bytes = b"") -> bytes:
    content = struct.pack(">hhi", api_key, 3, correlation_id) + body
    return struct.pack(">i", len(content)) + content


def read_frame(connection: socket.socket) -> bytes:
    """One response; empty when the connection closes."""
    size = connection.recv(4, socket.MSG_WAITALL)
    return connection.recv(struct.unpack(">i", size)[0], socket.MSG_WAITALL) if len(size) == 4 else b""


class FrameServer:
    """Answers each request frame with its correlation id and keeps the headers it saw."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.seen: list[int] = []
        self.arrived = threading.Condition()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        cutter = FrameCutter()
        with connection:
            while chunk := connection.recv(65_536):
                for frame in cutter.feed(chunk):
                    header = request_header(frame)
                    assert header is not None
                    with self.arrived:
                        self.seen.append(header.correlation_id)
                        self.arrived.notify_all()
                    connection.sendall(struct.pack(">ii", 4, header.correlation_id))

    def has_seen(self, correlation_id: int) -> bool:
        with self.arrived:
            return self.arrived.wait_for(lambda: correlation_id in self.seen, 10)


@pytest.fixture
def server() -> Iterator[FrameServer]:
    frames = FrameServer()
    yield frames
    frames.listener.shutdown(socket.SHUT_RDWR)
    frames.listener.close()


@pytest.fixture
def proxy(server: FrameServer) -> Iterator[TcpProxy]:
    with TcpProxy(server.address) as running:
        yield running


@pytest.fixture
def client(proxy: TcpProxy) -> Iterator[socket.socket]:
    with dial(proxy) as connection:
        yield connection


def dial(proxy: TcpProxy) -> socket.socket:
    host, _, port = proxy.address.partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def ask(client: socket.socket, api_key: int, correlation_id: int) -> bytes:
    client.sendall(request(api_key, correlation_id))
    return read_frame(client)


def test_passes_on_and_counts(proxy: TcpProxy, client: socket.socket) -> None:
    headers: list[RequestHeader] = []
    proxy.on_request(headers.append)
    assert ask(client, PRODUCE, 7) == struct.pack(">i", 7)
    assert ask(client, END_TXN, 8) == struct.pack(">i", 8)
    assert headers == [RequestHeader(PRODUCE, 3, 7), RequestHeader(END_TXN, 3, 8)]
    assert (proxy.requests(END_TXN), proxy.responses(END_TXN), proxy.dropped(END_TXN)) == (1, 1, 0)


def test_drops_the_answer_to_one_request_only(proxy: TcpProxy, client: socket.socket, server: FrameServer) -> None:
    rule = proxy.drop_response(END_TXN)
    client.sendall(request(END_TXN, 1) + request(PRODUCE, 2) + request(END_TXN, 3))
    assert read_frame(client) == struct.pack(">i", 2)
    assert read_frame(client) == struct.pack(">i", 3)
    assert server.seen == [1, 2, 3]
    assert (rule.hits, proxy.dropped(END_TXN)) == (1, 1)


def test_cuts_instead_of_the_answer(proxy: TcpProxy, client: socket.socket, server: FrameServer) -> None:
    proxy.cut_at_response(END_TXN)
    assert ask(client, END_TXN, 1) == b""
    assert server.seen == [1]
    with dial(proxy) as again:
        assert ask(again, END_TXN, 2) == struct.pack(">i", 2)


def test_cuts_before_the_broker_sees_the_request(proxy: TcpProxy, client: socket.socket, server: FrameServer) -> None:
    proxy.cut_before_request(END_TXN)
    assert ask(client, END_TXN, 1) == b""
    assert server.seen == []


def test_a_held_request_arrives_after_the_client_was_cut(
    proxy: TcpProxy, client: socket.socket, server: FrameServer
) -> None:
    held = threading.Event()
    proxy.on_request(lambda _: held.set())
    proxy.delay_request(END_TXN, seconds=0.3)
    client.sendall(request(END_TXN, 5))
    assert held.wait(10)
    proxy.cut()
    assert read_frame(client) == b""
    assert server.has_seen(5)


def test_swallows_all_answers_until_healed(proxy: TcpProxy, client: socket.socket, server: FrameServer) -> None:
    proxy.drop_answers()
    client.sendall(request(PRODUCE, 1))
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(1)
    assert server.seen == [1]
    proxy.heal()
    client.settimeout(10)
    assert ask(client, PRODUCE, 2) == struct.pack(">i", 2)


def test_refuses_until_healed(proxy: TcpProxy, client: socket.socket) -> None:
    assert ask(client, PRODUCE, 1)
    proxy.refuse()
    assert client.recv(1) == b""
    with dial(proxy) as refused:
        assert refused.recv(1) == b""
    proxy.heal()
    with dial(proxy) as healed:
        assert ask(healed, PRODUCE, 2)


def test_delays_answers(proxy: TcpProxy, client: socket.socket) -> None:
    proxy.delay(30.0, Direction.TO_CLIENT)
    client.sendall(request(PRODUCE, 1))
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(1)
    assert proxy.responses(PRODUCE) == 1


@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(1, 9), min_size=1))
def test_frames_do_not_depend_on_how_the_stream_is_chopped(bodies: list[bytes], sizes: list[int]) -> None:
    frames = [struct.pack(">i", len(body)) + body for body in bodies]
    stream, cutter, cut = b"".join(frames), FrameCutter(), list[bytes]()
    turn = 0
    while stream:
        size = sizes[turn % len(sizes)]
        cut += cutter.feed(stream[:size])
        stream, turn = stream[size:], turn + 1
    assert cut == frames
