"""Processes of a system under test: started, killed, and what they cost (Linux: /proc)."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
LIVENESS_S = 90.0
STOP_S = 15.0


@dataclass
class Part:
    """One process, with its children. `user`: whom to run as, when we are root and it must not be."""

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    handle: subprocess.Popen[bytes] | None = None

    def start(self, **pipes: int) -> None:
        """Start it, in a process group of its own."""
        with self.log.open("ab") as output:
            self.handle = subprocess.Popen(
                self.command,
                stdin=pipes.get("stdin", subprocess.DEVNULL),
                stdout=pipes.get("stdout", output),
                stderr=output,
                env={**os.environ, **self.environment},
                user=self.user,
                cwd="/" if self.user else None,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Of the present life."""
        assert self.handle is not None
        return self.handle.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.handle is not None and self.handle.poll() is None

    def kill(self) -> None:
        """kill -9, children too."""
        if self.handle is not None:
            pids = [self.handle.pid, *descendants(self.handle.pid)]
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.handle.wait()

    def stop(self) -> None:
        """SIGTERM, then SIGKILL."""
        if self.handle is None or self.handle.poll() is not None:
            return
        self.handle.terminate()
        try:
            self.handle.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def tail(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(errors="replace")[-1_500:] if self.log.exists() else ""


@dataclass(frozen=True)
class Cost:
    """What processes have used so far."""

    cpu_s: float
    written_bytes: int

    def __sub__(self, earlier: "Cost") -> "Cost":
        return Cost(self.cpu_s - earlier.cpu_s, self.written_bytes - earlier.written_bytes)


def cost_of(roots: Iterable[int]) -> Cost:
    """CPU seconds (of reaped children too) and bytes caused to be written, of processes and their descendants."""
    cpu, written = 0.0, 0
    for pid in tree(roots):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            cpu += sum(int(ticks) for ticks in fields[11:15]) / CLOCK_TICKS
            lines = Path(f"/proc/{pid}/io").read_text().splitlines()
            written += next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))
    return Cost(cpu, written)


def memory_bytes(roots: Iterable[int]) -> int:
    """Proportional set size: shared pages count once among the processes that share them."""
    total = 0
    for pid in tree(roots):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) * 1_024 for line in lines if line.startswith("Pss:"))
    return total


def tree(roots: Iterable[int]) -> list[int]:
    """The processes and all their descendants, each once."""
    found: dict[int, None] = {}
    for root in roots:
        found[root] = None
        found.update(dict.fromkeys(descendants(root)))
    return list(found)


def descendants(pid: int) -> list[int]:
    """Children, their children and so on."""
    found = []
    for task in Path("/proc").glob(f"{pid}/task/*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                found += [child, *descendants(child)]
    return found


def listens(port: int) -> bool:
    """Whether somebody takes connections on loopback."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def await_that(met: Callable[[], bool], part: Part) -> None:
    """Poll until it is so. Raises `RuntimeError` with what the process printed when it ends or takes too long."""
    deadline = time.monotonic() + LIVENESS_S
    while not met():
        if not part.alive or time.monotonic() > deadline:
            raise RuntimeError(f"{part.name} does not come up\n{part.tail()}")
        time.sleep(0.02)


def directory_bytes(directory: Path) -> int:
    """Sizes of all files below."""
    total = 0
    for path in directory.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file():
                total += path.stat().st_size
    return total


def remove(directory: Path) -> None:
    """With all that is in it."""
    shutil.rmtree(directory, ignore_errors=True)
