"""Many seeds on several processes."""

import gc
import logging
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from tests.sim.case import Verdict, play
from tests.sim.plan import plan_of

CHUNK = 20
SELDOM = (100_000, 20, 100)
"""A world makes many values and few cycles: the collector looks less often than Python's default."""


def verdicts(
    start: int, count: int, processes: int, *, size: int = CHUNK, every_turn: bool = False
) -> Iterator[Verdict]:
    """Of all seeds, a few chunks ahead, so that whoever stops listening ends the rest soon."""
    starts = iter(range(start, start + count, size))
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        running: set[Future[list[Verdict]]] = set()
        try:
            while True:
                for first in starts:
                    running.add(pool.submit(chunk, first, min(size, start + count - first), every_turn))
                    if len(running) >= 2 * processes:
                        break
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for each in done:
                    yield from each.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def chunk(first: int, count: int, every_turn: bool) -> list[Verdict]:
    """Verdicts of some seeds, in a process of its own."""
    silence(for_good=True)
    gc.set_threshold(*SELDOM)
    with TemporaryDirectory(prefix="logkeel-sim-") as directory:
        seeds = range(first, first + count)
        return [play(plan_of(seed), Path(directory), every_turn=every_turn) for seed in seeds]


def silence(*, for_good: bool = False) -> None:
    """What workers and engines log by themselves is in the trace, where it matters. `for_good`: in this process."""
    silent = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=silent, cache_logger_on_first_use=for_good)
