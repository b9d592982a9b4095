"""The OpenAI-compatible model, against a local HTTP server."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from examples.research.model import Model, cited_statements, open_model
from examples.research.sources import Hit

EVIDENCE = [Hit(source="s", location="a", title="t", text="Keels keep ships upright.")]


class ChatServer(HTTPServer):
    """Answers chat completions; `busy` makes it answer 429 first."""

    busy = False
    seen: list[dict[str, Any]]


class ChatHandler(BaseHTTPRequestHandler):
    server: ChatServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append({"path": self.path, "key": self.headers["Authorization"], **body})
        answer = {"choices": [{"message": {"content": "- Keels help [1]\nInvented [7]\nno citation"}}]}
        usage = {"prompt_tokens": 120, "completion_tokens": 15}
        data = json.dumps({**answer, "usage": usage}).encode()
        self.send_response(429 if self.server.busy else 200)
        self.send_header("Retry-After", "12")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name that http.server uses)
        """Quiet."""


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    server = ChatServer(("127.0.0.1", 0), ChatHandler)
    server.seen = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_address[1]}/v1")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


async def test_the_model_is_asked_with_numbered_evidence_and_only_real_citations_count(chat: ChatServer) -> None:
    async with open_model() as model:
        assert isinstance(model, Model)
        assert await model.answer("what helps?", EVIDENCE) == ([("Keels help", 1)], 120, 15)
    assert chat.seen[0]["path"] == "/v1/chat/completions"
    assert chat.seen[0]["key"] == "Bearer secret"
    assert "[1] Keels keep ships upright." in chat.seen[0]["messages"][1]["content"]


async def test_a_busy_model_says_when_to_come_back(chat: ChatServer) -> None:
    from logkeel.errors import RetryAfter

    chat.busy = True
    async with open_model() as model:
        assert model is not None
        with pytest.raises(RetryAfter) as raised:
            await model.answer("what helps?", EVIDENCE)
    assert raised.value.delay == 12.0


async def test_there_is_no_model_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with open_model() as model:
        assert model is None


def test_statements_keep_their_order_and_lose_their_bullets() -> None:
    assert cited_statements("- one [2].\n* two [1]\nthree", 2) == [("one", 2), ("two", 1)]
