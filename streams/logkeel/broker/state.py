"""What a data directory remembers of its broker: ports, process id; one small JSON file.

The file is a note, not a lock: whether a broker runs says the file lock beside it, which the kernel frees when the
broker's process ends. So a note left by a killed broker is recognised and its ports are used again.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from logkeel.broker.locking import is_held
from logkeel.broker.settings import HOST, Ports


@dataclass(frozen=True, slots=True)
class BrokerNote:
    """The last start of a broker in this data directory. `pid` is Java's process id."""

    pid: int
    advertised: str
    ports: Ports

    @property
    def listener(self) -> str:
        """`host:port` the broker itself listens on, whatever it advertises."""
        return f"{HOST}:{self.ports.client}"


def lock_path(data_dir: Path) -> Path:
    """The lock that a running broker holds."""
    return data_dir / "broker.lock"


def log_path(data_dir: Path) -> Path:
    """The broker's output."""
    return data_dir / "broker.log"


def is_running(data_dir: Path) -> bool:
    """Whether a broker process holds the data directory."""
    return is_held(lock_path(data_dir))


def write_note(data_dir: Path, note: BrokerNote) -> None:
    """Replace the note as a whole."""
    path = data_dir / "broker.json"
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(note)) + "\n", encoding="utf-8")
    partial.replace(path)


def read_note(data_dir: Path) -> BrokerNote | None:
    """The note, or None if there is none or it cannot be read."""
    try:
        content = json.loads((data_dir / "broker.json").read_text(encoding="utf-8"))
        return BrokerNote(int(content["pid"]), str(content["advertised"]), Ports(**content["ports"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def log_tail(data_dir: Path, *, lines: int = 20) -> list[str]:
    """The last lines of the broker's output; reads at most 64 KiB."""
    try:
        with log_path(data_dir).open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 65_536))
            return file.read().decode("utf-8", "replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []


def says_started(data_dir: Path, *, since: int) -> bool:
    """Whether the broker's output, from that byte on, has Kafka's own word that it takes work."""
    try:
        with log_path(data_dir).open("rb") as file:
            file.seek(since)
            return b"Kafka Server started" in file.read()
    except FileNotFoundError:
        return False
