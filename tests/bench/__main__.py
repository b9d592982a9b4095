"""`make bench`: python -m tests.bench [--quick] [--partitions N …] [--json FILE]. Reports; asserts nothing about time.

Broker, engine, worker and client share this machine. A table on stdout, everything as JSON in a file.
"""

import argparse
import json
import logging
import os
import platform
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bench import scenarios
from tests.bench.application import Application

from logkeel.broker import EmbeddedBroker
from logkeel.broker.java import FULL_COMPILER

FLOORS = {"p50_ms": "<= 25", "steps_per_s@1024": ">= 3000", "restart_s": "<= 1", "added_bytes": "<= 2048"}


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="make bench", description="measure on a real broker")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--partitions", type=int, nargs="+", default=[1, 4], help="one application for each count")
    parser.add_argument("--json", type=Path, default=Path("bench.json"))
    options = parser.parse_args()
    logging.getLogger("logkeel.kafka").setLevel(logging.CRITICAL)
    measured: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="logkeel-bench-") as scratch:
        directory = Path(scratch)
        with EmbeddedBroker(directory / "kafka", java_options=[FULL_COMPILER]) as broker:
            for partitions in options.partitions:
                application = Application(broker.bootstrap_servers, directory / str(partitions), partitions)
                application.start()
                try:
                    measured.append({"partitions": partitions, **_measure(application, quick=options.quick)})
                finally:
                    application.stop()
    report = {"machine": _machine(), "floors": FLOORS, "applications": measured}
    options.json.write_text(json.dumps(report, indent=2) + "\n")
    print(table(report))
    print(f"\nall figures: {options.json}")


def _measure(application: Application, *, quick: bool) -> dict[str, Any]:
    scale = 10 if quick else 1
    _say(f"{application.partitions} partitions: warming the broker up …")
    scenarios.in_flight(application, 256, 40 / scale)
    # The widest first: it warms the broker up, as it is on any day but the first.
    loads = []
    for width in (1_024, 256, 32):
        _say(f"{width} runs in flight …")
        speed = scenarios.reference(application)
        loads.append({**scenarios.in_flight(application, width, 20 / scale), **speed})
    _say("a 3-step run alone …")
    alone = {**scenarios.reference(application), **scenarios.alone(application, 400 // scale)}
    _say("changelog …")
    changelog = scenarios.changelog(application, 500 // scale)
    beside = scenarios.beside_a_megabyte(application)
    _say("kill -9 and restart …")
    restart = scenarios.restart(application, 10 if not quick else 2, 64)
    return {"alone": alone, "load": loads, "changelog": changelog, "beside_a_megabyte": beside, "restart": restart}


def table(report: Mapping[str, Any]) -> str:
    """For people."""
    lines = [f"{report['machine']}; broker, engine, worker and client share it"]
    for measured in report["applications"]:
        lines += ["", f"{measured['partitions']} partitions", *_rows(measured)]
    return "\n".join(lines)


def _rows(measured: Mapping[str, Any]) -> list[str]:
    alone, restart, changelog = measured["alone"], measured["restart"], measured["changelog"]
    bare = f"4 bare transactions then: {4 * alone['transaction_ms']:.1f} ms"
    times = f"p50 {alone['p50_ms']:.1f} ms  p99 {alone['p99_ms']:.1f} ms"
    rows = [f"  3-step run alone        {times}  {bare}  (floor: p50 <= 25)"]
    for load in measured["load"]:
        width, steps, runs = load["in_flight"], load["steps_per_s"], load["runs_per_s"]
        cpu = f"engine {load['engine_us_per_step']:.0f} us/step, worker {load['worker_us_per_step']:.0f} us/step"
        floor = "  (floor: >= 3000)" if width == 1_024 else ""
        rows.append(
            f"  {width:5} in flight         {steps:6.0f} steps/s  {runs:5.0f} runs/s  {cpu}"
            f"  python {load['python_ms']:.0f} ms{floor}"
        )
    added, times = measured["beside_a_megabyte"]["added_bytes"], f"median {restart['median_s']:.2f} s"
    times += f", worst {restart['worst_s']:.2f} s to the first completion"
    return [
        *rows,
        f"  changelog per step      {changelog['bytes_per_step']:.0f} bytes in {changelog['rows_per_step']:.1f} rows",
        f"  10 bytes beside 1 MB    {added:.0f} bytes added  (floor: <= 2048)",
        f"  restart after kill -9   {times}  (floor: <= 1 s to the first commit)",
    ]


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


main()
