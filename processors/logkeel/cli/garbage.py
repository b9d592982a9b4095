"""Memory of a process that makes many small objects and hardly any cycles: when to collect, and what to give back."""

import gc
import threading
import time
from collections.abc import Callable

YOUNG_OBJECTS = 50_000
"""New containers until the young generation is looked through; Python's own default is 700 to 2 000."""

GIVE_BACK_S = 30.0
"""How often free memory is returned. A call takes some 10 ms for 400 MB, on a thread of its own."""


def collect_rarely() -> None:
    """From now on. Called before the imports, of which hardly anything is garbage: a start is some 5 % faster."""
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)


def settle() -> None:
    """What a process does before its loop: leave what is loaded by now out of every collection, give memory back.

    Nothing is collected first: some 50 ms of a start, for the few cycles that imports leave. Call once.
    """
    import ctypes

    gc.freeze()
    collect_rarely()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        threading.Thread(target=_give_back, args=(trim,), name="logkeel-memory", daemon=True).start()


def _give_back(trim: Callable[[int], object]) -> None:
    """What a burst took (messages of the client, rows being written) stays with glibc's arenas, in pieces."""
    while True:
        time.sleep(GIVE_BACK_S)
        trim(0)
