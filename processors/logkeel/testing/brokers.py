"""Chooses and opens the broker that a test run uses.

Order: `LOGKEEL_TEST_BOOTSTRAP_SERVERS` → a container where a Docker engine answers → the embedded broker. The choice is
a pure function of what was found; nothing heavy is imported before it is made.
"""

import importlib.util
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

BOOTSTRAP_VARIABLE: Final = "LOGKEEL_TEST_BOOTSTRAP_SERVERS"
CONTAINER_IMAGE: Final = "apache/kafka-native:4.3.1"
_DEFAULT_DOCKER_SOCKET: Final = "unix:///var/run/docker.sock"
_PING_TIMEOUT_S: Final = 2.0
_CONTAINER_READY_TIMEOUT_S: Final = 60.0


class BrokerKind(StrEnum):
    """Where the broker of a test run comes from."""

    GIVEN = "given"
    CONTAINER = "container"
    EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True)
class BrokerChoice:
    """A kind and why it was taken; `bootstrap_servers` only for a given broker."""

    kind: BrokerKind
    reason: str
    bootstrap_servers: str | None = None

    def __str__(self) -> str:
        return f"logkeel test broker: {self.kind} ({self.reason})"


def choose_broker(
    environment: Mapping[str, str], *, docker_answers: bool, testcontainers_installed: bool
) -> BrokerChoice:
    """Decide where the broker comes from."""
    given = environment.get(BOOTSTRAP_VARIABLE, "").strip()
    if given:
        return BrokerChoice(BrokerKind.GIVEN, f"{BOOTSTRAP_VARIABLE}={given}", given)
    if docker_answers and testcontainers_installed:
        return BrokerChoice(BrokerKind.CONTAINER, f"a Docker engine answers; {CONTAINER_IMAGE}")
    if docker_answers:
        return BrokerChoice(BrokerKind.EMBEDDED, "a Docker engine answers, but testcontainers is not installed")
    return BrokerChoice(BrokerKind.EMBEDDED, "no Docker engine answers")


def find_broker(environment: Mapping[str, str] | None = None) -> BrokerChoice:
    """Look around and choose; asks a Docker engine only when no broker is given."""
    environment = os.environ if environment is None else environment
    given = bool(environment.get(BOOTSTRAP_VARIABLE, "").strip())
    return choose_broker(
        environment,
        docker_answers=not given and docker_engine_answers(environment.get("DOCKER_HOST") or _DEFAULT_DOCKER_SOCKET),
        testcontainers_installed=importlib.util.find_spec("testcontainers") is not None,
    )


def docker_engine_answers(host: str) -> bool:
    """Whether a Docker engine answers a ping at `host` (`unix://…` or `tcp://host:port`) within two seconds."""
    scheme, _, address = host.partition("://")
    try:
        with socket.socket(socket.AF_UNIX if scheme == "unix" else socket.AF_INET, socket.SOCK_STREAM) as engine:
            engine.settimeout(_PING_TIMEOUT_S)
            name, _, port = address.rpartition(":")
            engine.connect(address if scheme == "unix" else (name, int(port)))
            engine.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return b" 200 " in engine.recv(64)
    except (OSError, ValueError):
        return False


@contextmanager
def open_broker(choice: BrokerChoice) -> Iterator[str]:
    """Bootstrap servers of the chosen broker; one that was started is ended with the block.

    Raises: what `EmbeddedBroker.start` raises, or what testcontainers raises.
    """
    match choice.kind:
        case BrokerKind.GIVEN:
            yield choice.bootstrap_servers or ""
        case BrokerKind.CONTAINER:
            with _container() as bootstrap_servers:
                yield bootstrap_servers
        case BrokerKind.EMBEDDED:
            from logkeel.broker import EmbeddedBroker

            with EmbeddedBroker() as broker:
                yield broker.bootstrap_servers


@contextmanager
def _container() -> Iterator[str]:
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    from logkeel.broker.ports import pick
    from logkeel.broker.settings import container_environment

    port = pick()
    ready = LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(int(_CONTAINER_READY_TIMEOUT_S))
    container = DockerContainer(CONTAINER_IMAGE).with_bind_ports(9092, port).waiting_for(ready)
    for name, value in container_environment(f"127.0.0.1:{port}").items():
        container.with_env(name, value)
    with container:
        yield f"127.0.0.1:{port}"
