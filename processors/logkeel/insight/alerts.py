"""What a webhook is told of a run that is stuck. The notifier's channel signs and sends it."""

import hashlib
from datetime import UTC, datetime
from typing import Final

import msgspec

from logkeel.insight.standing import Stuck

TYPE: Final = "run.stuck"


def id_of(stuck: Stuck) -> str:
    """The webhook's id: the same however often this standstill is told of, and of characters that an id may have."""
    return f"stuck-{hashlib.sha256(stuck.key.encode()).hexdigest()[:32]}"


def body_of(stuck: Stuck) -> bytes:
    """JSON as Standard Webhooks recommends it: type, timestamp, data. The timestamp is since when."""
    since = datetime.fromtimestamp(stuck.since_ms / 1000, UTC).isoformat(timespec="milliseconds")
    data = msgspec.structs.asdict(stuck)
    return msgspec.json.encode({"type": TYPE, "timestamp": since.replace("+00:00", "Z"), "data": data})
