"""The world outside of Kafka, as chaos steps see it: an append-only ledger and a store that honours idempotency keys.

Every line is one `write` to a file opened for appending, so lines of killed processes are whole or absent.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

LEDGER = "CHAOS_LEDGER"


def note(what: str, **details: Any) -> None:
    """Append what happens, with the process and the time."""
    line = json.dumps({"what": what, "pid": os.getpid(), "at": time.time(), **details}) + "\n"
    descriptor = os.open(os.environ[LEDGER], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def happened(key: str) -> bool:
    """Whether the effect with this key is in the ledger."""
    wanted = f'"key": "{key}"'.encode()
    path = Path(os.environ[LEDGER])
    lines = path.read_bytes().splitlines() if path.exists() else []
    return any(b'"what": "effect"' in line and wanted in line for line in lines)


def read(path: Path, offset: int = 0) -> list[dict[str, Any]]:
    """Every line from a byte offset on."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(offset)
        return [json.loads(line) for line in file.read().splitlines() if line.endswith(b"}")]
