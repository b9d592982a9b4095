"""The systems under test: of which processes each consists, and with which settings."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypedDict, Unpack

from tests.bench.peers import environments, servers
from tests.bench.peers.processes import (
    Cost,
    Part,
    await_that,
    cost_of,
    directory_bytes,
    listens,
    memory_bytes,
)
from tests.bench.peers.servers import Server
from tests.ports import free_port

from logkeel.cli.provisioning import apply_application
from logkeel.cli.settings import Settings
from logkeel.cli.wiring import connect
from logkeel.log import Admin

ROOT = Path(__file__).parents[3]
OURS = os.pathsep.join(str(ROOT / part) for part in ("", "streams", "schemas", "processors"))
"""This checkout before any that is installed: what is measured is what is committed here."""

PARTITIONS = 4
ANSWER_S = 150.0


@dataclass
class Assembly:
    """The processes of one system. The driver is part of the system when there are no workers: the library's case."""

    driver: Part
    workers: list[Part]
    server: Server | None
    engine: Part | None = None
    """logkeel's; killed in the place of a server."""

    worker_port: int | None = None

    @property
    def under_test(self) -> list[int]:
        """Processes whose cost counts. A client that only asks is not among them."""
        parts = [*self.workers, *([self.engine] if self.engine else [])] or [self.driver]
        return [part.pid for part in parts if part.alive] + (self.server.pids if self.server else [])


@dataclass(frozen=True)
class Kind:
    """What is said of a system in the tables, and how it is put together."""

    name: str
    durability: str
    commits_every_step: bool
    environment: str | None
    needs: tuple[str, ...]
    assemble: Callable[[Path, "Given"], Assembly]
    next_step_means_recorded: bool = True
    """Whether a step's result is on record before the next step of its run begins."""


class Given(TypedDict, total=False):
    """What differs between uses of a system."""

    ledger: Path
    step_timeout_s: float
    history: bool


class System:
    """One system, running. Use as a context."""

    def __init__(self, kind: Kind, directory: Path, **given: Unpack[Given]) -> None:
        self.kind = kind
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)
        self.directory = directory
        self.parts = kind.assemble(directory, given)
        self._unread = b""

    def start(self) -> None:
        """Server, engine, workers, driver; each is up when the next begins."""
        if self.parts.server:
            self.parts.server.start()
        if self.parts.engine:
            self.parts.engine.start()
        for worker in self.parts.workers:
            self.start_worker(worker)
        self.start_driver()

    def start_worker(self, worker: Part) -> None:
        """A new life."""
        worker.start()
        if port := self.parts.worker_port:
            await_that(lambda: listens(port), worker)

    def start_driver(self) -> None:
        """A new life; waits until it is ready."""
        self._unread = b""
        self.parts.driver.start(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.answer(90.0)

    def ask(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Tell the driver what to do and wait for its answer."""
        self.tell(command)
        return self.answer(ANSWER_S)

    def tell(self, command: Mapping[str, Any]) -> None:
        """Tell the driver what to do."""
        assert self.parts.driver.handle is not None
        pipe = self.parts.driver.handle.stdin
        assert pipe is not None
        pipe.write(json.dumps(command).encode() + b"\n")
        pipe.flush()

    def answer(self, timeout_s: float) -> dict[str, Any]:
        """The next answer. Raises `RuntimeError` when the driver ends or says nothing in time."""
        deadline = time.monotonic() + timeout_s
        while (found := self.poll_answer(0.2)) is None:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.kind.name}: no answer in {timeout_s:.0f} s\n{self.parts.driver.tail()}")
        return found

    def poll_answer(self, wait_s: float) -> dict[str, Any] | None:
        """An answer if one has come."""
        assert self.parts.driver.handle is not None
        pipe = self.parts.driver.handle.stdout
        assert pipe is not None
        if b"\n" not in self._unread and select.select([pipe], [], [], wait_s)[0]:
            read = os.read(pipe.fileno(), 1 << 20)
            if not read:
                raise RuntimeError(f"{self.kind.name}: the driver ended\n{self.parts.driver.tail()}")
            self._unread += read
        if b"\n" not in self._unread:
            return None
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def cost(self) -> Cost:
        """So far, of what is under test."""
        return cost_of(self.parts.under_test)

    def memory(self) -> int:
        """Bytes now, of what is under test."""
        return memory_bytes(self.parts.under_test)

    def log_bytes(self) -> int:
        """Written to the log so far: PostgreSQL's own count of its write-ahead log, or the sizes of all files."""
        server = self.parts.server
        return server.log_bytes() if isinstance(server, servers.Postgres) else directory_bytes(self.directory)

    def kill_all(self) -> None:
        """kill -9 of everything, the client too."""
        for part in (self.parts.driver, *self.parts.workers, self.parts.engine):
            if part is not None:
                part.kill()
        if self.parts.server:
            self.parts.server.kill()

    def stop(self) -> None:
        """In order; then kill what is left."""
        for part in (self.parts.driver, *self.parts.workers, self.parts.engine):
            if part is not None:
                part.stop()
        if self.parts.server:
            self.parts.server.stop()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill_all()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        if exception[0] is not None:
            self.kill_all()
        self.stop()


def _environment(directory: Path, given: Given, **settings: object) -> dict[str, str]:
    named = {f"PEER_{name}": str(value) for name, value in settings.items()}
    ledger = {"CHAOS_LEDGER": str(given["ledger"])} if "ledger" in given else {}
    timeout = {"PEER_STEP_TIMEOUT_S": str(given.get("step_timeout_s", 10.0))}
    return {**named, **ledger, **timeout, "PEER_DIRECTORY": str(directory), "PYTHONPATH": OURS}


def _part(directory: Path, python: Path | str, program: str, adapter: str, environment: Mapping[str, str]) -> Part:
    command = [str(python), "-m", f"tests.bench.peers.{program}", adapter]
    return Part(program, command, directory / f"{program}.log", environment)


def _langgraph(durability: str, *, postgres: bool) -> Callable[[Path, Given], Assembly]:
    def assemble(directory: Path, given: Given) -> Assembly:
        server = servers.Postgres(directory) if postgres else None
        address = server.address if server else ""
        environment = _environment(directory, given, DURABILITY=durability, DATABASE=address)
        driver = _part(directory, environments.python_of("langgraph"), "drive", "langgraph", environment)
        return Assembly(driver, [], server)

    return assemble


def _dbos(directory: Path, given: Given) -> Assembly:
    server = servers.Postgres(directory)
    address = server.address.removesuffix("/postgres") + "/dbos"
    environment = _environment(directory, given, DATABASE=address)
    return Assembly(_part(directory, environments.python_of("dbos"), "drive", "dbos", environment), [], server)


def _restate(directory: Path, given: Given) -> Assembly:
    server, port = servers.Restate(directory), free_port()
    doors = {"INGRESS": f"http://127.0.0.1:{server.ingress}", "ADMIN": f"http://127.0.0.1:{server.admin}"}
    environment = _environment(directory, given, WORKER_PORT=port, **doors)
    python = environments.python_of("restate")
    driver, worker = (_part(directory, python, program, "restate", environment) for program in ("drive", "serve"))
    return Assembly(driver, [worker], server, worker_port=port)


def _temporal(directory: Path, given: Given) -> Assembly:
    server = servers.Temporal(directory)
    environment = _environment(directory, given, ADDRESS=server.address)
    python = environments.python_of("temporal")
    driver, worker = (_part(directory, python, program, "temporal", environment) for program in ("drive", "serve"))
    return Assembly(driver, [worker], server)


class _WithKafka:
    """Kafka has to run before topics can be made, so the parts get its address when it starts."""

    def __init__(self, kafka: servers.Kafka, ready: Callable[[str], None]) -> None:
        self._kafka, self._ready = kafka, ready

    def start(self) -> None:
        """Start, then make topics and hand the address on."""
        self._kafka.start()
        self._ready(self._kafka.address)

    def kill(self) -> None:
        """kill -9."""
        self._kafka.kill()

    def stop(self) -> None:
        """In order."""
        self._kafka.stop()

    @property
    def pids(self) -> list[int]:
        """Java."""
        return self._kafka.pids


def _faust(directory: Path, given: Given) -> Assembly:
    environment = _environment(directory, given)
    python = environments.python_of("faust")
    driver, worker = (_part(directory, python, program, "faust", environment) for program in ("drive", "serve"))

    def ready(address: str) -> None:
        environment["PEER_BOOTSTRAP"] = address

    return Assembly(driver, [worker], _WithKafka(servers.Kafka(directory), ready))


kept_open: list[Admin] = []
"""Never closed: librdkafka can crash when an admin client goes right after its last answer."""


def _logkeel(*, fsync: bool = False, in_one_process: bool = False) -> Callable[[Path, Given], Assembly]:
    def assemble(directory: Path, given: Given) -> Assembly:
        prefix, state = "bench", str(directory / "state")
        history = "yes" if given.get("history") else ""
        environment = _environment(directory, given, PREFIX=prefix, PARTITIONS=PARTITIONS, HISTORY=history)
        environment |= {"LOGKEEL_PREFIX": prefix, "LOGKEEL_STATE_DIR": state, "LOGKEEL_LOG_LEVEL": "warning"}
        served = "tests.bench.peers.adapters.logkeel_workflows"
        logkeel = [sys.executable, "-m", "logkeel.cli.main"]
        engine = Part("engine", [*logkeel, "engine"], directory / "engine.log", environment)
        command = [*logkeel, "serve" if in_one_process else "worker", served]
        worker = Part("worker", command, directory / "worker.log", environment)
        driver = _part(directory, sys.executable, "drive", "logkeel", environment)

        apart = None if in_one_process else engine

        def ready(address: str) -> None:
            environment.update(PEER_BOOTSTRAP=address, LOGKEEL_BOOTSTRAP_SERVERS=address)
            settings = Settings(bootstrap_servers=address, prefix=prefix, state_dir=state, partitions=PARTITIONS)
            kept_open.append(connect(settings).admin())
            apply_application(kept_open[-1], settings, ["default"])

        return Assembly(driver, [worker], _WithKafka(servers.Kafka(directory, fsync=fsync), ready), apart)

    return assemble


_PAGE_CACHE = "commit at each step; acks=all, 1 broker, not synced to disk (Kafka's default)"
_POSTGRES = "PostgreSQL, fsync on, synchronous_commit on"
KINDS = (
    Kind("logkeel", _PAGE_CACHE, True, None, (), _logkeel()),
    Kind("logkeel serve", _PAGE_CACHE, True, None, (), _logkeel(in_one_process=True)),
    Kind(
        "logkeel, fsync",
        "commit at each step; acks=all, 1 broker, every append synced (log.flush.interval.messages=1)",
        True,
        None,
        (),
        _logkeel(fsync=True),
    ),
    Kind(
        "LangGraph + PostgreSQL, sync",
        f"checkpoint before the next step; {_POSTGRES}",
        True,
        "langgraph",
        ("langgraph", "postgres"),
        _langgraph("sync", postgres=True),
    ),
    Kind(
        "LangGraph + PostgreSQL, exit",
        f"one checkpoint at the end of the run; {_POSTGRES}",
        False,
        "langgraph",
        ("langgraph", "postgres"),
        _langgraph("exit", postgres=True),
        next_step_means_recorded=False,
    ),
    Kind(
        "LangGraph + SQLite, sync",
        "checkpoint before the next step; SQLite, WAL, synchronous=FULL",
        True,
        "langgraph",
        ("langgraph",),
        _langgraph("sync", postgres=False),
    ),
    Kind(
        "LangGraph + SQLite, exit",
        "one checkpoint at the end of the run; SQLite, WAL, synchronous=FULL",
        False,
        "langgraph",
        ("langgraph",),
        _langgraph("exit", postgres=False),
        next_step_means_recorded=False,
    ),
    Kind("DBOS", f"step result before the next step; {_POSTGRES}", True, "dbos", ("dbos", "postgres"), _dbos),
    Kind(
        "Restate",
        "journal entry before the next step; 1 node, log synced to disk at each batch (its default)",
        True,
        "restate",
        ("restate", "npm"),
        _restate,
    ),
    Kind(
        "Temporal dev server",
        "history event before the next step; SQLite file (--db-filename)",
        True,
        "temporal",
        ("temporal",),
        _temporal,
    ),
    Kind(
        "Faust, exactly once",
        "a transaction every 100 ms (broker_commit_interval); acks=all, 1 broker, not synced to disk",
        True,
        "faust",
        ("faust",),
        _faust,
    ),
)
