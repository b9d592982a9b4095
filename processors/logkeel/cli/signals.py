"""Ends a process kindly: SIGTERM and SIGINT set an event once; a second SIGINT ends at once. SIGUSR1: where is it?"""

import contextlib
import faulthandler
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
    _tell_stacks_on_signal()
    return stop


def _tell_stacks_on_signal() -> None:
    """SIGUSR1 writes the stacks of all threads to standard error, even while a thread keeps the others from running."""
    with contextlib.suppress(AttributeError, OSError, ValueError):  # no such signal here, or standard error is no file
        faulthandler.register(signal.SIGUSR1, all_threads=True)
