"""What happened, one line per event.

| column | meaning |
|---|---|
| number | counts events from 1 |
| ms | milliseconds of the simulated time since the world began |
| process | `engine-SLOT`, `worker-SLOT`, `world` for faults and the broker, or an outsider's name |
| event | an effect about to happen (`commit`, `send_offsets`, `write` …), or a name in capitals for everything else |
| detail | what belongs to it |
"""

from typing import NamedTuple


class TraceEvent(NamedTuple):
    """One line."""

    number: int
    ms: float
    process: str
    event: str
    detail: str

    def __str__(self) -> str:
        return f"{self.number:6} {self.ms:10.1f} {self.process:12} {self.event:18} {self.detail}".rstrip()


HEADER = f"{'number':>6} {'ms':>10} {'process':12} {'event':18} detail"


class Trace:
    """Keeps every event in order."""

    def __init__(self) -> None:
        self.events: list[TraceEvent] = []

    def note(self, ms: float, process: str, event: str, detail: str = "") -> None:
        """Append one."""
        self.events.append(TraceEvent(len(self.events) + 1, ms, process, event, detail))

    def lines(self) -> list[str]:
        """Header and events, ready to print."""
        return [HEADER, *map(str, self.events)]
