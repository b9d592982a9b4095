"""An application in pods of the manifests, under load: what is done to it, and what the world outside says of it.

Run `python -m tests.pods` for a long round; the suite has a short one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from deploy.render import BASE
from tests.chaos import judge, outside, verdict
from tests.chaos.load import Load
from tests.chaos.outside import LEDGER
from tests.chaos.table import Changelog
from tests.pods.controllers import Deployment, Scaler, StatefulSet
from tests.pods.pod import Place

from logkeel.cli.provisioning import apply_application
from logkeel.cli.settings import Settings
from logkeel.cli.wiring import connect

PARTITIONS = 4
WORKFLOW = "tests.chaos.workflow:chaos"
ANSWER_AFTER_S = 3.0
END_S = 150.0


@dataclass
class Report:
    """What came of a round. `woke_s`: from a request to a result, with no worker there."""

    runs: int = 0
    faults: list[str] = field(default_factory=list)
    endings: int = 0
    slowest_ending_s: dict[str, float] = field(default_factory=dict)
    woke_s: list[float] = field(default_factory=list)
    asked: int = 0
    stores: int = 0

    def text(self) -> str:
        """For people."""
        slow = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.slowest_ending_s.items())
        woke = ", ".join(f"{seconds:.1f} s" for seconds in self.woke_s) or "not tried"
        lines = [
            f"{self.runs} runs, {len(self.faults)} faults; {self.asked} questions about ONCE steps",
            f"{self.stores} stores compared with their changelog",
            f"{self.endings} pods ended within their grace periods, at most: {slow}",
            f"woken from zero workers: {woke}",
        ]
        return "\n".join([*lines, *self.faults[:20]])


class Site:
    """One application. `say` gets a line per scene."""

    def __init__(self, bootstrap: str, directory: Path, prefix: str, say: Callable[[str], None]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._say, self._bootstrap = say, bootstrap
        self._ledger = directory / "ledger.jsonl"
        self._settings = Settings(bootstrap_servers=bootstrap, prefix=prefix, partitions=PARTITIONS)
        self._admin = connect(self._settings).admin()
        apply_application(self._admin, self._settings, ["default"])
        (directory / "kafka").mkdir(exist_ok=True)
        place = Place(
            bootstrap,
            directory / "kafka",
            directory,
            {"LOGKEEL_PREFIX": prefix, LEDGER: str(self._ledger), "LOGKEEL_CONCURRENCY": "16"},
        )
        self.engines = StatefulSet(_resource("StatefulSet"), place, directory / "volumes", workflow=WORKFLOW)
        self.workers = Deployment(_resource("Deployment"), place, directory / "volumes", workflow=WORKFLOW)
        scaled = _resource("ScaledObject")
        trigger = scaled["spec"]["triggers"][0]["metadata"]
        trigger |= {key: trigger[key].replace("logkeel.", f"{prefix}.", 1) for key in ("consumerGroup", "topic")}
        self.scaler = Scaler(scaled, self._admin)
        self.load = Load(bootstrap, self._settings.names, self._ledger, PARTITIONS, answer_after_s=ANSWER_AFTER_S)
        self._changelog = Changelog(bootstrap, self._settings.names, PARTITIONS)
        self.report = Report()
        self._unfinished = 0

    def keep(self, unfinished: int) -> None:
        """From now on so many runs are kept in flight."""
        self._unfinished = unfinished

    def meanwhile(self) -> None:
        """Load and kubelets go on while somebody waits."""
        if (lack := self._unfinished - self.load.unfinished) > 0:
            self.load.request(lack)
        self.load.poll()
        self.engines.look_after()
        self.workers.look_after()

    def scale(self, engines: int, workers: int) -> None:
        """So many pods of each."""
        self.engines.scale(engines, self.meanwhile)
        self.workers.scale(workers, self.meanwhile)

    def scene(self, name: str, act: Callable[[], None]) -> None:
        """Do something, and see that runs complete afterwards."""
        self._say(f"{self.load.unfinished:4} unfinished of {self.load.sent:5}  {name}")
        act()
        if self._unfinished and self.workers.pods:
            done = len(self.load.completions)
            self.until(lambda: len(self.load.completions) > done + 3, f"no run completes after: {name}")

    def until(self, met: Callable[[], bool], message: str) -> None:
        """Wait, with everything going on."""
        deadline = time.monotonic() + END_S
        while not met():
            self.meanwhile()
            if time.monotonic() > deadline:
                tails = [f"{pod.name}: {pod.tail()}" for pod in (*self.engines.pods, *self.workers.pods)]
                raise AssertionError("\n".join([f"{message}: {self.load.unfinished} unfinished", *tails]))

    def sleep_and_wake(self) -> None:
        """No work, no lag, no workers; then a request, and the scaler finds that there is one to be had."""
        self.keep(0)
        self.until(lambda: self.load.unfinished == 0, "runs stay unfinished")
        self.until(lambda: self.scaler.lag() == 0, "an idle queue has a lag")
        assert self.scaler.wanted() == 0
        self.workers.scale(0, self.meanwhile)
        assert self.scaler.lag() == 0, "and keeps none without workers"
        # Static members stay in the group until their sessions end; whoever joins before waits for that.
        self.until(lambda: not self._admin.group_members(self.scaler.group), "members stay in the group")
        began = time.monotonic()
        self.load.request(1)
        self.until(lambda: self.scaler.wanted() > 0, "a command makes no lag")
        self.workers.scale(self.scaler.wanted(), self.meanwhile, wait=False)
        self.until(lambda: self.load.unfinished == 0, "nobody woke")
        self.report.woke_s.append(time.monotonic() - began)

    def finish(self) -> Report:
        """Let everything end, and judge."""
        self.keep(0)
        self.until(lambda: self.load.unfinished == 0, "runs stay unfinished")
        self.workers.scale(0, self.meanwhile)
        self.engines.scale(0, self.meanwhile)
        self._judge()
        return self.report

    def close(self) -> None:
        """End what still runs, however the round went."""
        for pod in (*self.workers.pods, *self.engines.pods):
            if pod.alive:
                pod.kill()
        self.load.close()
        self._changelog.close()

    def _judge(self) -> None:
        report = self.report
        for controller in (self.engines, self.workers):
            report.faults += controller.troubles
            for ending in controller.endings:
                report.endings += 1
                slowest = max(ending.seconds, report.slowest_ending_s.get(controller.name, 0.0))
                report.slowest_ending_s[controller.name] = slowest
                if ending.killed or ending.code != 0:
                    report.faults.append(f"{ending.pod} ended with {ending.code} after {ending.seconds:.1f} s")
        report.faults += verdict.faults_of_runs(self.load)
        effects, _ = judge.faults_of_effects(outside.read(self._ledger), [])
        states, _ = verdict.faults_of_states(self.load, self._changelog, PARTITIONS)
        report.faults += effects + states
        for volume in sorted({pod.volume for pod in self.engines.past}):
            for slot in sorted(volume.glob("engines/slot-*")):
                stores, faults = self._changelog.judge_stores(slot / "tables")
                report.stores += stores
                report.faults += faults
        report.runs, report.asked = self.load.sent, self.load.asked


def _resource(kind: str) -> dict[str, Any]:
    """The one resource of a kind in the rendered base."""
    found = [each for each in yaml.safe_load_all((BASE / "logkeel.yaml").read_text()) if each and each["kind"] == kind]
    assert len(found) == 1, f"{len(found)} of kind {kind}"
    return dict(found[0])
