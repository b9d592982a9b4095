"""Reads the group metadata that librdkafka serializes, in this one place (P4).

The bytes have a private layout, fixed by librdkafka's `rd_kafka_consumer_group_metadata_write`:

| bytes | meaning |
|---|---|
| `CGMDv2:` | magic |
| 4, native order | generation, -1 for none |
| up to `00` | group id |
| up to `00` | member id, empty for none |
| 1 | 1: no instance id |
| up to `00` | instance id, if there is one |
"""

import struct

from logkeel.errors import InvariantViolation
from logkeel.log import GroupMetadata

_MAGIC = b"CGMDv2:"
_GENERATION = struct.Struct("=i")


def read_group_metadata(serialized: bytes) -> GroupMetadata:
    """The membership in `serialized`, which stays its handle. Raises `InvariantViolation` for another layout."""
    if not serialized.startswith(_MAGIC):
        raise InvariantViolation(
            "the client serializes group metadata in an unknown layout; use a tested version of confluent-kafka",
            found=serialized[:8].hex(),
        )
    start = len(_MAGIC)
    (generation,) = _GENERATION.unpack_from(serialized, start)
    group_id, rest = _read_text(serialized, start + _GENERATION.size)
    member_id, rest = _read_text(serialized, rest)
    instance_id = None if serialized[rest] == 1 else _read_text(serialized, rest + 1)[0]
    return GroupMetadata(group_id, generation, member_id, instance_id, handle=serialized)


def _read_text(data: bytes, start: int) -> tuple[str, int]:
    end = data.index(b"\x00", start)
    return data[start:end].decode(), end + 1
