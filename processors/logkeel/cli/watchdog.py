"""Ends a process whose polling thread is stuck: a call of the client that never returns keeps partitions for ever.

The client's own threads go on with heartbeats, so the group does not notice, and nobody else gets the partitions. A
process that ends is started again by whatever runs it, and loses nothing: that is what the log is for.
"""

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable

from logkeel.cli.output import say
from logkeel.errors import ClientStuck

WORKER_LIMIT_S = 60.0
"""A turn of a worker waits for a second at most; what a call waits for is bounded by less than this."""

ENGINE_LIMIT_S = 150.0
"""A turn of an engine may open a large store after an unclean stop."""

LOOK_S = 1.0
FROZEN_S = 5.0
"""If a look comes so late, the whole process stood still (SIGSTOP, a suspended machine): nothing is stuck."""


class Beats(threading.Event):
    """A stop event that knows when its loop asked for it last; None: it has not begun."""

    beat_s: float | None = None

    def is_set(self) -> bool:
        """As `Event.is_set`; also a sign of life."""
        self.beat_s = time.monotonic()
        return super().is_set()

    @property
    def stopping(self) -> bool:
        """Whether it is set, for those who look on: no sign of life."""
        return super().is_set()


def watch(beats: Beats, limit_s: float, *, end: Callable[[], None] | None = None) -> None:
    """From now on, end the process if its loop has begun and does not turn for `limit_s`. Returns at once."""
    threading.Thread(
        target=_watch, args=(beats, limit_s, end or _end(limit_s)), name="logkeel-watchdog", daemon=True
    ).start()


def _watch(beats: Beats, limit_s: float, end: Callable[[], None]) -> None:
    while True:
        began_s = time.monotonic()
        time.sleep(min(LOOK_S, limit_s / 4))
        now_s = time.monotonic()
        if beats.beat_s is None:
            continue
        if now_s - began_s > FROZEN_S:
            beats.beat_s = now_s
        elif now_s - beats.beat_s > limit_s:
            end()
            return


def _end(limit_s: float) -> Callable[[], None]:
    def end() -> None:
        faulthandler.dump_traceback(sys.stderr)
        error = ClientStuck(
            f"the polling thread has not moved for {limit_s:g} s (its stack is above): the process ends, so that it is"
            " started again and others take over. Should it come again and again, report the stack"
        )
        say(f"{error.code}: {error.message}")
        sys.stderr.flush()
        os._exit(error.exit_code)

    return end
