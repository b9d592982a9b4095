"""Child processes that hold or write a store."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


class Writer:
    """A child that runs `tests.unit.tables.writing`."""

    def __init__(self, folder: Path, arguments: list[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.tables.writing", str(folder), *arguments],
            cwd=Path(__file__).parents[3],
            stdout=subprocess.PIPE,
        )
        self.acknowledged = 0

    def read(self, count: int) -> None:
        """Wait for so many more acknowledged batches."""
        assert self._process.stdout is not None
        for _ in range(count):
            self.acknowledged = int(self._process.stdout.readline())

    def kill(self) -> None:
        """Kill -9, and take what it had said."""
        self._process.kill()
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith(b"\n"):
                self.acknowledged = int(line)
        self._process.stdout.close()
        self._process.wait()


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Callable[..., Writer]]:
    """Starts writers in the test's folder; all end with the test."""
    started: list[Writer] = []

    def start(*arguments: str) -> Writer:
        started.append(Writer(tmp_path, list(arguments)))
        return started[-1]

    yield start
    for each in started:
        if each._process.returncode is None:
            each.kill()
