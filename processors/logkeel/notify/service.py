"""One notifier: its loop, its outbox, and the pages beside it. A shell file: it holds threads and a socket.

Ends in order: the outbox finishes what it has begun, while the loop records it; then the loop hands its partitions
over, and the pages end. What was not begun stays claimed, and the next notifier sends it.
"""

import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
import uvicorn
from starlette.routing import BaseRoute

from logkeel.client import Answer, Client
from logkeel.errors import ConfigInvalid
from logkeel.exactly_once import LoopPorts, LoopSettings, Observer, TransactionalLoop
from logkeel.log import LogClient, all_described
from logkeel.notify.book import CaseBook
from logkeel.notify.channels import Channel
from logkeel.notify.clicks import SlackClicks
from logkeel.notify.config import Hook, Mail, NotifyConfig, Slack, secrets_of
from logkeel.notify.inbound import InboundHooks
from logkeel.notify.links import MIN_KEY_BYTES
from logkeel.notify.mail import MailChannel
from logkeel.notify.outbox import Outbox
from logkeel.notify.pages import AnswerPages, Links, application
from logkeel.notify.processor import NotifyProcessor
from logkeel.notify.replies import Forms
from logkeel.notify.schedule import DRAIN_S, PAGES_S
from logkeel.notify.slack import SlackChannel
from logkeel.notify.values import ShownValues
from logkeel.notify.webhooks import HookChannel
from logkeel.payloads import PLAIN, PayloadChain
from logkeel.records.topics import TopicNames

log = structlog.get_logger("logkeel.notifier", role="notifier")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the pages are served."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierParts:
    """What a notifier is made of: what its loop acts through and how it runs, names, payload chain, forms,

    and who looks on.
    """

    ports: LoopPorts
    settings: LoopSettings
    names: TopicNames
    payloads: PayloadChain = PLAIN
    forms: Forms | None = None
    observer: Observer | None = None


def make_channels(config: NotifyConfig, environment: Mapping[str, str]) -> dict[str, Channel]:
    """The channels of a configuration, by name. Raises `ConfigInvalid`."""
    return {name: _channel(each, environment) for name, each in config.channels.items()}


def make_links(
    config: NotifyConfig, environment: Mapping[str, str], now_ms: Callable[[], int] | None = None
) -> Links | None:
    """What makes links; None where there is no `public_url`. Raises `ConfigInvalid` for a key that is too short."""
    if config.public_url is None:
        return None
    keys = tuple(secrets_of(environment, config.key_env))
    if not keys or any(len(key.encode()) < MIN_KEY_BYTES for key in keys):
        raise ConfigInvalid(
            f"the environment's {config.key_env} has to have at least {MIN_KEY_BYTES} characters, such as from"
            " `openssl rand -hex 32`",
            name=config.key_env,
        )
    return Links(config.public_url, keys, config.link_valid_ms, now_ms or _now_ms)


class Notifier:
    """Made of parts and a configuration; `run` does the work. `address` None serves nothing."""

    def __init__(
        self,
        parts: NotifierParts,
        config: NotifyConfig,
        *,
        environment: Mapping[str, str],
        address: Address | None = None,
    ) -> None:
        """Raises `ConfigInvalid`, `TopicMissing`, `LogUnavailable`."""
        names, log_client = parts.names, parts.ports.client
        require_topics(log_client, names)
        self._parts = parts
        self._address = address
        self._client = Client(log_client, prefix=names.prefix, payloads=parts.payloads)
        self._values = ShownValues(log_client, names.run_events, parts.payloads)
        self._links = make_links(config, environment)
        self._book = CaseBook(log_client, names.notifier_state)
        self._outbox = Outbox(make_channels(config, environment), self._values, self._links)
        self._processor = NotifyProcessor(names, config.routing(), self._outbox.send)
        self._loop = self._made_loop()
        self._routes = self._made_routes(config, environment)

    @property
    def is_ready(self) -> bool:
        """Whether its partitions run, and its pages know all cases that were there at the start. From any thread."""
        return self._loop.is_ready and self._book.caught_up

    def counted_by(self, counted: Callable[[str, str], None]) -> None:
        """From now on this hears of each delivery: its channel, and what became of it in a word, on any thread."""
        self._outbox.counted = counted

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set. Raises what ends the loop."""
        self._book.start()
        server = None if self._address is None else Server(self._address, self._routes, lambda: self._book.caught_up)
        try:
            if server is not None:
                server.start()
            self._loop.run(Draining(stop, self._outbox))
        finally:
            if server is not None:
                server.stop()
            self._outbox.close()
            self._book.close()
            self._values.close()
            self._client.close()

    def _made_loop(self) -> TransactionalLoop:
        parts = self._parts
        return TransactionalLoop(
            parts.ports, self._processor, parts.settings, side_source=self._outbox, observer=parts.observer
        )

    def _made_routes(self, config: NotifyConfig, environment: Mapping[str, str]) -> list[BaseRoute]:
        routes: list[BaseRoute] = []
        if self._links is not None:
            routes += AnswerPages(self._links, self._book, self._values.read, self._answer, self._parts.forms).routes()
            slack = {name: each for name, each in config.channels.items() if isinstance(each, Slack)}
            if slack:
                routes += SlackClicks(slack, environment, self._links, self._book, self._answer).routes()
        if config.inbound:
            routes += InboundHooks(config.inbound, environment, self._client).routes()
        return routes

    def _answer(self, answer: Answer, request_id: str, routing_key: str | None) -> None:
        self._client.answer(answer, request_id=request_id, routing_key=routing_key)


class Draining(threading.Event):
    """Set once `stop` is set and the outbox has nothing under way, or after `DRAIN_S`.

    So an ordinary restart repeats no message: the loop goes on until it has recorded what was sent. Asking for it is a
    sign of life of the loop, as asking `stop` is.
    """

    def __init__(self, stop: threading.Event, outbox: Outbox, *, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._stop = stop
        self._outbox = outbox
        self._now_s = now_s
        self._until_s: float | None = None

    def is_set(self) -> bool:
        """Whether the loop is to end now."""
        if not self._stop.is_set():
            return False
        if self._until_s is None:
            self._until_s = self._now_s() + DRAIN_S
        return self._outbox.drain() or self._now_s() >= self._until_s


class Server:
    """Serves routes on a thread of its own."""

    def __init__(self, address: Address, routes: list[BaseRoute], ready: Callable[[], bool]) -> None:
        """Takes the port at once. Raises `ConfigInvalid` if it cannot be had."""
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        try:
            self._socket = socket.create_server((address.host, address.port), family=family)
        except OSError as error:
            raise ConfigInvalid(f"the pages cannot be served at {address.host}:{address.port}: {error}") from error
        config = uvicorn.Config(application(routes, ready), log_config=None, access_log=False, lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="logkeel-pages", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()
        log.info("pages_served", address="{}:{}".format(*self._socket.getsockname()[:2]))

    def stop(self) -> None:
        """End; requests under way have some seconds."""
        self._server.should_exit = True
        self._thread.join(PAGES_S)
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])


def require_topics(client: LogClient, names: TopicNames) -> None:
    """Raises `TopicMissing` naming the command that makes them."""
    admin = client.admin()
    try:
        wanted = (names.run_events, names.notifier_state, names.dead_letters)
        all_described(admin, wanted, prefix=names.prefix)
    finally:
        admin.close()


def _channel(config: Mail | Hook | Slack, environment: Mapping[str, str]) -> Channel:
    match config:
        case Mail():
            return MailChannel(config, environment)
        case Hook():
            return HookChannel(config, environment)
        case Slack():
            return SlackChannel(config, environment)


def _now_ms() -> int:
    return int(time.time() * 1000)
