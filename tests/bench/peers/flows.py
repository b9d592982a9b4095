"""W3, W4, W5 and W7 on one system: fan-out, timers, approvals, and an agent in both of its forms."""

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.peers.systems import Kind, System
from tests.bench.peers.workloads import Workloads

WARM_UP_S = 4.0
FORMS = ("code", "loop")
CANNOT = {
    ("LangGraph", "W4"): "has no timers",
    ("DBOS", "W7 loop"): "has no graphs",
    ("Restate", "W7 loop"): "has no graphs",
    ("Temporal", "W7 loop"): "has no graphs",
}
"""By the beginning of a system's name: what it does not have, so that the workload is not asked of it."""


def can(kind: Kind) -> bool:
    """A stream has no runs that fan out, wait or grow."""
    return not kind.name.startswith("Faust")


def measure(kind: Kind, directory: Path, file: Workloads, *, scale: float = 1.0) -> list[dict[str, Any]]:
    """Rows of figures. A workload that the system cannot carry, or does not have, gives a row that says why.

    `scale`: of durations and of the number of runs, never of a run: 0.1 is a tenth.
    """
    with System(kind, directory, history=True) as system:
        warm = {"do": "closed", "workload": "W1", "steps": 3, "payload_bytes": 16, "in_flight": 16, "warm_up_s": 0.0}
        system.ask({**warm, "seconds": WARM_UP_S * scale})
        rows = list(_rows(system, file, scale))
    return [{"system": kind.name, **row} for row in rows]


def _rows(system: System, file: Workloads, scale: float) -> Iterator[dict[str, Any]]:
    """The timers last: they are many, and what they leave is not in the others' way."""
    name = system.kind.name
    parts = {"W3": _fan_out, "W5": _approvals, **{f"W7 {form}": _agent for form in FORMS}, "W4": _timers}
    for workload, part in parts.items():
        lacks = next((why for (who, what), why in CANNOT.items() if name.startswith(who) and what == workload), None)
        if lacks is not None:
            yield {"workload": workload, "cannot": lacks}
            continue
        try:
            yield from part(system, file, scale, workload)
        except RuntimeError as error:
            yield {"workload": workload, "failed": str(error)[-300:]}
            return


def _fan_out(system: System, file: Workloads, scale: float, name: str) -> Iterator[dict[str, Any]]:
    workload = file.fan_out
    for in_flight in workload.in_flight:
        command = {"shape": "fan-out", "width": workload.width, "payload_bytes": workload.payload_bytes}
        load = {"in_flight": in_flight, "seconds": workload.seconds * scale, "warm_up_s": 1.0 * scale}
        answer = system.ask({"do": "closed", "workload": name, **command, **load})
        steps_per_s = (workload.width + 2) * answer["runs"] / answer["seconds"]
        yield {"workload": name, "in_flight": in_flight, "steps_per_s": steps_per_s, **_p(answer["times_ms"])}


def _approvals(system: System, file: Workloads, scale: float, name: str) -> Iterator[dict[str, Any]]:
    workload = file.approvals
    for in_flight in workload.in_flight:
        runs = max(in_flight, int(workload.runs * scale))
        command = {"do": "approvals", "workload": name, "payload_bytes": workload.payload_bytes}
        answer = system.ask({**command, "runs": runs, "in_flight": in_flight})
        asked = {f"asked_{key}": value for key, value in _p(answer["asked_ms"]).items()}
        yield {"workload": name, "in_flight": in_flight, "runs": runs, **asked, **_p(answer["gone_on_ms"])}


def _agent(system: System, file: Workloads, scale: float, name: str) -> Iterator[dict[str, Any]]:
    """`log_bytes`: what a turn adds to the log. A flat system adds as much in a long run as in a short one."""
    workload, form = file.agent, name.removeprefix("W7 ")
    for turns in workload.turns:
        # As many turns in short runs as in long ones, so that both write enough to be seen.
        runs = max(1, int(workload.runs * scale * max(workload.turns) / turns))
        command = {"do": "several", "workload": name, "shape": f"agent-{form}", "in_flight": 1}
        before, log = system.cost(), system.log_bytes()
        answer = system.ask({**command, "payload_bytes": workload.payload_bytes, "turns": turns, "runs": runs})
        cost, added = system.cost() - before, system.log_bytes() - log
        row = {"workload": name, "turns": turns, "runs": runs, "turn_ms": 1_000 * answer["seconds"] / runs / turns}
        yield {**row, "log_bytes": added / runs / turns, "cpu_ms": 1_000 * cost.cpu_s / runs / turns}


def _timers(system: System, file: Workloads, scale: float, name: str) -> Iterator[dict[str, Any]]:
    workload = file.timers
    runs = int(workload.runs * scale)
    command = {"do": "timers", "workload": name, "shape": "sleeper", "payload_bytes": workload.payload_bytes}
    yield {"workload": name, "wanted": runs, **system.ask({**command, "runs": runs})}


def _p(times_ms: list[float]) -> dict[str, float]:
    ordered = sorted(times_ms)
    return {"p50_ms": statistics.median(ordered), "p99_ms": ordered[int(0.99 * len(ordered))]}
