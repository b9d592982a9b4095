"""Reads what the client hands out about groups as bytes, in this one place: group metadata (P4), assignments.

Group metadata has a private layout, fixed by librdkafka's `rd_kafka_consumer_group_metadata_write`:

| bytes | meaning |
|---|---|
| `CGMDv2:` | magic |
| 4, native order | generation, -1 for none |
| up to `00` | group id |
| up to `00` | member id, empty for none |
| 1 | 1: no instance id |
| up to `00` | instance id, if there is one |

An assignment is Kafka's `ConsumerProtocolAssignment`, big-endian:

| bytes | meaning |
|---|---|
| 2 | version |
| 4 | number of topics |
| 2, text, 4, 4 each | a topic: length of its name, name, number of partitions, partitions |
| rest | of the assignor |
"""

import struct

from logkeel.errors import InvariantViolation
from logkeel.log import GroupMetadata, TopicPartition

_MAGIC = b"CGMDv2:"
_GENERATION = struct.Struct("=i")
_HEAD = struct.Struct(">hi")
_SHORT = struct.Struct(">h")
_LONG = struct.Struct(">i")
_UNIQUE_CHARACTERS = len("-00000000-0000-0000-0000-000000000000")


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


def read_assignment(serialized: bytes) -> tuple[TopicPartition, ...]:
    """The partitions that a member was given; none while it waits for its first."""
    if not serialized:
        return ()
    _, topics = _HEAD.unpack_from(serialized)
    at, found = _HEAD.size, []
    for _ in range(topics):
        (length,) = _SHORT.unpack_from(serialized, at)
        at += _SHORT.size
        topic = serialized[at : at + length].decode()
        (count,) = _LONG.unpack_from(serialized, at + length)
        at += length + _LONG.size
        found += [TopicPartition(topic, _LONG.unpack_from(serialized, at + n * _LONG.size)[0]) for n in range(count)]
        at += count * _LONG.size
    return tuple(found)


def instance_of(member_id: str, client_id: str) -> str | None:
    """A broker names a member after its instance id, or else its client id, and adds a UUID (KIP-345, KIP-394)."""
    named = member_id[:-_UNIQUE_CHARACTERS]
    return None if named == client_id else named or None
