"""The machine's clock: the one place of this room that asks for the time of day."""

import time


class SystemClock:
    """Implements `logkeel.log.Clock`."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
