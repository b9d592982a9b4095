"""The keys that an OpenID provider publishes (JWK Set, RFC 7517), kept for a while. A shell: fetches them.

A token names its key, and anybody may send a token: so a name that is not known makes the provider be asked once in
`ASKED_AGAIN_S` at most, and a provider that does not answer holds up nobody whose key is known. A key that was
withdrawn is believed for `KEYS_KEPT_S`; after that nobody is, until the provider answers.
"""

import http.client
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import jwt
import structlog

FETCH_S: Final = 5.0
KEYS_KEPT_S: Final = 300.0
ASKED_AGAIN_S: Final = 10.0
"""How long a new key may be unknown here after it was first used."""

log = structlog.get_logger("logkeel.gateway", role="gateway")


@dataclass(frozen=True, slots=True)
class _Fetched:
    """The keys by name, as they were at a time; at none before the first answer."""

    at_s: float | None = None
    keys: Mapping[str, jwt.PyJWK] = field(default_factory=dict)

    def has_expired(self, now_s: float) -> bool:
        return self.at_s is None or now_s - self.at_s >= KEYS_KEPT_S


class ProviderKeys:
    """Thread-safe. `now_s` is monotonic. TLS is verified by the system's certificates, or those of SSL_CERT_FILE."""

    def __init__(self, url: str, now_s: Callable[[], float]) -> None:
        """Asks nobody yet."""
        self._url = url
        self._now_s = now_s
        self._source = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_S)
        self._fetched = _Fetched()
        self._asked_s: float | None = None
        self._asking = threading.Lock()

    def find(self, name: str | None) -> jwt.PyJWK:
        """The key of this name. May block for `FETCH_S`. Raises `jwt.PyJWTError` if it is not known."""
        if name is None:
            raise jwt.PyJWKSetError("the token names no key")
        key = self._known(name)
        if key is None:
            with self._asking:
                key = self._known(name)  # somebody else may have asked meanwhile
                if key is None:
                    self._ask()
                    key = self._known(name)
        if key is None:
            raise jwt.PyJWKSetError("the token names no key that is known")
        return key

    def _known(self, name: str) -> jwt.PyJWK | None:
        fetched = self._fetched
        return None if fetched.has_expired(self._now_s()) else fetched.keys.get(name)

    def _ask(self) -> None:
        """Fetch, unless that was tried a moment ago."""
        now_s = self._now_s()
        if self._asked_s is not None and now_s - self._asked_s < ASKED_AGAIN_S:
            return
        self._asked_s = now_s
        try:
            keys = jwt.PyJWKSet.from_dict(self._source.fetch_data()).keys
        except (jwt.PyJWTError, OSError, ValueError, TypeError, AttributeError, http.client.HTTPException) as error:
            log.warning("provider_keys_not_fetched", url=self._url, error=str(error))
            return
        signing = {key.key_id: key for key in keys if key.key_id and key.public_key_use in ("sig", None)}
        self._fetched = _Fetched(now_s, signing)
