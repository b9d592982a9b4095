"""Clocks that only move when they are told to."""


class SimulatedClock:
    """Implements `logkeel.log.Clock`. `sleep` advances it, so nothing ever waits."""

    def __init__(self, start_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = float(start_ms)
        self.elapsed_ms = 0.0
        """The monotonic time, in ms. Move it by the methods below."""

    def now_ms(self) -> int:
        return int(self._now_ms)

    def monotonic_s(self) -> float:
        return self.elapsed_ms / 1_000

    def sleep(self, seconds: float) -> None:
        self.advance(seconds * 1000)

    def advance(self, milliseconds: float) -> None:
        """Move both clocks forward."""
        self._now_ms += milliseconds
        self.elapsed_ms += milliseconds

    def advance_to(self, elapsed_ms: float) -> None:
        """Move both clocks forward until `elapsed_ms` is just that; not at all if it is over.

        Adding what is missing may end a rounding short of it, where what is due then is not due yet.
        """
        missing_ms = elapsed_ms - self.elapsed_ms
        if missing_ms > 0:
            self._now_ms += missing_ms
            self.elapsed_ms = elapsed_ms

    def jump(self, milliseconds: float) -> None:
        """Move the wall clock alone, forward or backward, as NTP and operators do."""
        self._now_ms += milliseconds


class ProcessClock:
    """Implements `logkeel.log.Clock`: one machine's clock beside the cluster's. Its wall clock may be off."""

    def __init__(self, cluster_clock: SimulatedClock) -> None:
        self._cluster_clock = cluster_clock
        self.offset_ms = 0.0
        """How far this machine's wall clock is ahead of the cluster's; `jump` sets it."""

    def now_ms(self) -> int:
        return int(self._cluster_clock.now_ms() + self.offset_ms)

    def monotonic_s(self) -> float:
        return self._cluster_clock.elapsed_ms / 1_000

    def sleep(self, seconds: float) -> None:
        self._cluster_clock.sleep(seconds)

    def jump(self, milliseconds: float) -> None:
        """Move this machine's wall clock alone."""
        self.offset_ms += milliseconds
