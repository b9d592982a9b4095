"""A gateway that speaks TLS, called over it; and certificates that are none."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.unit.notify.certificates import self_signed
from tests.unit.runs.engine import Engine

from logkeel.errors import ConfigInvalid
from logkeel.gateway.access import Role, token_line
from logkeel.gateway.serving import Gateway, refuse_bad_tls
from logkeel.gateway.settings import GatewaySettings
from logkeel.payloads import PLAIN


class Server:
    """Implements `logkeel.gateway.serving.Runner`: runs the HTTP server alone. Nothing moves the read model."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.threads: list[threading.Thread] = []

    def start(self, name: str, target: Callable[[threading.Event], None]) -> None:
        if name == "gateway server":
            self.threads.append(threading.Thread(target=target, args=(self.stop,)))
            self.threads[-1].start()

    def end(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()


def place_of(address: str) -> tuple[str, int]:
    """Host and port."""
    return "127.0.0.1", int(address.rpartition(":")[2])


def until_it_listens(place: tuple[str, int]) -> None:
    """Until the server takes connections."""
    for _ in range(1_000):
        with socket.socket() as tried:
            if tried.connect_ex(place) == 0:
                return
        threading.Event().wait(0.02)
    raise AssertionError("nobody listens")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, ssl.SSLContext]]:
    """Where a gateway listens, and what its clients trust."""
    _, trusted = self_signed(tmp_path)
    settings = GatewaySettings(
        port=0,
        tls_certificate=trusted,
        tls_key=str(tmp_path / "key.pem"),
        tokens=token_line("ada", [Role.VIEWER], "secret"),
    )
    engine, server = Engine(), Server()
    with closing(Gateway(engine.client, engine.names, PLAIN, settings, tmp_path)) as gateway:
        gateway.start(server)
        try:
            until_it_listens(place_of(gateway.address))
            yield gateway.address, ssl.create_default_context(cafile=trusted)
        finally:
            server.end()


def test_calls_go_over_tls(served: tuple[str, ssl.SSLContext]) -> None:
    address, trusting = served
    assert address.startswith("https://127.0.0.1:")
    with httpx.Client(base_url=address, verify=trusting, trust_env=False) as client:
        assert client.get("/livez").json() == {"status": "alive"}
        assert client.get("/v1/runs").status_code == 401
        assert client.get("/v1/runs", headers={"Authorization": "Bearer secret"}).json()["items"] == []
        page = client.get("/ui/login")
        assert page.status_code == 200
        assert "; secure" in page.headers["set-cookie"].lower()


def test_who_does_not_trust_the_certificate_says_nothing(served: tuple[str, ssl.SSLContext]) -> None:
    address, _ = served
    with httpx.Client(base_url=address, trust_env=False) as client, pytest.raises(httpx.ConnectError, match="CERT"):
        client.get("/livez", headers={"Authorization": "Bearer secret"})


def test_plain_http_gets_no_answer(served: tuple[str, ssl.SSLContext]) -> None:
    address, _ = served
    plain = address.replace("https://", "http://")
    with httpx.Client(base_url=plain, trust_env=False) as client, pytest.raises(httpx.TransportError):
        client.get("/livez")


def test_no_version_is_spoken_that_is_broken(served: tuple[str, ssl.SSLContext]) -> None:
    address, trusting = served
    raw = socket.create_connection(place_of(address))
    with raw, trusting.wrap_socket(raw, server_hostname="localhost") as spoken:
        assert spoken.version() in ("TLSv1.2", "TLSv1.3")


def test_what_is_no_pair_is_said_before_anything_is_opened(tmp_path: Path) -> None:
    _, certificate = self_signed(tmp_path)
    key, other, locked = (str(tmp_path / name) for name in ("key.pem", "other.pem", "locked.pem"))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    another = ec.generate_private_key(ec.SECP256R1())
    Path(other).write_bytes(another.private_bytes(*form, serialization.NoEncryption()))
    Path(locked).write_bytes(another.private_bytes(*form, serialization.BestAvailableEncryption(b"word")))
    refuse_bad_tls(GatewaySettings())
    refuse_bad_tls(GatewaySettings(tls_certificate=certificate, tls_key=key))
    both = tmp_path / "both.pem"
    both.write_text(Path(certificate).read_text() + Path(key).read_text())
    refuse_bad_tls(GatewaySettings(tls_certificate=str(both)))
    wrongs: tuple[dict[str, Any], ...] = (
        {"tls_certificate": certificate},
        {"tls_certificate": certificate, "tls_key": other},
        {"tls_certificate": certificate, "tls_key": locked},
        {"tls_certificate": str(tmp_path / "nowhere"), "tls_key": key},
        {"tls_certificate": key, "tls_key": key},
        {"tls_key": key},
    )
    for wrong in wrongs:
        with pytest.raises(ConfigInvalid, match=r"gateway\.tls_certificate"):
            refuse_bad_tls(GatewaySettings(**wrong))
    engine, settings = Engine(), GatewaySettings(port=0, tls_key=key)
    with pytest.raises(ConfigInvalid, match="tls_key"):
        Gateway(engine.client, engine.names, PLAIN, settings, tmp_path)
