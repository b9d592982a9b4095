"""The outsides of the example agents, for tests: whatever an agent does there is entered into a schedule's ledger."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import httpx
import pytest
from examples.agents import payment as payment_example
from examples.agents import react_model
from examples.agents.classic import research as classic
from examples.agents.deep_research import research as deep_research
from examples.agents.payment import payment
from examples.agents.react import agent as react
from examples.agents.supervisor import team
from examples.agents.support_chat import support
from examples.research import outside as research_outside
from examples.research.agent import research
from examples.research.sources import Hit

from logkeel.testing.crashes import Outside
from logkeel.workflow import Workflow

Resources = Mapping[Any, Any]


@dataclass(frozen=True)
class Agent:
    """One agent and what it is played with. `happens`: what is in the ledger of an undisturbed run, by how often."""

    workflow: "Workflow[Any]"
    inputs: Mapping[str, Any]
    happens: Mapping[str, int] = field(default_factory=dict)
    humans: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    surroundings: Callable[[pytest.MonkeyPatch, Path, Outside], Resources] = lambda *_: {}


class Ledger(dict[str, int]):
    """The bank of the payment example: charged under a key once, shipped as often as somebody does."""

    def __init__(self, outside: Outside) -> None:
        super().__init__()
        self._outside = outside

    def __setitem__(self, name: str, value: int) -> None:
        what = "ship" if name.startswith("shipped ") else "charge"
        self._outside.do(what, key=None if what == "ship" else name)

    def __contains__(self, name: object) -> bool:
        return self._outside.happened("ship")


def _of_payment(patch: pytest.MonkeyPatch, _: Path, outside: Outside) -> Resources:
    patch.setattr(payment_example, "LEDGER", Ledger(outside))
    return {}


def _of_react(patch: pytest.MonkeyPatch, _: Path, outside: Outside) -> Resources:
    async def send(text: str, *, idempotency_key: str = "") -> str:
        outside.do("send", key=idempotency_key or None)
        return f"sent {text}"

    patch.setitem(react_model.TOOLS, "send", send)
    return {}


def _of_research(patch: pytest.MonkeyPatch, folder: Path, outside: Outside) -> Resources:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            outside.do("register", key=request.headers["Idempotency-Key"])
            return httpx.Response(201)
        asked_for = request.url.path.rpartition("/")[2]
        return httpx.Response(200 if outside.happened("mail") and stored == [asked_for] else 404)

    stored: list[str] = []

    def send_mail(message: EmailMessage) -> None:
        stored[:] = [message["Message-ID"].strip("<>")]
        outside.do("mail")  # without a key, since two mails are two mails; one act, so that no crash comes within it

    patch.setattr(research_outside, "send_mail", send_mail)
    transport, shelf = httpx.MockTransport(answer), Path(mkdtemp(dir=folder))
    return {
        research_outside.open_catalogue: lambda: httpx.AsyncClient(transport=transport, base_url="http://catalogue"),
        research_outside.open_shelf: outside.opener(lambda _: shelf),
    }


FOUND = {
    "search_library": [
        Hit(source="library", location="queue", title="queue", text="A queue holds records in order.", score=1.0)
    ],
    "search_packages": [
        Hit(source="packages", location="kafka", title="kafka", text="A log holds records for long.", score=0.9)
    ],
    "search_documents": [],
}


def _giving(hits: list[Hit]) -> Callable[[], list[Hit]]:
    """A fake that finds them in every execution: a list would be a script."""
    return lambda: hits


AGENTS = {
    "classic": Agent(classic, {"query": "kafka"}, humans={"approve": "approve"}),
    "deep_research": Agent(deep_research, {"question": "logs"}),
    "payment": Agent(
        payment, {"order": "o-1", "amount": 12}, happens={"charge": 1, "ship": 1}, surroundings=_of_payment
    ),
    "payment_refunded": Agent(
        payment, {"order": "lost-1", "amount": 12}, happens={"charge": 1}, surroundings=_of_payment
    ),
    "react": Agent(
        react,
        {"question": "what is a log?"},
        happens={"send": 1},
        humans={"agent?3.0.0": "approve"},
        surroundings=_of_react,
    ),
    "supervisor": Agent(team, {"goal": "a note"}),
    "support_chat": Agent(support, {"customer": "ann", "message": "hello"}),
    "research": Agent(
        research,
        {"question": "what holds records"},
        happens={"register": 1, "mail": 1},
        results={name: _giving(hits) for name, hits in FOUND.items()},
        surroundings=_of_research,
    ),
}
