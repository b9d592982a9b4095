"""Processes under fire: started, killed -9, stopped and woken; each knows its past lives."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

WRITE_S = 10.0
"""A writer that has read the end of its pipe writes the last lines and ends."""


@dataclass
class Victim:
    """One role and slot. `lives` are the process ids of every process that was it."""

    name: str
    arguments: list[str]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    handle: subprocess.Popen[bytes] | None = None
    lives: list[int] = field(default_factory=list)
    stopped: list[tuple[int, float, float]] = field(default_factory=list)
    started_s: float = 0.0
    _writers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """A new life. What it prints goes through another process, so that a limit on its files spares its log."""
        with self.log.open("ab") as log:
            writer = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=log)
        assert writer.stdin is not None
        self._reap()
        self._writers.append(writer)
        with writer.stdin as output:
            self.handle = subprocess.Popen(
                [sys.executable, *self.arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONFAULTHANDLER": "1", **self.environment},
            )
        self.lives.append(self.handle.pid)
        self.started_s = time.monotonic()

    @property
    def pid(self) -> int:
        """The process of this life."""
        assert self.handle is not None
        return self.handle.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.handle is not None and self.handle.poll() is None

    def kill(self) -> None:
        """kill -9."""
        assert self.handle is not None
        self.handle.send_signal(signal.SIGKILL)
        self._ended()

    def freeze(self, seconds: float, meanwhile: Callable[[], None]) -> None:
        """SIGSTOP, then SIGCONT: a zombie wakes up."""
        began = self.pause()
        while time.time() < began + seconds:
            meanwhile()
        self.go_on(began)

    def pause(self) -> float:
        """SIGSTOP; when it was."""
        began = time.time()
        os.kill(self.pid, signal.SIGSTOP)
        return began

    def go_on(self, began: float) -> None:
        """SIGCONT after a pause that began then."""
        os.kill(self.pid, signal.SIGCONT)
        self.stopped.append((self.pid, began, time.time()))

    def stop(self, grace_s: float = 35.0) -> int:
        """End it kindly; returns its exit code. One that does not end leaves its stacks in its output."""
        if self.handle is None:
            return 0
        self.handle.terminate()
        try:
            return self._ended(grace_s)
        except subprocess.TimeoutExpired:
            return self.abort()

    def abort(self) -> int:
        """End it with its stacks in its output."""
        assert self.handle is not None
        self.handle.send_signal(signal.SIGABRT)
        return self._ended()

    def _ended(self, timeout_s: float | None = None) -> int:
        """Wait for its end and for its last lines. Raises `subprocess.TimeoutExpired`."""
        assert self.handle is not None
        code = self.handle.wait(timeout_s)
        self._reap()
        return code

    def _reap(self) -> None:
        """Writers end with those who wrote to them: this one's are all over."""
        for writer in self._writers:
            writer.wait(WRITE_S)
        self._writers.clear()

    def tail(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(errors="replace")[-1_500:]
