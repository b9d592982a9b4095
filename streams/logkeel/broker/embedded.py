"""A broker that lives as long as its owner: a context manager around a supervised process.

Must not: outlive the owner's process, however that ends (see `supervisor`), or listen anywhere but on 127.0.0.1.
Data survive stop, kill and restart; only a temporary data directory is removed at the end.
"""

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

from logkeel.broker import java, state
from logkeel.broker.block import RunsInBlock
from logkeel.broker.launch import LaunchRequest, launch
from logkeel.broker.settings import HOST
from logkeel.broker.spawning import BrokerProcess
from logkeel.broker.state import BrokerNote
from logkeel.errors import BrokerDied

_SUPERVISOR: Final = Path(__file__).with_name("supervisor.py")
# Longer than the supervisor's own patience for an orderly stop.
_STOP_TIMEOUT_S: Final = 30.0


class EmbeddedBroker(RunsInBlock):
    """Real Apache Kafka, one node, owned by this process. Not thread-safe.

    `data_dir` None: a temporary one, removed on leaving the context. `port` 0: a free one, kept over restarts.
    `advertised` (`host:port`): where clients are told to connect, e.g. a proxy; default is the broker itself.
    `config`: further broker properties, they win over the defaults. `java_options` win over ours, e.g. `FULL_COMPILER`
    for a broker that is to run for long.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        port: int = 0,
        advertised: str | None = None,
        heap_mb: int = 512,
        config: Mapping[str, str] | None = None,
        java_options: Sequence[str] = (),
    ) -> None:
        self._temporary = data_dir is None
        self._data_dir = Path(tempfile.mkdtemp(prefix="logkeel-broker-")) if data_dir is None else data_dir.resolve()
        self._request = LaunchRequest(
            self._data_dir, port, advertised, heap_mb, dict(config or {}), tuple(java_options)
        )
        self._remove = self._data_dir if self._temporary else None
        self._process: SupervisedProcess | None = None
        self._note: BrokerNote | None = None

    @classmethod
    def of(cls, request: LaunchRequest, *, remove: Path | None = None) -> Self:
        """A broker as requested, e.g. a node of a cluster. `remove`: what goes if this process dies without closing."""
        broker = cls(request.data_dir)
        broker._request, broker._remove = request, remove
        return broker

    @property
    def data_dir(self) -> Path:
        """Where the broker keeps its data, its log and its note."""
        return self._data_dir

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` for clients, as advertised."""
        return self._started().advertised

    @property
    def listener(self) -> str:
        """`host:port` on which the broker itself listens: the target of a proxy."""
        return f"{HOST}:{self._started().ports.client}"

    @property
    def pid(self) -> int:
        """Process id of the last started broker."""
        return self._started().pid

    @property
    def is_running(self) -> bool:
        """Whether the broker's process lives."""
        return self._process is not None and not self._process.has_ended()

    def start(self) -> Self:
        """Start and wait until the broker takes work; does nothing if it runs.

        Raises: ArtifactsUnavailable, PortTaken, DiskFull, BrokerLocked, BrokerDied.
        """
        if self.is_running:
            return self
        self.stop()  # one that died by itself leaves its pipe to close
        process, note = launch(self._request, lambda *spawn: SupervisedProcess(*spawn, remove=self._remove))
        assert isinstance(process, SupervisedProcess)  # noqa: S101 - tells the type checker what the lambda made
        self._process, self._note = process, note
        self._request = replace(self._request, port=note.ports.client)
        atexit.register(self.close)
        return self

    def stop(self) -> None:
        """Stop and wait; the data stay. A node of a cluster stops in order (SIGTERM; SIGKILL after 20 s).

        One that is alone is killed (decision 0042): Kafka 4.1 and later, while they stop in order, forget the markers
        of transactions that are being committed (KAFKA-20734), and what those wrote can never be read.
        """
        if self._request.member is None:
            self.kill()
        elif self._process is not None:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        """Kill the broker (SIGKILL) and wait until it is gone; the data stay. `start` brings it back."""
        if self._process is not None:
            self._process.end_now()
            self._process = None

    def close(self) -> None:
        """Stop, and remove the data directory if it is a temporary one. May be called twice."""
        self.stop()
        atexit.unregister(self.close)
        if self._temporary:
            shutil.rmtree(self._data_dir, ignore_errors=True)

    def log_tail(self, lines: int = 20) -> list[str]:
        """The last lines of the broker's output."""
        return state.log_tail(self._data_dir, lines=lines)

    def _started(self) -> BrokerNote:
        if self._note is None:
            raise BrokerDied(
                "The embedded broker has not been started: call start() or use it as a context", log_tail=[]
            )
        return self._note


class SupervisedProcess(BrokerProcess):
    """The broker behind its supervisor; ends with this process."""

    def __init__(self, command: Sequence[str], output: int, lock: int, *, remove: Path | None) -> None:
        arguments = [sys.executable, "-I", "-S", str(_SUPERVISOR), str(os.getpid()), str(remove or ""), *command]
        self._supervisor = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            pass_fds=(lock,),
            env=java.environment(),
            start_new_session=True,  # Ctrl-C reaches the owner only, which then stops the broker in order
        )
        assert self._supervisor.stdout is not None  # noqa: S101 - opened as a pipe above
        with self._supervisor.stdout as line:
            self._pid = int(line.readline() or b"0")

    @property
    def pid(self) -> int:
        """Java's process id."""
        return self._pid

    def has_ended(self) -> bool:
        """Whether the supervisor has ended; it does so only after the broker."""
        return self._supervisor.poll() is not None

    def stop(self) -> None:
        """Ask for an orderly stop and wait."""
        self._ask(b"S")

    def end_now(self) -> None:
        """SIGKILL and wait."""
        if not self.has_ended() and self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        self._ask(b"S")

    def _ask(self, request: bytes) -> None:
        pipe = self._supervisor.stdin
        if pipe is not None and not pipe.closed:
            with contextlib.suppress(BrokenPipeError):
                pipe.write(request)
                pipe.flush()
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        try:
            self._supervisor.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()
