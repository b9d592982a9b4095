"""A pod as its kubelet treats it: the manifest's command, environment, probes and grace period, as a process here.

What stands in for the cluster is named in `Place`; everything else is what the manifest says.
"""

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from logkeel.broker.ports import pick

Probe = Literal["startup", "liveness", "readiness"]

RESTART_S = 0.5
"""A kubelet backs off from 10 s on; here the next try comes soon."""


@dataclass(frozen=True)
class Place:
    """What the cluster would give a pod. `replaced`: arguments and variables that name a cluster's things."""

    bootstrap: str
    kafka_config: Path
    logs: Path
    environment: dict[str, str]


@dataclass
class Ending:
    """How a pod's process went away. `killed`: its grace period was over."""

    pod: str
    code: int
    killed: bool
    seconds: float


@dataclass
class Pod:
    """One pod of a template; `volume` is what is mounted as its state."""

    name: str
    spec: dict[str, Any]
    volume: Path
    place: Place
    arguments: list[str]
    handle: subprocess.Popen[bytes] | None = None
    stopped: list[tuple[int, float, float]] = field(default_factory=list)
    restarts: int = 0
    _failed: int = 0

    def __post_init__(self) -> None:
        self.ports = {each["name"]: pick() for each in self._container["ports"]}
        self.volume.mkdir(parents=True, exist_ok=True)

    @property
    def _container(self) -> dict[str, Any]:
        container: dict[str, Any] = self.spec["containers"][0]
        return container

    @property
    def log(self) -> Path:
        """What it prints, over all its lives."""
        return self.place.logs / f"{self.name}.log"

    def start(self) -> None:
        """Run the command."""
        with self.log.open("ab") as output:
            self.handle = subprocess.Popen(
                [sys.executable, "-m", "logkeel.cli.main", *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment(),
            )
        self._failed = 0

    def _environment(self) -> dict[str, str]:
        of_cluster = {
            "LOGKEEL_BOOTSTRAP_SERVERS": self.place.bootstrap,
            "LOGKEEL_KAFKA_CONFIG": str(self.place.kafka_config),
            "LOGKEEL_STATE_DIR": str(self.volume),
            "LOGKEEL_PROBE_HOST": "127.0.0.1",
            "LOGKEEL_PROBE_PORT": str(self.ports["probes"]),
            "LOGKEEL_METRICS_HOST": "127.0.0.1",
            "LOGKEEL_METRICS_PORT": str(self.ports["metrics"]),
            **self.place.environment,
        }
        told = {name: value for name, value in os.environ.items() if not name.startswith("LOGKEEL_")}
        for each in self._container["env"]:
            from_field = each.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            told[each["name"]] = self.name if from_field == "metadata.name" else str(each.get("value"))
        return {**told, **of_cluster}

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self.handle is not None and self.handle.poll() is None

    def passes(self, probe: Probe) -> bool:
        """Ask once, as the manifest says."""
        asked = self._container[f"{probe}Probe"]
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.ports[asked["httpGet"]["port"]], timeout=asked["timeoutSeconds"]
        )
        try:
            connection.request("GET", asked["httpGet"]["path"])
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def look_after(self) -> str | None:
        """What a kubelet does between: start it again if it ended, end it if it is not live; says what was wrong."""
        if not self.alive:
            code = None if self.handle is None else self.handle.returncode
            self.restarts += 1
            time.sleep(RESTART_S)
            self.start()
            return f"{self.name} ended by itself with {code}: {self.tail()}"
        if self.passes("startup"):
            self._failed = 0 if self.passes("liveness") else self._failed + 1
            if self._failed >= self._container["livenessProbe"]["failureThreshold"]:
                self.kill()
                return f"{self.name} was not live"
        return None

    def terminate(self) -> None:
        """SIGTERM: the grace period begins."""
        assert self.handle is not None
        self.handle.terminate()

    def end(self) -> Ending:
        """SIGTERM, the grace period, SIGKILL."""
        assert self.handle is not None
        began = time.monotonic()
        self.terminate()
        return self.await_end(began)

    def await_end(self, began: float) -> Ending:
        """Wait for the rest of the grace period that began then; SIGKILL when it is over."""
        assert self.handle is not None
        grace_s = float(self.spec["terminationGracePeriodSeconds"])
        try:
            code, killed = self.handle.wait(max(0.0, began + grace_s - time.monotonic())), False
        except subprocess.TimeoutExpired:
            self.handle.send_signal(signal.SIGKILL)
            code, killed = self.handle.wait(), True
        return Ending(self.name, code, killed, time.monotonic() - began)

    def kill(self) -> None:
        """SIGKILL, as when its machine is gone."""
        assert self.handle is not None
        self.handle.kill()
        self.handle.wait()

    def tail(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(errors="replace")[-1_500:] if self.log.exists() else ""


def arguments_of(spec: dict[str, Any], *, workflow: str) -> list[str]:
    """The command line of a template, with a workflow of our own."""
    arguments = [str(each) for each in spec["containers"][0]["args"]]
    return [workflow if re.fullmatch(r"app:workflow", each) else each for each in arguments]
