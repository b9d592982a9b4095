"""Keys and chains for tests."""

from collections.abc import Sequence
from typing import Any

from logkeel.payloads import KeyRing, PayloadChain, SealingKey

KEYS = {name: SealingKey(name, bytes([number]) * 32) for number, name in enumerate(("key-1", "key-2", "key-3"), 1)}


def ring(current: str, known: Sequence[str] = ()) -> KeyRing:
    """A ring that encrypts with `current`, which is the last one it knows."""
    return KeyRing(KEYS[current], {name: KEYS[name] for name in (*known, current)})


def chain(**settings: Any) -> PayloadChain:
    """A chain that compresses and encrypts unless told otherwise."""
    return PayloadChain(**{"compression": "zstd", "keys": ring("key-1"), **settings})
