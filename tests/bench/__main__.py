"""`make bench`: python -m tests.bench [--quick] [--only steps flows] [--partitions N …] [--kinds …] [--rounds N].

Asserts nothing. `steps`: latency, throughput, sizes and restart. `flows`: fan-out, timers, approvals, agents, `each`.

Broker, engine, worker and client share this machine. A table on stdout, everything as JSON in a file.
"""

import argparse
import json
import logging
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import flows, scenarios
from tests.bench.application import COMMANDS, FLOWS, Application
from tests.bench.flows import spread

from logkeel.broker import EmbeddedBroker
from logkeel.broker.java import FULL_COMPILER
from logkeel.cli.logs import configure_logs

FLOORS = {
    "p50_ms": "<= 20 apart, <= 12 in serve",
    "steps_per_s@1024": ">= 5000",
    "engine_us_per_step": "<= 80",
    "restart_s": "<= 1",
    "added_bytes": "<= 2048",
    "each_over_runs": ">= 0.8",
    "agent_bytes_per_turn": "flat",
    "beside_a_tenant_at_its_limit": ">= 0.9",
}
DURABILITY = "each step committed, acks=all, 1 broker, not synced to disk"
PARTS = ("steps", "flows")
P50_MS = {"apart": 20, "serve": 12}


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="make bench", description="measure on a real broker")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=PARTS, help="these parts")
    parser.add_argument("--partitions", type=int, nargs="+", default=[4], help="one application for each count")
    parser.add_argument("--kinds", nargs="+", default=list(COMMANDS), choices=list(COMMANDS))
    parser.add_argument("--rounds", type=int, default=3, help="the kinds take turns; so often each is measured")
    parser.add_argument("--json", type=Path, default=Path("bench.json"))
    options = parser.parse_args()
    # Ended from outside, it ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    configure_logs("warning")
    logging.getLogger("logkeel.kafka").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="logkeel-bench-") as scratch:
        directory = Path(scratch)
        with EmbeddedBroker(directory / "kafka", java_options=[FULL_COMPILER]) as broker:
            bench = Bench(broker.bootstrap_servers, broker.pid, directory, quick=options.quick)
            measured = {
                part: [bench.measure(count, options.kinds, options.rounds, part=part) for count in options.partitions]
                for part in options.only
            }
    report: dict[str, Any] = {"machine": _machine(), "floors": FLOORS}
    report |= {"applications": measured.get("steps", []), "flows": measured.get("flows", [])}
    options.json.write_text(json.dumps(report, indent=2) + "\n")
    print(table(report))
    print(f"\nall figures: {options.json}")


@dataclass(frozen=True)
class Bench:
    """One broker and what is measured on it. `quick`: a tenth of the work."""

    bootstrap: str
    broker_pid: int
    directory: Path
    quick: bool

    def measure(self, partitions: int, kinds: list[str], rounds: int, *, part: str) -> dict[str, Any]:
        """The kinds take turns, a new application each time, since a shared machine drifts."""
        figures: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
        for number in range(rounds):
            for kind in kinds:
                _say(f"{part}, {partitions} partitions, {kind}, round {number + 1} of {rounds}")
                directory = self.directory / f"{part}-{partitions}-{kind}-{number}"
                round_of = self._steps if part == "steps" else self._flows
                figures[kind].append(round_of(partitions, kind, directory, first=number == 0))
        return {"partitions": partitions, "rounds": figures}

    def _steps(self, partitions: int, kind: str, directory: Path, *, first: bool) -> dict[str, Any]:
        application = Application(self.bootstrap, directory, partitions, kind)
        application.start()
        try:
            return self._figures(application, whole=first)
        finally:
            application.stop()

    def _flows(self, partitions: int, kind: str, directory: Path, *, first: bool) -> dict[str, Any]:
        application = Application(self.bootstrap, directory, partitions, kind, module=FLOWS)
        application.start()
        try:
            if first:
                _say("  warming up …")
                flows.items(application, 0.05)
            return flows.measure(application, 0.1 if self.quick else 1.0)
        finally:
            application.stop()

    def _figures(self, application: Application, *, whole: bool) -> dict[str, Any]:
        """Speed in every round; what does not depend on it in the first one only."""
        scale = 10 if self.quick else 1
        _say("  warming up …")
        scenarios.in_flight(application, 256, (40 if whole else 10) / scale)
        # The widest first: it warms the broker up, as it is on any day but the first.
        loads = []
        for width in (1_024, 256, 32):
            _say(f"  {width} runs in flight …")
            speed = scenarios.reference(application)
            load = scenarios.in_flight(application, width, 20 / scale, broker_pid=self.broker_pid)
            loads.append({**load, **speed})
        _say("  a 3-step run alone …")
        alone = {**scenarios.reference(application), **scenarios.alone(application, 400 // scale)}
        figures: dict[str, Any] = {"alone": alone, "load": loads}
        if not whole:
            return figures
        _say("  changelog, a chain of 30 steps, kill -9 and restart …")
        figures["changelog"] = scenarios.changelog(application, 500 // scale)
        figures["beside_a_megabyte"] = scenarios.beside_a_megabyte(application)
        figures["chain"] = scenarios.chain(application)
        figures["restart"] = scenarios.restart(application, 2 if self.quick else 10, 64)
        return figures


def table(report: Mapping[str, Any]) -> str:
    """For people: min-median-max over the rounds."""
    lines = [
        f"{report['machine']}; broker, processes and client share it; min-median-max over the rounds; {DURABILITY}"
    ]
    for measured in report["applications"]:
        for kind, rounds in measured["rounds"].items():
            lines += ["", f"{measured['partitions']} partitions, {kind}", *_speeds(kind, rounds), *_sizes(rounds[0])]
    for measured in report["flows"]:
        for kind, rounds in measured["rounds"].items():
            lines += ["", f"{measured['partitions']} partitions, {kind}", *flows.lines(rounds)]
    return "\n".join(lines)


def _speeds(kind: str, rounds: list[dict[str, Any]]) -> list[str]:
    alone = [each["alone"] for each in rounds]
    bare = spread([4 * each["transaction_ms"] for each in alone], 1)
    times = (
        f"p50 {spread([each['p50_ms'] for each in alone], 1)} ms, p99 {spread([each['p99_ms'] for each in alone])} ms"
    )
    rows = [f"  3-step run alone        {times}; 4 bare transactions {bare} ms  (floor: p50 <= {P50_MS[kind]})"]
    for loads in zip(*(each["load"] for each in rounds), strict=True):
        width = loads[0]["in_flight"]
        floor = "  (floors: >= 5000; engine <= 80)" if width == 1_024 else ""
        cpu = ", ".join(_used(name, loads) for name in loads[0]["cpu_us_per_step"])
        steps = spread([load["steps_per_s"] for load in loads])
        python = spread([load["python_ms"] for load in loads])
        rows.append(f"  {width:5} in flight         {steps} steps/s; us/step: {cpu}; python {python} ms{floor}")
    return rows


def _used(name: str, loads: Sequence[Mapping[str, Any]]) -> str:
    """Processor time of a process per step, and how much of it is the log's client's."""
    whole = f"{name} {spread([load['cpu_us_per_step'][name] for load in loads])}"
    if name not in loads[0]["log_client_us_per_step"]:
        return whole
    return f"{whole} (log's client {spread([load['log_client_us_per_step'][name] for load in loads])})"


def _sizes(first: Mapping[str, Any]) -> list[str]:
    restart, changelog, chain = first["restart"], first["changelog"], first["chain"]
    added = first["beside_a_megabyte"]["added_bytes"]
    times = f"median {restart['median_s']:.2f} s, worst {restart['worst_s']:.2f} s to the first completion"
    per_step = f"{chain['first']} in the first, {chain['last']} in the last, at most {max(chain['bytes_by_step'])}"
    return [
        f"  changelog per step      {changelog['bytes_per_step']:.0f} bytes in {changelog['rows_per_step']:.1f} rows",
        f"  bytes per step, 30      {per_step}  (floor: flat)",
        f"  10 bytes beside 1 MB    {added:.0f} bytes added  (floor: <= 2048)",
        f"  restart after kill -9   {times}  (floor: <= 1 s to the first commit)",
    ]


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


main()
