"""A step that computes without a pause, in a process of its own."""

import os
import time
from pathlib import Path

from logkeel.workflow import State, Workflow


class Heavy(State):
    """For how long, and where its process is noted."""

    seconds: float
    note: str
    rounds: int | None = None


heavy = Workflow("heavy", state=Heavy, returns="rounds")


@heavy.step(writes=lambda s: s.rounds, cpu=True, timeout="120s")
def grind(seconds: float, note: str) -> int:
    """Holds its Python's lock all the time."""
    Path(note).write_text(str(os.getpid()))
    end_s, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < end_s:
        rounds += 1
    return rounds


heavy.flow(grind)
