"""Authenticated encryption of payloads: the only importer of `cryptography`.

XAES-256-GCM (C2SP): AES-256-GCM (NIST SP 800-38D) under a key that is derived from the first half of a 192-bit nonce
(NIST SP 800-108r1, counter mode, CMAC). GCM alone takes 2^32 random nonces under one key (SP 800-38D 8.3), which a busy
application uses up in days; this takes 2^80.

    byte 0..23   nonce
    byte 24..    ciphertext, as long as the plaintext
    last 16      GCM tag

A nonce is random, or `synthetic`: HMAC-SHA-256 of what is encrypted, so that the same content under the same key gives
the same bytes. That tells who sees both that they are equal, and nothing else.
"""

import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from logkeel.errors import ConfigInvalid, PayloadTampered, UnknownPayloadKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 24
TAG_BYTES = 16

_DOMAIN = b"logkeel payload 1\0"
"""Before the encoding in the associated data: what these keys encrypt for others is no payload."""


@dataclass(frozen=True, repr=False)
class SealingKey:
    """256 bits that a payload is encrypted with, under a name. Never shown."""

    key_id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"SealingKey({self.key_id!r}, ***)"

    def seal(self, data: bytes, encoding: str, *, synthetic: bool) -> bytes:
        """Encrypt `data`, and bind `encoding` (the chain up to here and this key) to it."""
        bound = _DOMAIN + encoding.encode()
        nonce = self._synthetic(data, bound) if synthetic else os.urandom(NONCE_BYTES)
        return nonce + _aes_gcm(self._derived(nonce)).encrypt(nonce[12:], data, bound)

    def open(self, sealed: bytes, encoding: str) -> bytes:
        """What was encrypted. Raises `PayloadTampered`."""
        from cryptography.exceptions import InvalidTag

        if len(sealed) < NONCE_BYTES + TAG_BYTES:
            raise PayloadTampered(f"{len(sealed)} bytes are no encrypted payload", key_id=self.key_id)
        nonce = sealed[:NONCE_BYTES]
        try:
            return _aes_gcm(self._derived(nonce)).decrypt(nonce[12:], sealed[NONCE_BYTES:], _DOMAIN + encoding.encode())
        except InvalidTag as error:
            raise PayloadTampered(
                f"a payload encrypted with key {self.key_id!r} does not fit its tag: it was changed on its way, or this"
                " process has another key of that name",
                key_id=self.key_id,
            ) from error

    def digest(self, text: str) -> str:
        """Hex HMAC-SHA-256 of a text, under a key of its own: what is compared tells nothing to who lacks the key."""
        return hmac.new(self._digest_key, text.encode(), hashlib.sha256).hexdigest()

    def _derived(self, nonce: bytes) -> bytes:
        from cryptography.hazmat.primitives.ciphers.algorithms import AES
        from cryptography.hazmat.primitives.cmac import CMAC

        blocks = []
        for counter in (1, 2):
            mac = CMAC(AES(self.secret))
            mac.update(bytes([0, counter]) + b"X\0" + nonce[:12])
            blocks.append(mac.finalize())
        return b"".join(blocks)

    def _synthetic(self, data: bytes, bound: bytes) -> bytes:
        mac = hmac.new(self._nonce_key, len(bound).to_bytes(8, "big") + bound, hashlib.sha256)
        mac.update(data)
        return mac.digest()[:NONCE_BYTES]

    @cached_property
    def _nonce_key(self) -> bytes:
        return _expanded(self.secret, b"logkeel payload nonce")

    @cached_property
    def _digest_key(self) -> bytes:
        return _expanded(self.secret, b"logkeel input digest")


@dataclass(frozen=True)
class KeyRing:
    """Keys by name; `current` is the one that is used from now on, all of them are understood.

    The first one also makes the digests of inputs: a ring that grows at its end keeps them the same.
    """

    current: SealingKey
    keys: Mapping[str, SealingKey]

    @property
    def digesting(self) -> SealingKey:
        """The key that digests of inputs are made with."""
        return next(iter(self.keys.values()))

    def key(self, key_id: str) -> SealingKey:
        """The key of that name. Raises `UnknownPayloadKey`."""
        try:
            return self.keys[key_id]
        except KeyError:
            raise UnknownPayloadKey(
                f"a payload is encrypted with key {key_id!r}; this process has {', '.join(self.keys)}: add it to the"
                " file of --payload-keys",
                key_id=key_id,
            ) from None


def must_encrypt() -> None:
    """Raise `ConfigInvalid` if the library is not installed."""
    try:
        import cryptography  # noqa: F401 - asked for only
    except ImportError as error:
        raise ConfigInvalid("payload keys are given, and cryptography is not installed: logkeel[payloads]") from error


def _aes_gcm(key: bytes) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _expanded(secret: bytes, purpose: bytes) -> bytes:
    """HKDF-Expand of one block (RFC 5869): a key for one purpose out of a uniform one."""
    return hmac.new(secret, purpose + b"\x01", hashlib.sha256).digest()
