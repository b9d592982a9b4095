"""`logkeel insight` as a process that is started again and killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from logkeel.cli.settings import Settings

PARTITIONS = 2
WAIT_S = 100.0


class Process:
    """`logkeel insight`, started as often as needed."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self.settings, self._log = settings, log
        self._running: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str, **variables: str) -> None:
        command = [sys.executable, "-c", "from logkeel.cli.main import run; run()", "insight", "--sweep", "1s"]
        command += arguments
        environment = {
            **os.environ,
            "LOGKEEL_BOOTSTRAP_SERVERS": self.settings.bootstrap_servers,
            "LOGKEEL_PREFIX": self.settings.prefix,
            "LOGKEEL_STATE_DIR": str(self._log.parent / "state"),
            "LOGKEEL_SESSION_TIMEOUT_MS": "6000",
            **variables,
        }
        with self._log.open("ab") as written:
            self._running = subprocess.Popen(command, env=environment, stdout=written, stderr=written)

    def kill(self) -> None:
        if self._running is not None:
            self._running.send_signal(signal.SIGKILL)
            self._running.wait(30)

    def wait_for(self, done: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + WAIT_S
        while not done():
            assert self._running is not None
            assert self._running.poll() is None, self._log.read_text()[-6000:]
            assert time.monotonic() < deadline_s, self._log.read_text()[-6000:]
            time.sleep(0.05)

    def end(self) -> int:
        """Kindly; its exit code."""
        assert self._running is not None
        self._running.terminate()
        return self._running.wait(60)
