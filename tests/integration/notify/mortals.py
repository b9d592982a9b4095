"""Processes that are started again whenever somebody, or they themselves, kill them -9."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

REPOSITORY = Path(__file__).parents[3]


class Mortal:
    """One role. `arguments` of Python for each life, by its number. Use it as a context manager."""

    def __init__(
        self, name: str, output: Path, arguments: Callable[[int], Sequence[str]], environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.deaths = 0
        self.ended = False
        self._output = output
        self._arguments = arguments
        self._environment = environment
        self._stop = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._supervise)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self.kill()
        self._thread.join(30)

    def kill(self) -> None:
        """Whatever it does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)

    def said(self) -> str:
        """The last of what all lives have said."""
        return (
            f"{self.name}, {self.deaths} deaths:\n{self._output.read_text()[-2_000:]}"
            if self.deaths or self.ended
            else ""
        )

    def _supervise(self) -> None:
        while not self._stop.is_set():
            with self._output.open("ab") as output:
                self._process = subprocess.Popen(
                    [sys.executable, *self._arguments(self.deaths)],
                    cwd=REPOSITORY,
                    env={**os.environ, **self._environment},
                    stdout=output,
                    stderr=output,
                )
            if self._process.wait() != -signal.SIGKILL:
                self.ended = True
                return
            self.deaths += 1
