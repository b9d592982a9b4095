"""Ends a process kindly: SIGTERM and SIGINT set an event once; a second SIGINT ends at once."""

import signal
from types import FrameType

from logkeel.cli.watchdog import Beats


def stop_on_signals() -> Beats:
    """An event that is set by the first SIGTERM or SIGINT."""
    stop = Beats()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return stop
