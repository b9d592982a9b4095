"""An OpenID provider on loopback: publishes keys, rotates them, and signs tokens."""

import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from tests.unit.local_server import answering

from logkeel.gateway.settings import GatewaySettings


@dataclass
class Provider:
    """`asked`: paths of the calls that came. `body`: what is said instead of the keys; `redirect`: where calls go."""

    scheme: str = "http"
    port: int = 0
    asked: list[str] = field(default_factory=list)
    body: bytes | None = None
    status: int = 200
    redirect: str | None = None
    keys: dict[str, ec.EllipticCurvePrivateKey] = field(default_factory=dict)
    withdrawn: set[str] = field(default_factory=set)

    def rotate(self, name: str) -> None:
        """One more key."""
        self.keys[name] = ec.generate_private_key(ec.SECP256R1())

    def token(self, name: str, key: ec.EllipticCurvePrivateKey | None = None, **given: Any) -> str:
        """A token that names this key, and is signed with it or another one."""
        claims = {"iss": "https://id.example", "aud": "logkeel", "sub": "ada", "exp": int(time.time()) + 300}
        return jwt.encode(
            {**claims, "roles": ["viewer"], **given}, key or self.keys[name], "ES256", headers={"kid": name}
        )

    @property
    def settings(self) -> GatewaySettings:
        """Of a gateway that believes this provider."""
        place = f"{self.scheme}://localhost:{self.port}/keys"
        return GatewaySettings(oidc_jwks=place, oidc_issuer="https://id.example", oidc_audience="logkeel")

    def published(self) -> bytes:
        """The key set."""
        known = [
            json.loads(ECAlgorithm.to_jwk(key.public_key())) | {"kid": name, "use": "sig", "alg": "ES256"}
            for name, key in self.keys.items()
            if name not in self.withdrawn
        ]
        return json.dumps({"keys": known}).encode()


@contextmanager
def publishing(tls: ssl.SSLContext | None = None) -> Iterator[Provider]:
    """A provider with the key `k1`, for as long as the block lasts."""
    provider = Provider(scheme="http" if tls is None else "https")
    provider.rotate("k1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.asked.append(self.path)
            body = provider.published() if provider.body is None else provider.body
            self.send_response(302 if provider.redirect else provider.status)
            if provider.redirect:
                self.send_header("location", provider.redirect)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
            """Nothing to tell."""

    with answering(Handler, tls) as provider.port:
        yield provider
