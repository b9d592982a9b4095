"""Starts a broker process in a data directory and waits until it takes work; used by both ways of running one.

Order: lock, room on the disk, jars and archive, ports, properties, format, fence, process, ready. Every failure on the
way leaves no process and no lock behind.
"""

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

from logkeel.broker import ports as tcp
from logkeel.broker.fencing import fence, needs_fencing
from logkeel.broker.locking import take
from logkeel.broker.places import cache_directory
from logkeel.broker.runtime import Runtime, prepare
from logkeel.broker.security import Security
from logkeel.broker.settings import HOST, BrokerSettings, Member, Ports
from logkeel.broker.spawning import BrokerProcess, Spawn, until
from logkeel.broker.state import BrokerNote, lock_path, log_path, log_tail, read_note, says_started, write_note
from logkeel.errors import BrokerDied, BrokerLocked, DiskFull, PortTaken

# Kafka's index files are sparse, its segments grow: this is room for a day of tests, not for production.
NEEDED_BYTES: Final = 256 * 1024 * 1024
_READY_TIMEOUT_S: Final = 120.0
# A killed broker holds its files until the last of its threads has ended.
_LOCK_PATIENCE_S: Final = 2.0
_LOCK_POLL_S: Final = 0.03
_LOG_KEEP_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """What a broker shall be: `port` 0 means the remembered one, else any free one.

    A node of a cluster keeps its `ports`, since the other nodes know them.
    """

    data_dir: Path
    port: int = 0
    advertised: str | None = None
    heap_mb: int = 512
    config: Mapping[str, str] = field(default_factory=dict)
    java_options: tuple[str, ...] = ()
    member: Member | None = None
    ports: Ports | None = None
    security: Security | None = None
    """None: plain connections, and everybody may do everything."""


def launch(request: LaunchRequest, spawn: Spawn) -> tuple[BrokerProcess, BrokerNote]:
    """Start a broker and wait until it takes work.

    Raises: ArtifactsUnavailable, PortTaken, DiskFull, BrokerLocked, BrokerDied.
    """
    request.data_dir.mkdir(parents=True, exist_ok=True)
    lock = _lock(request.data_dir)
    try:
        _require_room(request.data_dir)
        runtime = prepare(cache_directory(os.environ, Path.home()))
        ports = require_free(request.ports) or choose_ports(request.port, read_note(request.data_dir))
        return _launch_locked(request, ports, runtime=runtime, lock=lock, spawn=spawn)
    finally:
        os.close(lock)  # the broker's process holds its own copy


def choose_ports(wanted: int, note: BrokerNote | None) -> Ports:
    """The wanted port, else the remembered one if it is free, else any; the inner ones as remembered, likewise.

    A broker that comes back elsewhere is not found by its own transaction coordinator, which goes on sending markers to
    where it was: transactions stay open, and with them everybody's last stable offset.

    Raises: PortTaken when the wanted port is in use.
    """
    if wanted and not tcp.is_free(wanted):
        _port_taken(wanted)
    before = note.ports if note is not None else Ports(0, 0, 0)
    client = wanted or _again(before.client, frozenset())
    internal = _again(before.internal, frozenset({client}))
    return Ports(client, internal, _again(before.controller, frozenset({client, internal})))


def _again(remembered: int, taken: frozenset[int]) -> int:
    if remembered and remembered not in taken and tcp.is_free(remembered):
        return remembered
    return tcp.pick(excluding=taken)


def require_free(ports: Ports | None) -> Ports | None:
    """The given ports, all of which must be free. Raises: PortTaken."""
    for port in (ports.client, ports.internal, ports.controller) if ports else ():
        if not tcp.is_free(port):
            _port_taken(port)
    return ports


def _lock(data_dir: Path) -> int:
    deadline = time.monotonic() + _LOCK_PATIENCE_S
    while (lock := take(lock_path(data_dir))) is None:
        if time.monotonic() > deadline:
            _locked(data_dir)
        time.sleep(_LOCK_POLL_S)
    return lock


def _launch_locked(
    request: LaunchRequest, ports: Ports, *, runtime: Runtime, lock: int, spawn: Spawn
) -> tuple[BrokerProcess, BrokerNote]:
    advertised = request.advertised or f"{HOST}:{ports.client}"
    config = request.config
    if request.security is not None:
        request.security.prepare()
        config = {**request.security.properties(), **config}
    settings = BrokerSettings(request.data_dir, ports, advertised, config, request.member)
    properties = request.data_dir / "server.properties"
    properties.touch(mode=0o600)  # it may hold passwords
    properties.write_text(settings.text(), encoding="utf-8")
    if request.security is None:
        runtime.format(settings.log_dir, request.member)
    else:
        runtime.format_with_users(settings.log_dir, properties, request.security.format_arguments())
    if needs_fencing(settings):
        fence(settings, runtime, spawn, lock)
    _keep_log_small(log_path(request.data_dir))
    logged_bytes = log_path(request.data_dir).stat().st_size if log_path(request.data_dir).exists() else 0
    output = os.open(log_path(request.data_dir), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        process = spawn(
            runtime.command(properties, heap_mb=request.heap_mb, java_options=request.java_options), output, lock
        )
    finally:
        os.close(output)
    try:
        if request.security is None:
            _await_ready(process, ports.client, request.data_dir, lambda: tcp.serves_metadata(ports.client))
        else:  # it answers nobody in the clear
            _await_ready(
                process, ports.client, request.data_dir, lambda: says_started(request.data_dir, since=logged_bytes)
            )
        note = BrokerNote(process.pid, advertised, ports)
        write_note(request.data_dir, note)
    except BaseException:
        process.end_now()
        raise
    return process, note


def _await_ready(process: BrokerProcess, port: int, data_dir: Path, is_ready: Callable[[], bool]) -> None:
    if until(is_ready, process, _READY_TIMEOUT_S):
        return
    late = f"was not ready within {_READY_TIMEOUT_S:.0f} s"
    died(data_dir, "while starting" if process.has_ended() else late, port=port)


def died(data_dir: Path, when: str, *, port: int) -> NoReturn:
    """Raise what the broker's last lines tell: PortTaken, DiskFull or BrokerDied."""
    tail = log_tail(data_dir)
    text = "\n".join(tail)
    if "Address already in use" in text:
        _port_taken(port)
    if "No space left on device" in text:
        _disk_full(data_dir, shutil.disk_usage(data_dir).free)
    raise BrokerDied(
        f"The embedded broker ended {when} (data directory {data_dir}); its last lines:\n{text}",
        data_dir=str(data_dir),
        log_tail=tail,
    )


def _require_room(data_dir: Path) -> None:
    free_bytes = shutil.disk_usage(data_dir).free
    if free_bytes < NEEDED_BYTES:
        _disk_full(data_dir, free_bytes)


def _keep_log_small(path: Path) -> None:
    if path.exists() and path.stat().st_size > _LOG_KEEP_BYTES:
        path.replace(path.with_suffix(".log.1"))


def _disk_full(data_dir: Path, free_bytes: int) -> NoReturn:
    raise DiskFull(
        f"{data_dir} has {free_bytes >> 20} MiB free, the broker needs {NEEDED_BYTES >> 20} MiB: "
        "make room, or choose another data directory (--data-dir)",
        path=str(data_dir),
        free_bytes=free_bytes,
        needed_bytes=NEEDED_BYTES,
    )


def _port_taken(port: int) -> NoReturn:
    raise PortTaken(
        f"Port {port} on {HOST} is in use by another process: choose another one (--port), or 0 for any free one",
        port=port,
    )


def _locked(data_dir: Path) -> NoReturn:
    note = read_note(data_dir)
    holder = f" (process {note.pid}, {note.listener})" if note is not None else ""
    raise BrokerLocked(
        f"Another broker runs in {data_dir}{holder}: stop it (logkeel broker stop --data-dir {data_dir}), "
        "use it (--bootstrap-servers), or choose another data directory",
        data_dir=str(data_dir),
        pid=note.pid if note is not None else None,
    )
