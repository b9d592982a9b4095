"""The crash race: the same kills, by the progress that the outside ledger shows, for every system."""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

from tests.bench.peers.judging import judge
from tests.bench.peers.measuring import warm_up
from tests.bench.peers.systems import Kind, System
from tests.bench.peers.workloads import Race

PLANS = ("worker", "server")
PAYLOAD_BYTES = 16


class Ledger:
    """Reads the outside ledger as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""
        self.lines: list[dict[str, Any]] = []
        self.effects = 0
        self.done: set[str] = set()

    def catch_up(self) -> bool:
        """Read what is new; returns whether anything was."""
        if not self._path.exists():
            return False
        with self._path.open("rb") as file:
            file.seek(self._offset)
            new = file.read()
        self._offset += len(new)
        *whole, self._rest = (self._rest + new).split(b"\n")
        for text in whole:
            line = json.loads(text)
            self.lines.append(line)
            self.effects += line["what"] == "effect"
            if line["what"] == "done":
                self.done.add(line["run"])
        return bool(whole)


def race(kind: Kind, directory: Path, workload: Race, *, plan: str, effect: str) -> list[dict[str, Any]]:
    """The row of one race. `plan`: what is killed; `effect`: what logkeel's steps declare."""
    ledger = Ledger(directory / "ledger.jsonl")
    directory.mkdir(parents=True, exist_ok=True)
    runs = [f"run-{number:04d}" for number in range(workload.runs)]
    place = directory / "system"
    given = {"ledger": directory / "ledger.jsonl", "step_timeout_s": workload.step_timeout_s}
    kills: list[float] = []
    began = time.monotonic()
    with System(kind, place, history=effect == "ONCE", **given) as system:  # type: ignore[arg-type]  # of one TypedDict
        warm_up(system, in_flight=workload.in_flight, seconds=workload.warm_up_s)
        command = {
            "do": "race",
            "workload": f"race-{effect}",
            "steps": workload.steps,
            "step_ms": workload.step_ms,
            "payload_bytes": PAYLOAD_BYTES,
            "outside": True,
            "in_flight": workload.in_flight,
        }
        system.tell({**command, "run_ids": runs})
        for effects, wait_s in workload.kill_plan():
            if not _until(ledger, effects, workload):
                break
            time.sleep(wait_s)
            kills.append(_kill(system, plan, ledger, {**command, "run_ids": runs}))
        _until(ledger, None, workload)
    verdict = judge(ledger.lines, runs, workload.steps, kills=kills, next_means_recorded=kind.next_step_means_recorded)
    seconds = time.monotonic() - began
    facts = {"system": kind.name, "plan": plan, "effect": effect, "kills": len(kills), "seconds": seconds}
    return [facts | dataclasses.asdict(verdict)]


def _until(ledger: Ledger, effects: int | None, workload: Race) -> bool:
    """Wait for so many effects, or for the end of all runs. False when nothing moves any more."""
    moved = time.monotonic()
    while ledger.effects < effects if effects is not None else len(ledger.done) < workload.runs:
        if ledger.catch_up():
            moved = time.monotonic()
        elif time.monotonic() - moved > workload.stuck_after_s:
            return False
        else:
            time.sleep(0.002)
        if effects is not None and len(ledger.done) == workload.runs:
            return False
    return True


def _kill(system: System, plan: str, ledger: Ledger, command: dict[str, Any]) -> float:
    """kill -9 and a new life at once. Returns when it was killed."""
    parts = system.parts
    if plan == "worker":
        victims = parts.workers or [parts.driver]
        at = time.time()
        for victim in victims:
            victim.kill()
        if parts.workers:
            for worker in parts.workers:
                system.start_worker(worker)
        else:
            ledger.catch_up()
            system.start_driver()
            system.tell({**command, "run_ids": [run for run in command["run_ids"] if run not in ledger.done]})
        return at
    at = time.time()
    if parts.engine:
        parts.engine.kill()
        parts.engine.start()
    elif parts.server:
        parts.server.kill()
        parts.server.start()
    return at


def has(kind: Kind, plan: str) -> bool:
    """Whether the system has something of that kind to kill: a library on SQLite has no server."""
    return plan == "worker" or (kind.name != "logkeel serve" and "SQLite" not in kind.name)
