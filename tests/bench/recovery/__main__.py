"""`make bench-recovery`: python -m tests.bench.recovery [--quick] [--only NAME …] [--json FILE].

Broker, engines, workers and client share this machine; the load runs all the time. Reports; asserts no time.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.bench.recovery import scenarios, waiting
from tests.bench.recovery.fleet import Fleet

from logkeel.broker import EmbeddedBroker
from logkeel.broker.java import FULL_COMPILER

GIB = 1024**3
ROW_BYTES = 400
FLOORS = {
    "engine_takeover_s": "<= session time-out + 2",
    "log_pinned_s": "<= session time-out + 2",
    "worker_takeover_s": "<= session time-out + 2",
    "engine_restart_s": "<= 1",
    "engine_first_commit_s": "<= 1",
    "worker_restart_s": "<= 1",
    "engine_scale_in_s": "<= 2",
    "worker_scale_in_s": "<= 2",
    "big_restart_s": "<= 2",
    "big_first_commit_s": "<= 2",
    "restore_rows_per_s": ">= 100000",
    "waiting_rss_mb": "<= 300",
    "waiting_core_percent": "<= 1",
}
MOVES: Mapping[str, Callable[[Fleet], dict[str, float]]] = {
    "takeover": scenarios.takeover_of_an_engine,
    "worker": scenarios.takeover_of_a_worker,
    "restart": scenarios.restart_of_a_member,
    "scale-in": scenarios.scale_in,
    "scale-out": scenarios.scale_out,
}


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="make bench-recovery", description="measure recovery on a real broker")
    parser.add_argument("--quick", action="store_true", help="one repeat, a tenth of the state")
    parser.add_argument("--only", nargs="+", choices=[*MOVES, "big", "waiting"], help="these scenarios")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path("bench-recovery.json"))
    options = parser.parse_args()
    wanted = options.only or [*MOVES, "big", "waiting"]
    repeats, scale = (1, 10) if options.quick else (options.repeats, 1)
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="logkeel-recovery-") as scratch:
        directory = Path(scratch)
        with EmbeddedBroker(directory / "kafka", java_options=[FULL_COMPILER]) as broker:
            _moves(broker, directory, [name for name in wanted if name in MOVES], repeats=repeats, found=found)
            if "big" in wanted:
                _big(broker, directory, GIB // scale, repeats=min(3, repeats), found=found)
            if "waiting" in wanted:
                for name, value in waiting.measure(broker.bootstrap_servers, directory, 100_000 // scale).items():
                    found.setdefault(name, []).append(value)
    report = {"machine": _machine(), "floors": FLOORS, "figures": found}
    options.json.write_text(json.dumps(report, indent=2) + "\n")
    print(table(report))
    print(f"\nall figures: {options.json}")


def _moves(
    broker: EmbeddedBroker, directory: Path, names: list[str], *, repeats: int, found: dict[str, list[float]]
) -> None:
    """Interleaved: all of them once, then again."""
    fleet = Fleet(broker.bootstrap_servers, directory / "moves")
    for number in range(repeats):
        for name in names:
            _say(f"{name}, {number + 1} of {repeats} …")
            for figure, value in MOVES[name](fleet).items():
                found.setdefault(figure, []).append(value)
    fleet.stop()


def _big(
    broker: EmbeddedBroker, directory: Path, size_bytes: int, *, repeats: int, found: dict[str, list[float]]
) -> None:
    fleet = Fleet(broker.bootstrap_servers, directory / "big", rate=20.0)
    _say(f"filling {size_bytes / GIB:.1f} GiB …")
    state = scenarios.BigState(fleet, size_bytes=size_bytes, row_bytes=ROW_BYTES)
    for number in range(repeats):
        for measure in (state.restore, state.restart):
            _say(f"{measure.__name__}, {number + 1} of {repeats} …")
            for figure, value in measure().items():
                found.setdefault(figure, []).append(value)
    fleet.stop()


def table(report: Mapping[str, Any]) -> str:
    """For people."""
    lines = [f"{report['machine']}; broker, engines, workers and client share it, the load runs", ""]
    lines.append(f"{'':24} {'min':>10} {'median':>10} {'max':>10}   floor")
    for name, values in report["figures"].items():
        low, middle, high = (f"{each:,.2f}" for each in (min(values), statistics.median(values), max(values)))
        lines.append(f"{name:24} {low:>10} {middle:>10} {high:>10}   {report['floors'].get(name, '')}")
    return "\n".join(lines)


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
