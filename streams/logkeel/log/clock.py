"""The clock port. Decisions take time as an argument; only shells hold a clock."""

from typing import Protocol


class Clock(Protocol):
    """Source of time for a shell."""

    def now_ms(self) -> int:
        """Wall-clock time in milliseconds since the epoch. May jump, also backwards (P24)."""
        ...

    def monotonic_s(self) -> float:
        """Monotonic seconds, for durations and deadlines only."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block the calling thread for `seconds`."""
        ...
