"""W8 and W9: runs brought to a durable wait; then a cold restart, or the cost of waiting.

Systems take very different times to get there, so the number of runs is cut to what fits into `BUDGET_S`, by the pace
of the first runs; the table says how many it were.
"""

import time
from pathlib import Path
from typing import Any

from tests.bench.peers.measuring import FIRST_WARM_UP_S, warm_up
from tests.bench.peers.systems import Kind, System
from tests.bench.peers.workloads import Waiting

BUDGET_S = 60.0
SAMPLE = 64
LIMIT_BYTES = 250_000
"""logkeel's inline payload; larger values are given to more runs."""


def can(kind: Kind) -> bool:
    """A stream has no waiting runs; `exit` and `sync` wait alike."""
    return not kind.name.startswith("Faust") and not kind.name.endswith(("exit", "fsync"))


def measure(kind: Kind, directory: Path, workload: Waiting, *, scale: float = 1.0) -> list[dict[str, Any]]:
    """One row."""
    runs, payload_bytes = workload.runs, workload.payload_bytes
    if kind.name.startswith("logkeel") and payload_bytes > LIMIT_BYTES:
        runs, payload_bytes = runs * payload_bytes // LIMIT_BYTES, LIMIT_BYTES
    row: dict[str, Any] = {"system": kind.name, "workload": workload.name, "payload_bytes": payload_bytes}
    with System(kind, directory, history=True) as system:
        command = {"do": "wait", "workload": "wait", "payload_bytes": payload_bytes, "in_flight": 16}
        # The sample is what the pace is taken from.
        warm_up(system, in_flight=64, seconds=FIRST_WARM_UP_S)
        took = system.ask({**command, "runs": SAMPLE})["seconds"]
        affordable = int(SAMPLE * BUDGET_S * scale / took)
        rest = min(runs, max(affordable, SAMPLE)) - SAMPLE
        system.ask({**command, "runs": rest})
        row["runs"] = rest + SAMPLE
        if row["runs"] < runs:
            row["note"] = f"of {runs}: {SAMPLE / took:.0f} runs/s"
        if workload.idle_seconds:
            row |= _idle(system, workload.idle_seconds * scale)
        else:
            row["restart_s"] = _restart(system)
    return [row]


def _idle(system: System, seconds: float) -> dict[str, float]:
    time.sleep(5.0)
    before = system.cost()
    time.sleep(seconds)
    cpu_s = (system.cost() - before).cpu_s
    return {"memory_bytes": system.memory(), "idle_cpu_percent": 100 * cpu_s / seconds}


def _restart(system: System) -> float:
    """kill -9 of everything; seconds from the first new process to the end of a new run of three steps."""
    system.kill_all()
    began = time.perf_counter()
    system.start()
    system.ask({"do": "answer", "workload": "W1", "steps": 3, "payload_bytes": 16})
    return time.perf_counter() - began
