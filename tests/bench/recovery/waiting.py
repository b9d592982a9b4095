"""W9: what runs that wait cost the engine's process: its own memory and processor time."""

import os
import time
from pathlib import Path

from tests.bench.application import cpu_s
from tests.bench.recovery.fleet import Fleet

from logkeel.log import TopicPartition

IDLE_S = 30.0
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MIB = 1024**2


def measure(bootstrap: str, directory: Path, runs: int) -> dict[str, float]:
    """Start runs whose step waits for a month; when all wait, look at the engine, and once more after a restart."""
    fleet = Fleet(bootstrap, directory / "waiting", rate=0.001)
    engine, worker = fleet.engine(0), fleet.worker(0)
    engine.start()
    worker.start()
    began_s = time.perf_counter()
    fleet.start_waiting(runs)
    places = [TopicPartition(fleet.names.step_results, number) for number in range(fleet.partitions)]

    def all_wait() -> bool:
        return sum(fleet.admin.end_offsets(places, committed_only=False).values()) >= runs and fleet.lag() == 0

    fleet.until(all_wait, "not all wait")
    took_s = time.perf_counter() - began_s
    worker.stop()
    found = {"waiting_runs": float(runs), "waiting_runs_per_s": runs / took_s, **_cost(fleet, engine.pid, "waiting")}
    engine.stop()
    engine.start()
    fleet.until(lambda: len(fleet.owned(fleet.names.engine_group, 0)) == fleet.partitions, "it does not come back")
    fleet.run_for(5.0)
    found |= _cost(fleet, engine.pid, "waiting_restarted")
    engine.stop()
    return found


def _cost(fleet: Fleet, pid: int, name: str) -> dict[str, float]:
    fleet.run_for(5.0)
    before_s, began_s = cpu_s(pid), time.perf_counter()
    fleet.run_for(IDLE_S)
    used_s = cpu_s(pid) - before_s
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    return {
        f"{name}_rss_mb": resident / MIB,
        f"{name}_core_percent": 100 * used_s / (time.perf_counter() - began_s),
    }
