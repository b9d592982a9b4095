"""Errors that are the same but for their numbers and names. Pure; each cluster counts as a `Tally` does."""

import re
from typing import Final

import msgspec

from logkeel.records import RequestRejected, RunEvent

SHOWN_CHARACTERS: Final = 160
_VARYING = re.compile(r"0x[0-9a-fA-F]+|\b[0-9a-fA-F]{8,}(?:-[0-9a-fA-F]{4,})*\b|\d+(?:\.\d+)?|'[^']*'|\"[^\"]*\"")


class Cluster(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Failed attempts of one step with one code and one shape of message. `example`: the last message; `run_id`: its

    run.
    """

    workflow: str
    step: str
    code: str
    shape: str
    through: int = -1
    count: int = 0
    first_ms: int = 0
    last_ms: int = 0
    example: str = ""
    run_id: str = ""


def shape_of(message: str) -> str:
    """The message without what varies."""
    return _VARYING.sub("…", message.split("\n", 1)[0])[:SHOWN_CHARACTERS]


def cluster_of(event: RunEvent) -> Cluster | None:
    """The empty cluster that a failure belongs to."""
    if event.kind != "step_failed" or event.error is None:
        return None
    return Cluster(
        workflow=event.workflow, step=event.step or "", code=event.error.code, shape=shape_of(event.error.message)
    )


def joined(cluster: Cluster, event: RunEvent, offset: int) -> Cluster:
    """With this failure, which stands at `offset`; as it was, if it has counted that already."""
    if offset <= cluster.through or event.error is None:
        return cluster
    return msgspec.structs.replace(
        cluster,
        through=offset,
        count=cluster.count + 1,
        first_ms=cluster.first_ms or event.at_ms,
        last_ms=max(cluster.last_ms, event.at_ms),
        example=event.error.message[:SHOWN_CHARACTERS],
        run_id=event.run_id,
    )


def same_refusals(record: RequestRejected) -> Cluster:
    """The empty cluster that a refused request belongs to. Its `step` is the type of the request."""
    return Cluster(workflow="", step=record.request_type, code=record.code, shape="")


def refused(cluster: Cluster, record: RequestRejected, offset: int) -> Cluster:
    """As `joined`, of a refused request."""
    if offset <= cluster.through:
        return cluster
    return msgspec.structs.replace(
        cluster,
        through=offset,
        count=cluster.count + 1,
        first_ms=cluster.first_ms or record.rejected_at_ms,
        last_ms=max(cluster.last_ms, record.rejected_at_ms),
        example=record.reason[:SHOWN_CHARACTERS],
        run_id=record.run_id or "",
    )
