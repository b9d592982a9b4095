"""Keys and values of rows. Pure.

| row | key, a JSON array | value, msgpack | stands in |
|---|---|---|---|
| how far event time has come | `["mark", partition]` | `Mark` | state |
| window of a workflow or step | `["tally", partition, workflow, step, start_ms]` | `Tally` | state, output |
| failures that are alike | `["cluster", partition, workflow, step, code, shape]` | `Cluster` | state, output |
| refusals that are alike | `["refusals", partition, request type, code]` | `Cluster` | state, output |
| open run | `["run", partition, run id]` | `RunView` | state |
| run that is stuck | `["stuck", partition, run id]` | `Told` | state, output |

State is one topic, so that the rows of a partition come back as a prefix of what was written. On the output topic the
value is JSON, without what only this room needs. The partition is that of the events: who wants totals adds them up.
"""

from typing import Any, Final

import msgspec

from logkeel.insight.clusters import Cluster
from logkeel.insight.standing import Stuck
from logkeel.insight.windows import Tally

SHOWN: Final = frozenset({"tally", "cluster", "refusals"})
"""Kinds of rows that are sent to the output topic as they change."""


class Mark(msgspec.Struct, frozen=True):
    """The beginning of the newest window that had an event. Only grows."""

    newest_ms: int = 0


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A standstill that is on the output topic; `alerted`: the webhook has it, too."""

    stuck: Stuck
    alerted: bool = False


def key_of(kind: str, partition: int, *parts: str | int) -> bytes:
    """The key of a row."""
    return msgspec.json.encode([kind, partition, *parts])


def parts_of(key: bytes) -> tuple[str, int, list[Any]]:
    """Kind, partition, and what else is in a key."""
    kind, partition, *rest = msgspec.json.decode(key)
    return kind, partition, rest


def packed(row: Mark | Tally | Cluster | Told) -> bytes:
    """As bytes."""
    return msgspec.msgpack.encode(row)


def mark_in(data: bytes | None) -> Mark:
    """The mark of a partition; that of the beginning if there is none."""
    return Mark() if data is None else msgspec.msgpack.decode(data, type=Mark)


def tally_in(data: bytes) -> Tally:
    """Out of a row."""
    return msgspec.msgpack.decode(data, type=Tally)


def cluster_in(data: bytes) -> Cluster:
    """Out of a row."""
    return msgspec.msgpack.decode(data, type=Cluster)


def told_in(data: bytes) -> Told:
    """Out of a row."""
    return msgspec.msgpack.decode(data, type=Told)


def shown(kind: str, row: Tally | Cluster | Stuck, window_ms: int) -> bytes:
    """What stands on the output topic."""
    document = {name: value for name, value in msgspec.structs.asdict(row).items() if name != "through"}
    more = {"window_ms": window_ms} if kind == "tally" else {}
    return msgspec.json.encode({"kind": kind, **document, **more})
