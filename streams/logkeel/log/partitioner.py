"""Kafka's default partitioner for keyed records: murmur2(key) mod partition count.

The same 32-bit murmur2 (seed 0x9747b28c) as `org.apache.kafka.common.utils.Utils.murmur2`, sign bit cleared. librdkafka
clients default to another partitioner, which is why requests may arrive elsewhere (P27).
"""

import struct
from functools import lru_cache

_MASK = 0xFFFFFFFF
_MULTIPLIER = 0x5BD1E995
_SEED = 0x9747B28C


def murmur2(key: bytes) -> int:
    """The unsigned 32-bit hash of `key`."""
    length = len(key)
    digest = _SEED ^ length
    whole = length & ~3
    for (word,) in struct.iter_unpack("<I", key[:whole]):
        mixed = word * _MULTIPLIER & _MASK
        mixed = (mixed ^ mixed >> 24) * _MULTIPLIER & _MASK
        digest = (digest * _MULTIPLIER & _MASK) ^ mixed
    if whole < length:
        digest = (digest ^ int.from_bytes(key[whole:], "little")) * _MULTIPLIER & _MASK
    digest = (digest ^ digest >> 13) * _MULTIPLIER & _MASK
    return digest ^ digest >> 15


@lru_cache(maxsize=16_384)
def partition_for(key: bytes, partition_count: int) -> int:
    """The partition of `key`, in [0, partition_count). Cached: a run's key is asked for with every record of it."""
    return (murmur2(key) & 0x7FFFFFFF) % partition_count
