"""The world outside of Kafka, as chaos steps see it: an append-only ledger and a store that honours idempotency keys.

Every line is one `write` to a file opened for appending, so lines of killed processes are whole or absent.
"""

import json
import mmap
import os
import time
from pathlib import Path
from typing import Any

LEDGER = "CHAOS_LEDGER"
LEDGER_FILE = "ledger.jsonl"


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
    path, wanted = Path(os.environ[LEDGER]), f'"key": "{key}"'.encode()
    if not path.exists() or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as lines:
        at = lines.find(wanted)
        while at >= 0:
            start, end = lines.rfind(b"\n", 0, at) + 1, lines.find(b"\n", at)
            if b'"what": "effect"' in lines[start:end]:
                return True
            at = lines.find(wanted, end)
    return False


class Follower:
    """Reads what was added to a ledger since it was asked last."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0

    def lines(self) -> list[dict[str, Any]]:
        """New lines."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._offset)
            whole = file.read()
        whole = whole[: whole.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [json.loads(line) for line in whole.splitlines()]


def read(path: Path, offset: int = 0) -> list[dict[str, Any]]:
    """Every line from a byte offset on; a line that begins before it is passed over."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(offset)
        return [json.loads(line) for line in file.read().splitlines() if line.startswith(b"{") and line.endswith(b"}")]
