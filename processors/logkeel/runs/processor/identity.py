"""Who a request is, and where it belongs (P26, P27). Pure.

| | taken from, in this order |
|---|---|
| request id | the request; the position it was first read at |
| run id | the request; the record key; the request id |
| routing key | the request; its conversation; the run id |

The position first read at travels in a header when a request is re-routed, so that none of them changes on the way.
"""

import hashlib
from dataclasses import dataclass

from logkeel.errors import InvalidInput
from logkeel.log import Record
from logkeel.records import FieldWrite, Request, StartRun
from logkeel.wire import texts_of

REROUTED_HEADER = "logkeel-rerouted-from"


@dataclass(frozen=True, slots=True)
class Identified:
    """A request with its identity. `rerouted`: it has had its one hop."""

    request: Request
    request_id: str
    run_id: str
    routing_key: str
    rerouted: bool
    position: str


def identify(record: Record, request: Request, *, max_characters: int) -> Identified:
    """Whose request this is. Raises `InvalidInput` for an id that is empty or too long."""
    origin = next((value.decode() for name, value in record.headers if name == REROUTED_HEADER), None)
    position = origin or f"{record.topic}-{record.partition}-{record.offset}"
    request_id = request.request_id or position
    run_id = request.run_id or _text(record.key) or request_id
    routing_key = request.routing_key or (request.conversation_id if isinstance(request, StartRun) else None) or run_id
    for name, value in (("request id", request_id), ("run id", run_id), ("routing key", routing_key)):
        if len(value) > max_characters:
            raise InvalidInput(f"the {name} has {len(value)} characters; at most {max_characters} are taken")
    return Identified(request, request_id, run_id, routing_key, origin is not None, position)


def incarnation_of(record: Record) -> str:
    """The position and time of an accepted StartRun: a run id that is used again cannot meet old records (P26)."""
    return f"{record.partition}-{record.offset}-{record.timestamp_ms}"


def digest_of_input(inputs: tuple[FieldWrite, ...]) -> str:
    """What "same input" compares when the client gave no digest: SHA-256 over names and payload bytes (P28)."""
    digest = hashlib.sha256()
    for name, value in texts_of(inputs, lambda write: repr(write.control).encode()):
        digest.update(b"%d:%s%d:%s" % (len(name), name.encode(), len(value), value))
    return digest.hexdigest()


def _text(key: bytes | None) -> str | None:
    try:
        return key.decode() if key else None
    except UnicodeDecodeError:
        return None
