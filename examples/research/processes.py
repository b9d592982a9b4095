"""The demo's processes: started, watched, killed -9 and started again. Each writes to a log file of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any


@dataclass
class Process:
    """One role as an operating system process. `arguments` follow the Python interpreter."""

    role: str
    arguments: list[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    handle: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, or start it again; output is appended to the log."""
        with self.log.open("a") as output:
            self.handle = subprocess.Popen(
                [sys.executable, *self.arguments],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                text=True,
            )

    def kill(self) -> int:
        """kill -9; returns the process id that died."""
        assert self.handle is not None
        self.handle.send_signal(signal.SIGKILL)
        self.handle.wait()
        return self.handle.pid

    def stop(self, grace_s: float = 10) -> None:
        """End it kindly, after `grace_s` unkindly. Safe to call on a process that has ended."""
        if self.handle is None:
            return
        if self.handle.stdin:
            self.handle.stdin.close()
        if self.handle.poll() is None:
            self.handle.terminate()
        try:
            self.handle.wait(timeout=grace_s)
        except subprocess.TimeoutExpired:
            self.handle.kill()
            self.handle.wait()

    @property
    def died(self) -> bool:
        """Whether it ended by itself."""
        return self.handle is not None and self.handle.poll() is not None

    def log_tail(self, lines: int = 15) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Outside:
    """The outside world: mail server and catalogue in a process that never imports logkeel."""

    def __init__(self, directory: Path, *, hang_first: int) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "examples.research.world", "--directory", str(directory)]
        self._handle = subprocess.Popen(
            [*command, "--hang-first", str(hang_first)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._handle.stdout is not None
        self.ports: dict[str, Any] = json.loads(_first_line(self._handle.stdout))

    @property
    def environment(self) -> dict[str, str]:
        """Where the research agent finds it."""
        return {
            "RESEARCH_CATALOGUE": f"http://127.0.0.1:{self.ports['http_port']}",
            "RESEARCH_SMTP": f"127.0.0.1:{self.ports['smtp_port']}",
        }

    def stop(self) -> None:
        """End it."""
        assert self._handle.stdin is not None
        self._handle.stdin.close()
        try:
            self._handle.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._handle.kill()
            self._handle.wait()
        if self._handle.stdout:
            self._handle.stdout.close()


def _first_line(stream: IO[str]) -> str:
    line = stream.readline()
    if not line:
        raise RuntimeError("the outside world did not start; is aiosmtpd installed? `make demo` installs it")
    return line


def wait_until(condition: Any, *, timeout_s: float, every_s: float = 0.02) -> bool:
    """Poll `condition` until it is true; False after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(every_s)
    return False
