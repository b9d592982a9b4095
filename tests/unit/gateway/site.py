"""A gateway's application over a simulated cluster with a real engine, stepped by the test."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient
from tests.unit.runs.engine import Engine
from tests.unit.runs.scripts import T0

from logkeel.client import Client
from logkeel.gateway.application import make_application
from logkeel.gateway.hub import StreamHub
from logkeel.gateway.limits import RateLimit
from logkeel.gateway.parts import Parts, Pulse
from logkeel.gateway.published import Published
from logkeel.gateway.serving import verifiers_of
from logkeel.gateway.settings import GatewaySettings
from logkeel.gateway.tracing import CallTracer, headers_of_call
from logkeel.payloads import PLAIN
from logkeel.readmodel import FILE_NAME, Projector, ReadModel
from logkeel.records import StepCommand


class Site:
    """An application with an engine, a projector and a gateway; nothing moves but by a call."""

    def __init__(
        self,
        folder: Path,
        opened: ExitStack,
        settings: GatewaySettings,
        partitions: int,
        tracer: CallTracer | None = None,
    ) -> None:
        self.engine = Engine(partitions)
        names, client = self.engine.names, self.engine.client
        self.projector = opened.enter_context(closing(Projector(client, names, folder / FILE_NAME)))
        self.hub = opened.enter_context(closing(StreamHub(client, names, PLAIN)))
        self.seconds = 0.0
        self.parts = Parts(
            settings=settings,
            names=names,
            client=opened.enter_context(closing(Client(client, prefix=names.prefix, headers=headers_of_call))),
            model=opened.enter_context(closing(ReadModel(folder / FILE_NAME))),
            hub=self.hub,
            published=Published(client, names, lambda: self.seconds),
            payloads=PLAIN,
            verifiers=verifiers_of(settings),
            now_ms=self.engine.cluster.clock.now_ms,
            monotonic_s=lambda: self.seconds,
            positions=lambda: self.projector.positions,
            rate=RateLimit(settings.rate_per_s, settings.rate_burst),
            pulse=Pulse(caught_up=True),
            began_ms=T0,
            tracer=tracer,
        )

    def settle(self) -> None:
        """The engine works off what there is, and the read model takes it in."""
        self.engine.turns()
        self.read()

    def read(self) -> None:
        """The read model takes in what is on the log, and those who wait hear of it."""
        before = self.projector.positions
        touched = self.projector.turn(0.0)
        while self.projector.positions != before:
            self.parts.bulletin.tell(touched, self.projector.positions)
            before = self.projector.positions
            touched = self.projector.turn(0.0)

    def finish(self, *commands: StepCommand) -> None:
        """Workers succeed with these steps, or with all that are dispatched."""
        for command in commands or self.engine.commands():
            self.engine.succeed(command)
        self.read()


@contextmanager
def site(
    folder: Path, partitions: int = 1, tracer: CallTracer | None = None, **given: Any
) -> Iterator[tuple[Site, TestClient]]:
    """A site and an HTTP client of it. `given`: settings of the gateway."""
    settings = GatewaySettings(**{"appear_s": 0.0, **given})
    with ExitStack() as opened:
        made = Site(folder, opened, settings, partitions, tracer)
        application = make_application(made.parts)
        client = opened.enter_context(
            TestClient(application, base_url="http://127.0.0.1", raise_server_exceptions=False)
        )
        yield made, client


def problem_of(answer: Any, status: int, code: str) -> Mapping[str, Any]:
    """The problem document of an answer, which is one with this status and code."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: Mapping[str, Any] = answer.json()
    assert (document["status"], document["code"]) == (status, code), document
    assert document["type"] == f"urn:logkeel:error:{code}"
    return document
