"""A gateway as it runs: projector, stream hub and HTTP server, a thread each, over one file and one client. A shell."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final, Protocol

import structlog
import uvicorn
from fastapi import FastAPI

from logkeel.client import Client
from logkeel.errors import ConfigInvalid, PortTaken
from logkeel.gateway.access import StaticTokens, Verifier
from logkeel.gateway.application import make_application
from logkeel.gateway.hub import StreamHub
from logkeel.gateway.limits import RateLimit
from logkeel.gateway.parts import Parts, Pulse
from logkeel.gateway.published import Published
from logkeel.gateway.settings import GatewaySettings, refuse_open_door
from logkeel.gateway.tracing import CallTracer, headers_of_call
from logkeel.log import LogClient
from logkeel.payloads import PayloadChain
from logkeel.readmodel import FILE_NAME, Projector, ReadModel, Touched
from logkeel.records.topics import TopicNames

LOOK_S: Final = 0.2
BACKLOG: Final = 2_048
CLOSE_S: Final = 5
"""What calls that are under way have to end when the process does."""

log = structlog.get_logger("logkeel.gateway", role="gateway")


class Runner(Protocol):
    """Starts a thread that ends soon after the event it is given was set; the one started last ends first."""

    def start(self, name: str, target: Callable[[threading.Event], None]) -> object:
        """Run `target(stop)`. What it returns is nothing to a gateway."""
        ...


class Gateway:
    """Opens everything; `start` lets it run. Close it when its threads have ended."""

    def __init__(
        self,
        log_client: LogClient,
        names: TopicNames,
        payloads: PayloadChain,
        settings: GatewaySettings,
        folder: Path,
        tracer: CallTracer | None = None,
    ) -> None:
        """`folder`: of the read model, whose lock the caller holds. `tracer`: None sends no spans.

        Raises `GatewayUnprotected`, `ConfigInvalid`, `PortTaken`, and as `Projector`.
        """
        refuse_open_door(settings)
        refuse_bad_tls(settings)
        self._settings = settings
        verifiers = verifiers_of(settings)
        with ExitStack() as opened:
            self._socket = opened.enter_context(closing(_bound(settings)))
            self._projector = opened.enter_context(closing(Projector(log_client, names, folder / FILE_NAME)))
            hub = opened.enter_context(closing(StreamHub(log_client, names, payloads)))
            client = Client(log_client, prefix=names.prefix, payloads=payloads, headers=headers_of_call)
            opened.enter_context(closing(client))
            model = opened.enter_context(closing(ReadModel(folder / FILE_NAME)))
            self._parts = Parts(
                settings=settings,
                names=names,
                client=client,
                model=model,
                hub=hub,
                published=Published(log_client, names, time.monotonic),
                payloads=payloads,
                verifiers=verifiers,
                now_ms=lambda: time.time_ns() // 1_000_000,
                monotonic_s=time.monotonic,
                positions=lambda: self._projector.positions,
                rate=RateLimit(settings.rate_per_s, settings.rate_burst),
                pulse=Pulse(turned_s=time.monotonic()),
                began_ms=time.time_ns() // 1_000_000,
                tracer=tracer,
            )
            self._opened = opened.pop_all()

    @property
    def address(self) -> str:
        """Where it listens."""
        host, port = self._socket.getsockname()[:2]
        scheme = "https" if self._settings.tls_certificate else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def start(self, runner: Runner) -> None:
        """Start its threads: the server last, so that it ends first."""
        runner.start("gateway streams", self._parts.hub.run)
        runner.start("gateway projector", self._project)
        runner.start("gateway server", self._serve)

    def close(self) -> None:
        """Release everything; idempotent."""
        self._opened.close()

    def _project(self, stop: threading.Event) -> None:
        pulse, projector = self._parts.pulse, self._projector

        def beat() -> None:
            pulse.turned_s = time.monotonic()
            if not pulse.caught_up and projector.caught_up:
                pulse.caught_up = True
                log.info("read_model_caught_up")

        def told(touched: Touched, _: object) -> None:
            bulletin = getattr(self._parts, "bulletin", None)
            if bulletin is not None:
                bulletin.tell(touched, projector.positions)

        projector.run(stop, told, beat)

    def _serve(self, stop: threading.Event) -> None:
        application = make_application(self._parts)
        asyncio.run(self._serve_until(stop, application))

    async def _serve_until(self, stop: threading.Event, application: FastAPI) -> None:
        settings = self._settings
        server = uvicorn.Server(
            uvicorn.Config(
                application,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="on",
                backlog=BACKLOG,
                timeout_graceful_shutdown=CLOSE_S,
                ssl_certfile=settings.tls_certificate or None,
                ssl_keyfile=settings.tls_key or None,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[self._socket]))
        while not serving.done():
            bulletin = getattr(self._parts, "bulletin", None)
            if stop.is_set() and not server.should_exit:
                server.should_exit = True
                if bulletin is not None:
                    bulletin.close()
            await asyncio.wait([serving], timeout=LOOK_S)
        await serving


def verifiers_of(settings: GatewaySettings) -> list[Verifier]:
    """What knows tokens. Raises `ConfigInvalid`."""
    found: list[Verifier] = []
    lines = settings.tokens.replace(";", "\n").splitlines()
    if settings.tokens_file:
        try:
            lines += Path(settings.tokens_file).read_text().splitlines()
        except OSError as error:
            raise ConfigInvalid(f"gateway.tokens_file cannot be read: {error}", file=settings.tokens_file) from error
    if settings.tokens or settings.tokens_file:
        found.append(StaticTokens(lines))
    if settings.oidc_jwks:
        from logkeel.gateway.oidc import OidcTokens

        found.append(OidcTokens(settings))
    return found


def refuse_bad_tls(settings: GatewaySettings) -> None:
    """Raise `ConfigInvalid` if certificate and key are no pair, or there is a key alone: that would be plain HTTP."""
    certificate, key = settings.tls_certificate, settings.tls_key
    if key and not certificate:
        raise ConfigInvalid("gateway.tls_key is given without gateway.tls_certificate: give both, or none")
    if not certificate:
        return
    try:
        # A password, though a wrong one: else OpenSSL would ask for that of an encrypted key at the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key or None, password="")
    except OSError as error:
        place = f"{certificate} and {key}" if key else certificate
        raise ConfigInvalid(f"gateway.tls_certificate and gateway.tls_key: {place} cannot be used: {error}") from error


def _bound(settings: GatewaySettings) -> socket.socket:
    """The socket that is listened on. Raises `PortTaken`, `ConfigInvalid`."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[
            0
        ]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigInvalid(f"gateway.host {settings.host} is no address here: {error}") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise PortTaken(
            f"{settings.host}:{settings.port} cannot be listened on ({error.strerror}): choose another --port",
            port=settings.port,
        ) from error
    return bound
