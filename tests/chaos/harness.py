"""Engines and workers under load, killed -9 and frozen by a seeded plan; the judge speaks when all is done."""

import random
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.chaos import judge, outside, verdict
from tests.chaos.engine import IN_TRANSACTION, place_of
from tests.chaos.load import Load
from tests.chaos.processes import Victim
from tests.chaos.report import UNFINISHED_AT_KILL, Report
from tests.chaos.table import Changelog

from logkeel.cli.provisioning import apply_application
from logkeel.cli.settings import Settings
from logkeel.cli.wiring import connect

PARTITIONS = 4
LOW, HIGH = 160, 240
"""Runs that are kept unfinished."""

FREEZE_S = 12.0
"""Longer than the session of 10 s: the frozen member's work goes to others, and it wakes as a zombie."""

AIM_S = 10.0
START_S = 60.0
END_S = 180.0


class Chaos:
    """One round on one broker. `say` gets a line per kill."""

    def __init__(self, bootstrap: str, directory: Path, seed: int, say: Callable[[str], None]) -> None:
        self._random = random.Random(seed)
        self._say = say
        self.report = Report(seed)
        directory.mkdir(parents=True, exist_ok=True)
        self._ledger = directory / "ledger.jsonl"
        settings = Settings(
            bootstrap_servers=bootstrap,
            prefix=f"chaos-{seed}",
            partitions=PARTITIONS,
            state_dir=str(directory / "state"),
        )
        apply_application(connect(settings).admin(), settings, ["default"])
        self._load = Load(bootstrap, settings.names, self._ledger, PARTITIONS)
        self._changelog = Changelog(bootstrap, settings.names, PARTITIONS)
        self._engines = [self._engine(settings, directory, slot) for slot in (0, 1)]
        self._workers = [self._worker(settings, directory, slot) for slot in (0, 1)]
        self._woken_at = 0.0

    def _engine(self, settings: Settings, directory: Path, slot: int) -> Victim:
        place = directory / f"place-{slot}"
        place.write_bytes(b"\0")
        arguments = [settings.bootstrap_servers, settings.prefix, settings.state_dir, str(slot), str(place)]
        name = f"engine-{slot}"
        return Victim(name, ["-m", "tests.chaos.engine", *arguments], directory / f"{name}.log")

    def _worker(self, settings: Settings, directory: Path, slot: int) -> Victim:
        name = f"worker-{slot}"
        environment = {
            "CHAOS_LEDGER": str(self._ledger),
            "LOGKEEL_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "LOGKEEL_PREFIX": settings.prefix,
            "LOGKEEL_STATE_DIR": settings.state_dir,
            "LOGKEEL_CONCURRENCY": "16",
            "LOGKEEL_LOG_LEVEL": "warning",
        }
        command = ["-m", "logkeel.cli.main", "worker", "tests.chaos.workflow:chaos", "--slot", str(slot)]
        return Victim(name, command, directory / f"{name}.log", environment)

    def run(self, kills: int, zombies: int) -> Report:
        """Kill and freeze by plan, let everything finish, and judge."""
        began = time.monotonic()
        plan = ["engine", "worker"] * (kills // 2) + ["engine"] * (kills % 2) + ["zombie"] * zombies
        self._random.shuffle(plan)
        with closing(self._load), closing(self._changelog):
            try:
                for victim in (*self._engines, *self._workers):
                    victim.start()
                self._wait(lambda: bool(self._load.completions), "no run completed", START_S)
                for move in plan:
                    {"engine": self._kill_engine, "worker": self._kill_worker, "zombie": self._freeze}[move]()
                self._wait(lambda: self._load.unfinished == 0, "runs stay unfinished", END_S, more=False)
            finally:
                self._stop()
            self._judge()
        self.report.seconds = time.monotonic() - began
        return self.report

    # Moves

    def _kill_engine(self) -> None:
        victim = self._random.choice(self._engines)
        self._ready_for_kill()
        path = Path(victim.arguments[-1])
        if self._random.random() < 0.8:
            goal = self._random.choice(sorted(IN_TRANSACTION))
            _spin(lambda: place_of(path) == goal)
        victim.kill()
        place = place_of(path)
        self.report.engine_kills += 1
        self.report.killed_at[place] += 1
        self.report.in_transaction += place in IN_TRANSACTION
        checked, faults = self._changelog.judge_stores(_tables_of(victim))
        self.report.stores += checked
        self.report.faults += faults
        self._tell(f"{victim.name} killed {place}; {checked} stores compared")
        self._revive(victim)

    def _kill_worker(self) -> None:
        victim = self._random.choice(self._workers)
        self._ready_for_kill()
        tail = self._ledger.stat().st_size
        _spin(lambda: any(line["pid"] == victim.pid for line in outside.read(self._ledger, tail)))
        victim.kill()
        cut = judge.begun_not_ended(outside.read(self._ledger), victim.pid)
        self.report.worker_kills += 1
        self.report.in_step += cut > 0
        self.report.steps_cut += cut
        self._tell(f"{victim.name} killed in {cut} steps")
        self._revive(victim)

    def _freeze(self) -> None:
        victim = self._random.choice([*self._engines, *self._workers])
        self._ready_for_kill()
        self._tell(f"{victim.name} frozen for {FREEZE_S:.0f} s")
        victim.freeze(FREEZE_S, meanwhile=lambda: self._poll(may_answer=False))
        self._woken_at = time.monotonic()
        self.report.zombies += 1
        self._pause(2.0)

    def _revive(self, victim: Victim) -> None:
        self._pause(self._random.uniform(0.0, 0.8))
        victim.start()
        self._pause(self._random.uniform(0.5, 1.5))

    def _ready_for_kill(self) -> None:
        """Everybody works, and enough is unfinished."""
        done = len(self._load.completions)
        self._wait(lambda: len(self._load.completions) > done + 5, "nothing completes", END_S)
        self._wait(lambda: self._load.unfinished >= LOW, "the load cannot be kept", END_S)
        if self._load.unfinished < UNFINISHED_AT_KILL:
            raise AssertionError(f"only {self._load.unfinished} runs are unfinished")

    # Time

    def _poll(self, *, may_answer: bool = True, more: bool = True) -> None:
        if more and self._load.unfinished < LOW:
            self._load.request(HIGH - self._load.unfinished)
        quiet = time.monotonic() - self._woken_at > 3.0
        self._load.poll(may_answer=may_answer and quiet)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._poll()

    def _wait(self, met: Callable[[], bool], message: str, timeout_s: float, *, more: bool = True) -> None:
        deadline = time.monotonic() + timeout_s
        while not met():
            self._poll(more=more)
            self._check_lives()
            if time.monotonic() > deadline:
                raise AssertionError(f"{message}: {self._load.unfinished} unfinished\n{self._logs()}")

    def _check_lives(self) -> None:
        for victim in (*self._engines, *self._workers):
            if not victim.alive:
                code = victim.handle.returncode if victim.handle else None
                self.report.faults.append(f"{victim.name} ended by itself with {code}: {victim.tail()}")
                victim.start()

    def _logs(self) -> str:
        return "\n".join(f"{victim.name}: {victim.tail()}" for victim in (*self._engines, *self._workers))

    def _tell(self, text: str) -> None:
        count = self.report.kills + self.report.zombies
        self._say(f"{count:4}  {self._load.unfinished:4} unfinished of {self._load.sent:6}  {text}")

    # The end

    def _stop(self) -> None:
        for victim in (*self._workers, *self._engines):
            if victim.alive and victim.stop() != 0:
                self.report.faults.append(f"{victim.name} did not leave well: {victim.tail()}")

    def _judge(self) -> None:
        report, load = self.report, self._load
        victims = [*self._engines, *self._workers]
        report.faults += verdict.faults_of_stores(self._changelog, [_tables_of(engine) for engine in self._engines])
        report.faults += verdict.faults_of_runs(load)
        effects, report.p39_doubles = verdict.faults_of_effects(self._ledger, victims)
        states, report.events = verdict.faults_of_states(load, self._changelog, PARTITIONS)
        report.faults += effects + states
        report.runs, report.humans_asked = load.sent, load.asked


def _tables_of(engine: Victim) -> Path:
    *_, state, slot, _ = engine.arguments
    return Path(state) / "engines" / f"slot-{int(slot):04d}" / "tables"


def _spin(met: Callable[[], bool]) -> None:
    """Wait for an aim without rest, but not for ever."""
    deadline = time.monotonic() + AIM_S
    while not met() and time.monotonic() < deadline:
        pass
