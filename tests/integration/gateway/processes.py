"""Processes of an application with a gateway, on a real broker."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

REPOSITORY = Path(__file__).parents[3]
LOGKEEL = [sys.executable, "-m", "logkeel.cli.main"]
READY_S = 60.0
STACKS_S = 1.0


@dataclass
class Application:
    """Commands of one prefix and state directory."""

    bootstrap: str
    prefix: str
    folder: Path
    extra: dict[str, str] = field(default_factory=dict)
    started: "list[subprocess.Popen[bytes]]" = field(default_factory=list, repr=False)

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "LOGKEEL_BOOTSTRAP_SERVERS": self.bootstrap,
            "LOGKEEL_PREFIX": self.prefix,
            "LOGKEEL_STATE_DIR": str(self.folder / "state"),
        }
        return {**os.environ, **own, **self.extra}

    @property
    def read_model(self) -> Path:
        """The folder of the first gateway's file."""
        return self.folder / "state" / "read-models" / self.prefix / "slot-0000"

    def logkeel(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """One command, to its end."""
        return subprocess.run(
            [*LOGKEEL, *arguments], cwd=REPOSITORY, env=self.environment, capture_output=True, text=True, timeout=90
        )

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """A process whose words go to a file."""
        with (self.folder / f"{arguments[0]}.log").open("ab") as log:
            self.started.append(
                subprocess.Popen([*LOGKEEL, *arguments], cwd=REPOSITORY, env=self.environment, stdout=log, stderr=log)
            )
        return self.started[-1]

    def kill(self) -> None:
        """End what has not ended: for a test that failed in between."""
        for process in self.started:
            process.kill()
            process.wait()

    def stacks(self) -> str:
        """What the processes say, with where they stand now."""
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGUSR1)
        time.sleep(STACKS_S)
        return self.words()

    @contextmanager
    def running(self, *roles: tuple[str, ...]) -> Iterator[None]:
        """These processes, until the block ends; each then leaves cleanly."""
        processes = [self.start(*role) for role in roles]
        try:
            yield
        finally:
            for process in processes:
                process.terminate()
            codes = [process.wait(60) for process in processes]
        assert codes == [0] * len(codes), self.words()

    def words(self) -> str:
        """The last of what the processes said."""
        return "\n".join(path.read_text()[-8_000:] for path in sorted(self.folder.glob("*.log")))


def until_ready(port: int, application: Application) -> httpx.Client:
    """A client of a gateway that has caught up."""
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}", transport=httpx.HTTPTransport(retries=0), timeout=httpx.Timeout(40.0)
    )
    deadline_s = time.monotonic() + READY_S
    last: object = None
    while time.monotonic() < deadline_s:
        try:
            answer = client.get("/readyz")
            if answer.status_code == 200:
                return client
            last = answer.text
        except httpx.TransportError as error:
            last = error
        time.sleep(0.1)
    raise AssertionError(f"the gateway was not ready in {READY_S} s: {last!r}; {application.stacks()}")
