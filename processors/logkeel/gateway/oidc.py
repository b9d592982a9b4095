"""Tokens of an OpenID provider: signed JWTs, verified by PyJWT with the provider's keys. A shell: has them read.

Only asymmetric algorithms are taken, so that no public key can serve as a secret (RFC 8725, 3.1). Issuer, audience and
expiry are required.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import jwt

from logkeel.errors import ConfigInvalid
from logkeel.gateway.access import Principal, roles_of
from logkeel.gateway.provider_keys import ProviderKeys
from logkeel.gateway.settings import GatewaySettings

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
LEEWAY_S: Final = 30


class OidcTokens:
    """Implements `logkeel.gateway.access.Verifier`."""

    def __init__(self, settings: GatewaySettings, now_s: Callable[[], float] = time.monotonic) -> None:
        """Reads keys that are a file; a URL is asked when the first token comes. Raises `ConfigInvalid`."""
        if not (settings.oidc_issuer and settings.oidc_audience):
            raise ConfigInvalid("with gateway.oidc_jwks give gateway.oidc_issuer and gateway.oidc_audience too")
        self._settings = settings
        place = settings.oidc_jwks
        self._remote: ProviderKeys | None = None
        self._keys: list[jwt.PyJWK] = []
        if place.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
            self._remote = ProviderKeys(place, now_s)
        elif "://" in place:
            raise ConfigInvalid(f"gateway.oidc_jwks is {place}: keys are fetched by https only, or read from a file")
        else:
            self._keys = _keys_in(Path(place))

    def principal(self, token: str) -> Principal | None:
        try:
            claims = jwt.decode(
                token,
                self._key(token),
                algorithms=list(ALGORITHMS),
                audience=self._settings.oidc_audience,
                issuer=self._settings.oidc_issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError:
            return None
        name = claims.get("email") or claims.get("preferred_username") or claims["sub"]
        return Principal(str(name), roles_of(_listed(_claim(claims, self._settings.oidc_roles_claim))))

    def _key(self, token: str) -> jwt.PyJWK:
        """Raises `jwt.PyJWTError` if there is none."""
        wanted = jwt.get_unverified_header(token).get("kid")
        if self._remote is not None:
            return self._remote.find(wanted)
        found = [key for key in self._keys if wanted is None or key.key_id == wanted]
        if len(found) != 1:
            raise jwt.PyJWKSetError("the token names no key that is known")
        return found[0]


def _keys_in(path: Path) -> list[jwt.PyJWK]:
    try:
        return list(jwt.PyJWKSet.from_dict(json.loads(path.read_text())).keys)
    except (OSError, ValueError, AttributeError, jwt.PyJWTError) as error:
        raise ConfigInvalid(f"gateway.oidc_jwks: {path} holds no keys: {error}") from error


def _claim(claims: dict[str, Any], path: str) -> Any:
    """A claim, or one inside of others: `realm_access.roles`."""
    value: Any = claims
    for word in path.split("."):
        value = value.get(word) if isinstance(value, dict) else None
    return value


def _listed(value: Any) -> list[Any]:
    if isinstance(value, str):
        return value.split()
    return value if isinstance(value, list) else []
