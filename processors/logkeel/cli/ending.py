"""The end of the process: threads of user code that nobody waits for do not keep it alive."""

import os
import sys
import threading
import time
from contextlib import suppress

from logkeel.cli.output import say

LINGER_S = 3.0
"""What Python's own end may take: threads it joins, exit handlers. Steps unfinished were given back by record (P32)."""


def end_within(exit_code: int, linger_s: float = LINGER_S) -> None:
    """Let this process end in `linger_s` at the latest. Call it last, when everything of ours is closed.

    Python waits for the threads of every `ThreadPoolExecutor`, e.g. for that of an `asyncio.to_thread` in a step that
    was cut. Normally there are none, and the process ends by itself long before.
    """
    threading.Thread(target=_end, args=(exit_code, linger_s), name="logkeel-end", daemon=True).start()


def _end(exit_code: int, linger_s: float) -> None:
    time.sleep(linger_s)
    left = [each.name for each in threading.enumerate() if each is not threading.current_thread() and each.is_alive()]
    say(f"leaving although these threads still run: {', '.join(left)}")
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(exit_code)
