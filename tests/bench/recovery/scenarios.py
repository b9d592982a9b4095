"""What is measured, each with the load running. Figures are seconds unless they say otherwise; nothing is asserted."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.recovery.fleet import Fleet

from logkeel.log import TopicPartition


class Stability:
    """Samples how long the last stable offset of the changelog stands below its end without moving."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._stop = threading.Event()
        self.longest_s = 0.0

    def run(self) -> None:
        """Sample until stopped."""
        admin = self._fleet.client.admin()
        places = [TopicPartition(self._fleet.names.run_state, number) for number in range(self._fleet.partitions)]
        since: dict[TopicPartition, tuple[int, float]] = {}
        while not self._stop.wait(0.05):
            stable = admin.end_offsets(places, committed_only=True)
            ends = admin.end_offsets(places, committed_only=False)
            now_s = time.perf_counter()
            for place in places:
                offset, began_s = since.get(place, (-1, now_s))
                if stable[place] >= ends[place] or stable[place] != offset:
                    began_s = now_s
                since[place] = (stable[place], began_s)
                self.longest_s = max(self.longest_s, now_s - began_s)
        admin.close()

    @contextmanager
    def watching(self) -> Iterator["Stability"]:
        """Sample beside the block."""
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()


def takeover_of_an_engine(fleet: Fleet) -> dict[str, float]:
    """kill -9 of one of two engines: until the other completes runs of its partitions; how long the log was pinned."""
    first, second = fleet.engine(0), fleet.engine(1)
    with _running(fleet, first, second, fleet.worker(0)):
        lost = fleet.share_of(fleet.names.engine_group, 1)
        with Stability(fleet).watching() as stability:
            began_s = time.perf_counter()
            second.kill()
            gap_s = fleet.gap_after(began_s, lost)
            fleet.run_for(1.0)
        return {"engine_takeover_s": gap_s, "log_pinned_s": stability.longest_s}


def takeover_of_a_worker(fleet: Fleet) -> dict[str, float]:
    """kill -9 of one of two workers: until the other one has the steps of its partitions move again."""
    first, second = fleet.worker(0), fleet.worker(1)
    with _running(fleet, fleet.engine(0), first, second):
        lost = fleet.share_of(fleet.names.worker_group("default"), 1)
        began_s = time.perf_counter()
        second.kill()
        return {"worker_takeover_s": fleet.gap_after(began_s, lost)}


def restart_of_a_member(fleet: Fleet) -> dict[str, float]:
    """kill -9 of an engine, and of a worker, each started again at once: from the start of the process.

    Of the engine also until its first commit in every partition.
    """
    engine, worker = fleet.engine(0), fleet.worker(0)
    with _running(fleet, engine, worker):
        found = {}
        for name, victim in (("engine_restart_s", engine), ("worker_restart_s", worker)):
            victim.kill()
            began_s = time.perf_counter()
            victim.start()
            found[name] = fleet.gap_after(began_s, list(range(fleet.partitions)))
            if victim is engine:
                found["engine_first_commit_s"] = fleet.first_commit_s
            fleet.settle()
        return found


def scale_in(fleet: Fleet) -> dict[str, float]:
    """SIGTERM to one of two engines, and to one of two workers: until the other one has its partitions move."""
    engines, workers = (fleet.engine(0), fleet.engine(1)), (fleet.worker(0), fleet.worker(1))
    found = {}
    with _running(fleet, *engines, *workers):
        for name, group, victim in (
            ("engine_scale_in_s", fleet.names.engine_group, engines[1]),
            ("worker_scale_in_s", fleet.names.worker_group("default"), workers[1]),
        ):
            lost = fleet.share_of(group, 1)
            began_s = time.perf_counter()
            assert victim.handle is not None
            victim.handle.terminate()
            found[name] = fleet.gap_after(began_s, lost)
            victim.stop()
            fleet.settle()
    return found


def scale_out(fleet: Fleet) -> dict[str, float]:
    """A second engine, then a second worker: how long partitions that move stand still."""
    engine, worker = fleet.engine(1), fleet.worker(1)
    found = {}
    with _running(fleet, fleet.engine(0), fleet.worker(0)):
        for name, group, victim in (
            ("engine_scale_out_s", fleet.names.engine_group, engine),
            ("worker_scale_out_s", fleet.names.worker_group("default"), worker),
        ):
            found[name] = _worst_pause(fleet, group, victim.start)
            fleet.settle()
    return found


def _worst_pause(fleet: Fleet, group: str, start: object) -> float:
    """The longest time without a completion of any partition while a member joins."""
    assert callable(start)
    start()
    last, worst_s = dict(fleet.last), 0.0
    until_s = time.perf_counter() + 6.0
    while time.perf_counter() < until_s:
        fleet.poll()
        for partition, at_s in fleet.last.items():
            worst_s = max(worst_s, at_s - last[partition])
            last[partition] = at_s
    assert fleet.owned(group, 1), "the new member owns nothing"
    return worst_s


class BigState:
    """An application whose partition 0 has `size_bytes` of rows in its changelog."""

    def __init__(self, fleet: Fleet, *, size_bytes: int, row_bytes: int) -> None:
        self._fleet = fleet
        self.rows = fleet.fill(0, size_bytes, row_bytes)

    def restore(self) -> dict[str, float]:
        """Partition 0 without its store, the others with theirs: rows per second, and when the others go on."""
        fleet = self._fleet
        shutil.rmtree(fleet.tables(0) / "runs" / "00000", ignore_errors=True)
        engine, worker = fleet.engine(0), fleet.worker(0)
        worker.start()
        fleet.run_for(2.0)
        began_s = time.perf_counter()
        engine.start()
        try:
            others_s = fleet.gap_after(began_s, list(range(1, fleet.partitions)))
            whole_s = fleet.gap_after(began_s, [0])
            fleet.settle()
        finally:
            engine.stop()
            worker.stop()
        return {"restore_rows_per_s": self.rows / (whole_s - others_s), "restore_s": whole_s, "neighbours_s": others_s}

    def restart(self) -> dict[str, float]:
        """All stores intact; the engine was killed with -9: from the start of the process to a run's completion."""
        fleet = self._fleet
        engine, worker = fleet.engine(0), fleet.worker(0)
        with _running(fleet, engine, worker):
            engine.kill()
            began_s = time.perf_counter()
            engine.start()
            whole_s = fleet.gap_after(began_s, list(range(fleet.partitions)))
            return {"big_restart_s": whole_s, "big_first_commit_s": fleet.first_commit_s}


@contextmanager
def _running(fleet: Fleet, *victims: object) -> Iterator[None]:
    from tests.chaos.processes import Victim

    alive = [each for each in victims if isinstance(each, Victim)]
    for each in alive:
        each.start()
    try:
        fleet.run_for(3.0)
        fleet.settle()
        yield
        fleet.settle()
    finally:
        # All of them, who joined meanwhile too: who stays has the slot that the next scenario wants.
        fleet.stop()
