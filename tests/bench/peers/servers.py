"""The servers that systems under test stand on, each as its documentation starts it for durable work."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Protocol

from tests.bench.peers import environments
from tests.bench.peers.processes import Part, await_that, listens
from tests.ports import free_port

from logkeel.broker import EmbeddedBroker
from logkeel.broker.java import FULL_COMPILER


class Server(Protocol):
    """Started empty; killed and started again with its data."""

    def start(self) -> None:
        """Start and wait until it answers."""

    def kill(self) -> None:
        """kill -9."""

    def stop(self) -> None:
        """In order."""

    @property
    def pids(self) -> list[int]:
        """Its processes; their descendants count too."""


class PartServer:
    """One process that listens on a port when it is up."""

    def __init__(self, part: Part, port: int) -> None:
        self.part = part
        self.port = port

    def start(self) -> None:
        """Start and wait until it listens."""
        self.part.start()
        await_that(lambda: listens(self.port), self.part)

    def kill(self) -> None:
        """kill -9."""
        self.part.kill()

    def stop(self) -> None:
        """In order."""
        self.part.stop()

    @property
    def pids(self) -> list[int]:
        """Its process."""
        return [self.part.pid] if self.part.alive else []


class Postgres(PartServer):
    """PostgreSQL with its defaults: fsync on, synchronous_commit on; as an unprivileged user, on loopback."""

    def __init__(self, directory: Path) -> None:
        programs = environments.postgres_bin()
        assert programs is not None
        self._programs = programs
        self._data = directory / "postgres"
        self._user = _unprivileged()
        port = free_port()
        options = ["-p", str(port), "-h", "127.0.0.1", "-k", ""]
        command = [str(programs / "postgres"), "-D", str(self._data), *options]
        super().__init__(Part("postgres", command, directory / "postgres.log", user=self._user), port)

    @property
    def address(self) -> str:
        """Of a database that anybody on loopback may use."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Make the database if there is none, start, and wait until it takes queries."""
        if not self._data.exists():
            self._data.mkdir()
            if self._user:
                shutil.chown(self._data, self._user)
            initdb = [str(self._programs / "initdb"), "-D", str(self._data), "-U", "postgres", "-A", "trust"]
            subprocess.run(initdb, user=self._user, check=True, capture_output=True, cwd="/")
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        self.part.start()
        ready = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        await_that(lambda: subprocess.run(ready).returncode == 0, self.part)

    def log_bytes(self) -> int:
        """Written to the write-ahead log so far. Its files do not tell: they are made whole, and used again."""
        query = [str(self._programs / "psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-At"]
        query += ["-c", "select pg_current_wal_lsn() - '0/0'"]
        return int(subprocess.run(query, check=True, capture_output=True, text=True).stdout)


class Restate(PartServer):
    """Restate's server, one node; its log is synced to disk at each batch (its default)."""

    def __init__(self, directory: Path) -> None:
        self.ingress, self.admin, node = free_port(), free_port(), free_port()
        environment = {
            "RESTATE_BASE_DIR": str(directory / "restate"),
            "RESTATE_NODE_NAME": "bench",
            "RESTATE_DISABLE_TELEMETRY": "true",
            "RESTATE_LOG_FILTER": "error",
            "RESTATE_LISTEN_MODE": "tcp",
            "RESTATE_BIND_IP": "127.0.0.1",
            "RESTATE_BIND_PORT": str(node),
            "RESTATE_INGRESS__BIND_PORT": str(self.ingress),
            "RESTATE_ADMIN__BIND_PORT": str(self.admin),
        }
        command = [str(environments.restate_server())]
        super().__init__(Part("restate", command, directory / "restate.log", environment), self.ingress)

    def start(self) -> None:
        """Start and wait until both its doors are open."""
        super().start()
        await_that(lambda: listens(self.admin), self.part)


class Temporal(PartServer):
    """Temporal's development server, its state in a SQLite file."""

    def __init__(self, directory: Path) -> None:
        port, http = free_port(), free_port()
        binary = environments.python_of("temporal").with_name("temporal")
        options = ["--headless", "--ip", "127.0.0.1", "--port", str(port), "--http-port", str(http)]
        options += ["--db-filename", str(directory / "temporal.db"), "--log-level", "error"]
        command = [str(binary), "server", "start-dev", *options]
        super().__init__(Part("temporal", command, directory / "temporal.log"), port)
        self.address = f"127.0.0.1:{port}"


class Kafka:
    """One broker of Apache Kafka; `fsync`: each append is synced to disk before it is acknowledged."""

    def __init__(self, directory: Path, *, fsync: bool = False) -> None:
        config = {"log.flush.interval.messages": "1"} if fsync else {}
        self._broker = EmbeddedBroker(directory / "kafka", config=config, java_options=[FULL_COMPILER])

    @property
    def address(self) -> str:
        """Bootstrap servers."""
        return self._broker.bootstrap_servers

    def start(self) -> None:
        """Start and wait until it takes work."""
        self._broker.start()

    def kill(self) -> None:
        """kill -9."""
        self._broker.kill()

    def stop(self) -> None:
        """In order."""
        self._broker.close()

    @property
    def pids(self) -> list[int]:
        """Java."""
        return [self._broker.pid] if self._broker.is_running else []


def _unprivileged() -> str | None:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
