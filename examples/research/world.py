"""The outside world of the demo: a mail server and a library catalogue. Never imports logkeel.

Each sink appends every arrival to its own ledger (JSON lines) before it answers; the demo's verdict is computed from
these ledgers alone. Both sinks are unkind on purpose: the mail server takes its time to answer after it has stored a
message, and the catalogue registers the first report and then hangs, so that its caller never learns that it worked.

Run: python -m examples.research.world --directory DIR [--hang-first N] [--mail-delay SECONDS]
It prints one JSON line {"smtp_port": …, "http_port": …} when both sinks listen, and ends with its standard input.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import threading
import time
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session


class Ledger:
    """An append-only file of arrivals, flushed line by line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        path.touch()

    def append(self, **entry: Any) -> None:
        with self._lock, self._path.open("a") as file:
            file.write(json.dumps({"at": time.time(), **entry}) + "\n")

    def entries(self) -> list[dict[str, Any]]:
        with self._lock:
            return [json.loads(line) for line in self._path.read_text().splitlines()]


class MailServer:
    """An SMTP handler: stores the message, waits, and only then answers 250."""

    def __init__(self, ledger: Ledger, answer_delay_s: float) -> None:
        self._ledger = ledger
        self._answer_delay_s = answer_delay_s

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd's name)
        content = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content).encode()
        message = message_from_bytes(content)
        self._ledger.append(message_id=message["Message-ID"], subject=message["Subject"], to=list(envelope.rcpt_tos))
        await asyncio.sleep(self._answer_delay_s)
        return "250 stored"


class Catalogue(ThreadingHTTPServer):
    """PUT-like registration that honours `Idempotency-Key`, and a look-up of mails that arrived."""

    daemon_threads = True

    def __init__(self, ledger: Ledger, mails: Ledger, hang_first: int) -> None:
        super().__init__(("127.0.0.1", 0), CatalogueHandler)
        self.ledger = ledger
        self.mails = mails
        self.hang_left = hang_first
        self.lock = threading.Lock()

    def register(self, key: str, title: str) -> tuple[bool, bool]:
        """(applied, hang): whether this arrival registered something, and whether its caller shall be left waiting."""
        with self.lock:
            known = any(entry["key"] == key and entry["applied"] for entry in self.ledger.entries())
            hang = self.hang_left > 0
            self.hang_left -= 1 if hang else 0
            self.ledger.append(key=key, title=title, applied=not known, hung=hang)
            return not known, hang


class CatalogueHandler(BaseHTTPRequestHandler):
    """POST /reports registers a report; GET /mails/<message id> says whether such a mail was stored."""

    server: Catalogue

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        applied, hang = self.server.register(self.headers["Idempotency-Key"], body["title"])
        if hang:
            time.sleep(3600)
        self._answer(201 if applied else 200, {"applied": applied})

    def do_GET(self) -> None:
        wanted = self.path.removeprefix("/mails/")
        found = any(entry["message_id"] == f"<{wanted}>" for entry in self.server.mails.entries())
        self._answer(200 if found else 404, {"stored": found})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (http.server's name)
        """Keep standard error quiet; the ledger is the log."""


def serve_mail(handler: MailServer) -> int:
    """Listen for SMTP on a free port, on a thread of its own; returns the port."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(lambda: SMTP(handler, hostname="world"), "127.0.0.1", 0))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    port: int = server.sockets[0].getsockname()[1]
    return port


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description="mail server and catalogue of the demo")
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--hang-first", type=int, default=1)
    parser.add_argument("--mail-delay", type=float, default=1.5)
    options = parser.parse_args()
    mails = Ledger(options.directory / "mails.jsonl")
    smtp_port = serve_mail(MailServer(mails, options.mail_delay))
    catalogue = Catalogue(Ledger(options.directory / "catalogue.jsonl"), mails, options.hang_first)
    threading.Thread(target=catalogue.serve_forever, daemon=True).start()
    print(json.dumps({"smtp_port": smtp_port, "http_port": catalogue.server_address[1]}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
