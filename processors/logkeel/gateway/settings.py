"""What a gateway is told: where it listens, who may do what, and how much. Pure."""

import ipaddress
from typing import Final

import msgspec

from logkeel.errors import GatewayUnprotected

DEFAULT_PORT: Final = 8420


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[gateway]`, or LOGKEEL_GATEWAY_ and a name in capitals.

    `tokens`: lines of `name:role+role:sha256`, `tokens_file` a file of such lines. `oidc_jwks` is a URL or a file of
    keys; with it `oidc_issuer` and `oidc_audience` have to be given, and `oidc_roles_claim` names the claim with roles.
    `hosts`: names with commas under which it is called, checked where nobody has to say who they are. `rate_per_s` and
    `rate_burst` are each caller's; 0: no limit. `max_streams`: event streams at once. `appear_s`: how long is waited
    for a run that was just asked for; `max_wait_s`: how long any call waits at most.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    tls_certificate: str = ""
    tls_key: str = ""
    tokens: str = ""
    tokens_file: str = ""
    oidc_issuer: str = ""
    oidc_audience: str = ""
    oidc_jwks: str = ""
    oidc_roles_claim: str = "roles"
    hosts: str = "127.0.0.1,localhost,::1"
    max_body_bytes: int = 2 * 1_024 * 1_024
    rate_per_s: float = 1_000.0
    rate_burst: int = 2_000
    max_streams: int = 256
    appear_s: float = 3.0
    max_wait_s: float = 60.0

    @property
    def is_protected(self) -> bool:
        """Whether callers have to say who they are."""
        return bool(self.tokens or self.tokens_file or self.oidc_jwks)

    def __repr__(self) -> str:
        names = (name for name in self.__struct_fields__ if name != "tokens")
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"GatewaySettings({shown}, tokens={'***' if self.tokens else ''!r})"


def refuse_open_door(settings: GatewaySettings) -> None:
    """Raise `GatewayUnprotected` if others than this machine could do everything without saying who they are."""
    if settings.is_protected or is_loopback(settings.host):
        return
    raise GatewayUnprotected(
        f"the gateway would listen on {settings.host} for anybody: give tokens (LOGKEEL_GATEWAY_TOKENS_FILE, made with"
        " `logkeel gateway token`) or OIDC (LOGKEEL_GATEWAY_OIDC_JWKS), or listen on 127.0.0.1",
        host=settings.host,
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
