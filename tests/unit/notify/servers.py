"""A server on loopback that takes requests and answers as it is told."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.unit.local_server import answering


@dataclass
class Taken:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Endpoint:
    """What came, and what is answered next: (status, headers, body); `usual` when nothing is left."""

    taken: list[Taken] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0
    usual: tuple[int, dict[str, str], bytes] = (200, {}, b"")


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Endpoint]:
    """An endpoint for as long as the block lasts."""
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = self.rfile.read(length)
            if len(body) < length:  # its sender died: no request has come
                self.close_connection = True
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            endpoint.taken.append(Taken(self.path, headers, body))
            status, more, said = endpoint.answers.pop(0) if endpoint.answers else endpoint.usual
            self.send_response(status)
            for name, value in {"content-length": str(len(said)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
            """Nothing to tell."""

    with answering(Handler, tls) as endpoint.port:
        yield endpoint
