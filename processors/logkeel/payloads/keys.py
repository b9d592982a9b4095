"""The file of payload keys, TOML:

    current = "key-2"

    [keys]
    key-1 = "base64 of 32 bytes"
    key-2 = "base64 of 32 bytes"

Order counts: new keys go to the end, since the first one makes the digests of inputs (`KeyRing`).
"""

import base64
import binascii
import re
import tomllib
from pathlib import Path
from typing import Any

from logkeel.errors import ConfigInvalid
from logkeel.payloads.sealing import KEY_BYTES, KeyRing, SealingKey, must_encrypt

KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Stands in encodings, between "+" and ":"."""


def read_keys(path: Path) -> KeyRing:
    """The keys in a file. Raises `ConfigInvalid`, whose message never carries a key."""
    try:
        content = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigInvalid(f"the payload keys {path} cannot be read: {error.strerror}", file=str(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        # Without the cause, which quotes the file.
        raise ConfigInvalid(f"the payload keys {path} are no TOML", file=str(path)) from None
    must_encrypt()
    return ring_of(content, str(path))


def ring_of(content: dict[str, Any], place: str) -> KeyRing:
    """The keys of a parsed file. Raises `ConfigInvalid`."""
    texts = content.get("keys")
    unknown = sorted(content.keys() - {"current", "keys"})
    if unknown or not isinstance(texts, dict) or not texts:
        raise ConfigInvalid(f'{place} wants `current = "name"` and a table [keys], and nothing else', file=place)
    keys = {key_id: SealingKey(key_id, _secret(key_id, text, place)) for key_id, text in texts.items()}
    current = content.get("current")
    if current not in keys:
        known = ", ".join(keys)
        raise ConfigInvalid(f"{place} must name the current key, one of {known}", file=place)
    return KeyRing(keys[current], keys)


def _secret(key_id: str, text: object, place: str) -> bytes:
    if not KEY_ID.fullmatch(key_id):
        remedy = "use at most 64 letters, digits, '.', '_' and '-', with a letter or digit first"
        raise ConfigInvalid(f"{place}: {key_id!r} is no name of a key; {remedy}", file=place)
    try:
        secret = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != KEY_BYTES:
        remedy = "make one with `openssl rand -base64 32`"
        raise ConfigInvalid(f"{place}: key {key_id!r} is not the base64 of {KEY_BYTES} bytes; {remedy}", file=place)
    return secret
