"""A broker that outlives the process which started it, on purpose: what `logkeel broker start|stop|status` do.

The data directory is its handle: a lock held by the broker's process says that it runs, a note says where.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from logkeel.broker import java, state
from logkeel.broker.launch import LaunchRequest, launch
from logkeel.broker.membership import ClusterPlan, read_plan
from logkeel.errors import BrokerLocked

_KILL_TIMEOUT_S: Final = 10.0
_POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """What is known of the broker of a data directory; without a running broker only the directory."""

    running: bool
    data_dir: str
    bootstrap_servers: str | None = None
    pid: int | None = None
    nodes: "tuple[BrokerStatus, ...]" = ()
    """Of a cluster, in the order of their ids."""


class DetachedProcess:
    """A broker in a session of its own, with no tie to this process but the lock it inherited."""

    def __init__(self, command: Sequence[str], output: int, lock: int) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(lock,),
            env=java.environment(),
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Java's process id."""
        return self._process.pid

    def has_ended(self) -> bool:
        """Whether the broker has ended."""
        return self._process.poll() is not None

    def end_now(self) -> None:
        """SIGKILL and wait."""
        self._process.kill()
        self._process.wait()

    def let_go(self) -> None:
        """Forget the child: it goes on when this process ends."""
        self._process.returncode = 0  # else the interpreter warns that the child still runs


def start(request: LaunchRequest) -> BrokerStatus:
    """Start a broker that stays; one that already runs in the data directory is left as it is.

    Raises: ArtifactsUnavailable, PortTaken, DiskFull, BrokerLocked, BrokerDied.
    """
    request = replace(request, data_dir=request.data_dir.resolve())
    now = status(request.data_dir)
    if now.running and now.bootstrap_servers:
        return now
    process, _ = launch(request, DetachedProcess)
    if isinstance(process, DetachedProcess):
        process.let_go()
    return status(request.data_dir)


def status(data_dir: Path) -> BrokerStatus:
    """Whether a broker or a cluster runs in the data directory, and where it listens."""
    data_dir = data_dir.resolve()
    plan = read_plan(data_dir)
    if plan is not None:
        return _status_of_cluster(plan)
    note = state.read_note(data_dir)
    if not state.is_running(data_dir):
        return BrokerStatus(running=False, data_dir=str(data_dir))
    if note is None or not is_broker_of(note.pid, data_dir):
        return BrokerStatus(running=True, data_dir=str(data_dir))  # on its way up
    return BrokerStatus(running=True, data_dir=str(data_dir), bootstrap_servers=note.advertised, pid=note.pid)


def _status_of_cluster(plan: ClusterPlan) -> BrokerStatus:
    nodes = tuple(status(plan.directory(node)) for node in plan.ids)
    found = [node.bootstrap_servers for node in nodes if node.bootstrap_servers]
    running = any(node.running for node in nodes)
    return BrokerStatus(running, str(plan.data_dir), ",".join(found) or None, nodes=nodes)


def stop(data_dir: Path, *, patience_s: float = 0.0) -> bool:
    """Stop the broker of the data directory (SIGTERM, after `patience_s` SIGKILL) and wait; False if none runs.

    Without patience it is killed at once, as one must be that has no other to hand its partitions to: decision 0042.
    Raises: BrokerLocked when the directory is held by a process that is not the noted broker.
    """
    data_dir = data_dir.resolve()
    if not state.is_running(data_dir):
        return False
    note = state.read_note(data_dir)
    if note is None or not is_broker_of(note.pid, data_dir):
        raise BrokerLocked(
            f"{data_dir} is held by a broker that is starting or that logkeel does not know: try again in a minute",
            data_dir=str(data_dir),
            pid=None,
        )
    in_order = [(signal.SIGTERM, patience_s)] if patience_s else []
    for number, wait_s in (*in_order, (signal.SIGKILL, _KILL_TIMEOUT_S)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(note.pid, number)
        if wait_until_free(data_dir, timeout_s=wait_s):
            return True
    return False


def wait_until_free(data_dir: Path, *, timeout_s: float) -> bool:
    """Wait until no broker holds the data directory; False after the time-out."""
    deadline = time.monotonic() + timeout_s
    while state.is_running(data_dir):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def is_broker_of(pid: int, data_dir: Path) -> bool:
    """Whether the process is a broker of this data directory: process ids are given again after a restart."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except FileNotFoundError:
        asked = subprocess.run(["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False)
        command = asked.stdout.decode("utf-8", "replace").split()
    return java.MAIN_CLASS in command and str(data_dir / "server.properties") in command
