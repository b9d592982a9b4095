"""`make bench`: python -m tests.bench [--quick] [--partitions N] [--json FILE]. Reports; asserts nothing about time.

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

FLOORS = {"p50_ms": "<= 25", "steps_per_s@1024": ">= 3000", "restart_s": "<= 1", "added_bytes": "<= 2048"}


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="make bench", description="measure on a real broker")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--json", type=Path, default=Path("bench.json"))
    options = parser.parse_args()
    logging.getLogger("logkeel.kafka").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="logkeel-bench-") as scratch:
        directory = Path(scratch)
        with EmbeddedBroker(directory / "kafka") as broker:
            application = Application(broker.bootstrap_servers, directory / "state", options.partitions)
            application.start()
            try:
                report = _measure(application, quick=options.quick)
            finally:
                application.stop()
    report = {"machine": _machine(), "partitions": options.partitions, "floors": FLOORS, **report}
    options.json.write_text(json.dumps(report, indent=2) + "\n")
    print(table(report))
    print(f"\nall figures: {options.json}")


def _measure(application: Application, *, quick: bool) -> dict[str, Any]:
    scale = 10 if quick else 1
    _say("a 3-step run alone …")
    alone = scenarios.alone(application, 400 // scale)
    loads = []
    for width in (32, 256, 1_024):
        _say(f"{width} runs in flight …")
        loads.append(scenarios.in_flight(application, width, 20 / scale))
    _say("changelog …")
    changelog = scenarios.changelog(application, 500 // scale)
    beside = scenarios.beside_a_megabyte(application)
    _say("kill -9 and restart …")
    restart = scenarios.restart(application, 10 if not quick else 2, 64)
    return {"alone": alone, "load": loads, "changelog": changelog, "beside_a_megabyte": beside, "restart": restart}


def table(report: Mapping[str, Any]) -> str:
    """For people."""
    alone, restart, changelog = report["alone"], report["restart"], report["changelog"]
    lines = [
        f"{report['machine']}, {report['partitions']} partitions; broker, engine, worker and client on one machine",
        f"3-step run alone        p50 {alone['p50_ms']:.1f} ms   p99 {alone['p99_ms']:.1f} ms   (floor: p50 <= 25 ms)",
    ]
    for load in report["load"]:
        width, steps, runs = load["in_flight"], load["steps_per_s"], load["runs_per_s"]
        cpu = f"engine {load['engine_us_per_step']:.0f} us/step, worker {load['worker_us_per_step']:.0f} us/step"
        floor = "   (floor: >= 3000 steps/s)" if width == 1_024 else ""
        lines.append(f"{width:5} in flight         {steps:6.0f} steps/s  {runs:5.0f} runs/s   {cpu}{floor}")
    median, worst, added = restart["median_s"], restart["worst_s"], report["beside_a_megabyte"]["added_bytes"]
    lines += [
        f"changelog per step      {changelog['bytes_per_step']:.0f} bytes in {changelog['rows_per_step']:.1f} rows",
        f"10 bytes beside 1 MB    {added:.0f} bytes added   (floor: <= 2048)",
        f"restart after kill -9   median {median:.2f} s, worst {worst:.2f} s   (floor: <= 1 s)",
    ]
    return "\n".join(lines)


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


main()
