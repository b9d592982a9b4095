"""One pass over one system: every chain of the workload file, closed and open loop."""

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bench.peers.processes import directory_bytes
from tests.bench.peers.systems import Kind, System
from tests.bench.peers.workloads import Chain

WARM_UP_S = 2.0
FIRST_WARM_UP_S = 30.0
"""Whatever `--scale` says: a server that is not compiled yet is four times as slow at low rates. Half of what a Kafka

broker does in its first 20 s under load is compiling.
"""

SUSTAINED = 0.75
"""Below this part of an open-loop rate a system has fallen behind, and higher rates are not tried."""


def measure(kind: Kind, directory: Path, chains: Mapping[str, Chain], *, scale: float = 1.0) -> list[dict[str, Any]]:
    """Rows of figures. A chain that a system cannot carry gives a row that says why."""
    rows = []
    with System(kind, directory) as system:
        warm_up(system, in_flight=64, seconds=FIRST_WARM_UP_S)
        for chain in chains.values():
            try:
                rows += _chain(system, chain, scale)
            except RuntimeError as error:
                rows.append({"workload": chain.name, "failed": str(error)[:500]})
                break
    return [{"system": kind.name, **row} for row in rows]


def warm_up(system: System, *, in_flight: int, seconds: float) -> None:
    """Short chains, so that compilers and caches have done their work before anything counts."""
    system.ask(_command("closed", Chain("W1", "", 3, 16), in_flight=in_flight, seconds=seconds, warm_up_s=0.0))


def _chain(system: System, chain: Chain, scale: float) -> list[dict[str, Any]]:
    rows = []
    for rate in chain.open_loop_runs_per_s:
        seconds = chain.open_loop_seconds * scale
        answer = system.ask(_command("open", chain, runs_per_s=rate, seconds=seconds))
        # A system that falls behind ends later than the load: its times say how far, the rate says that it could not.
        achieved = answer["runs"] / answer["seconds"]
        rows.append({"workload": chain.name, "rate": rate, "achieved": achieved, **_quantiles(answer["times_ms"])})
        if achieved < SUSTAINED * rate:
            break
    for in_flight in chain.in_flight:
        before, disk = system.cost(), directory_bytes(system.directory)
        seconds = chain.seconds * scale
        command = _command("closed", chain, in_flight=in_flight, seconds=seconds, warm_up_s=WARM_UP_S * scale)
        answer = system.ask(command)
        cost, grown = system.cost() - before, directory_bytes(system.directory) - disk
        steps = chain.steps * answer["runs"]
        all_steps = chain.steps * answer["all_runs"]
        row: dict[str, Any] = {"workload": chain.name, "in_flight": in_flight, "steps_per_s": steps / answer["seconds"]}
        if all_steps:
            row["cpu_s_per_1000"] = 1_000 * cost.cpu_s / all_steps
            row["written_bytes_per_1000"] = 1_000 * cost.written_bytes / all_steps
            row["grown_bytes_per_1000"] = 1_000 * grown / all_steps
        rows.append(row | _quantiles(answer["times_ms"]))
    return rows


def _command(do: str, chain: Chain, **more: Any) -> dict[str, Any]:
    return {
        "do": do,
        "workload": chain.name,
        "steps": chain.steps,
        "payload_bytes": chain.payload_bytes,
        **more,
    }


def _quantiles(times_ms: list[float]) -> dict[str, float]:
    if not times_ms:
        return {}
    ordered = sorted(times_ms)
    return {"p50_ms": statistics.median(ordered), "p99_ms": ordered[int(0.99 * (len(ordered) - 1))]}
