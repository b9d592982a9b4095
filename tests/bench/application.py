"""Engine and worker, apart or in one process, on a broker of their own, and a client that counts completions."""

import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from tests.chaos.processes import Victim

from logkeel.cli.provisioning import apply_application
from logkeel.cli.settings import Settings
from logkeel.cli.wiring import connect
from logkeel.log import OutputRecord, Record, TopicPartition
from logkeel.log.partitioner import partition_for
from logkeel.records import FieldWrite, Payload, Request, RunCompleted, StartRun
from logkeel.wire import decode, encode

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
LIVENESS_S = 120.0
Inputs = tuple[FieldWrite, ...]


def inputs_of(**values: object) -> Inputs:
    """The input of a run, as JSON."""
    return tuple(
        FieldWrite(field=name, payload=Payload(encoding="json", data=json.dumps(value).encode()))
        for name, value in values.items()
    )


(NUMBER,) = inputs_of(number=7)
LOGKEEL = ("-m", "logkeel.cli.main")
MODULE = "tests.bench.workflow"
COMMANDS = {
    "apart": {"engine": ["engine"], "worker": ["worker"]},
    "serve": {"serve": ["serve"]},
}
SERVING = ("worker", "serve")
"""Those of the processes that are told which module's workflows they serve."""

FLOWS = "tests.bench.flow_workflows"
WARMING: dict[str, tuple[str, Inputs]] = {MODULE: ("noop", (NUMBER,)), FLOWS: ("one", inputs_of(value="x"))}
"""The run that shows that an application is up."""


class Application:
    """What the scenarios drive. `partitions` is the count of every topic; `kind`: which processes there are.

    `module`: whose workflows are served.
    """

    def __init__(
        self, bootstrap: str, directory: Path, partitions: int, kind: str = "apart", *, module: str = MODULE
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.partitions = partitions
        self._settings = Settings(
            bootstrap_servers=bootstrap,
            prefix=f"bench{uuid4().hex[:6]}",
            state_dir=str(directory),
            partitions=partitions,
        )
        self.names = self._settings.names
        self.client = connect(self._settings)
        apply_application(self.client.admin(), self._settings, ["default"])
        environment = {
            "LOGKEEL_BOOTSTRAP_SERVERS": bootstrap,
            "LOGKEEL_PREFIX": self._settings.prefix,
            "LOGKEEL_STATE_DIR": str(directory),
            "LOGKEEL_LOG_LEVEL": "warning",
        }
        self.processes = {
            name: Victim(name, [*LOGKEEL, *command, *serves], directory / f"{name}.log", environment)
            for name, command in COMMANDS[kind].items()
            for serves in [[module] if name in SERVING else []]
        }
        self._warming = WARMING[module]
        self._producer = self.client.producer()
        self._reader = self.client.reader("read_committed")
        self._reader.assign({TopicPartition(self.names.run_completions, n): 0 for n in range(partitions)})
        self.sent = 0
        self.completed = 0

    @property
    def engine(self) -> Victim:
        """The process that holds the engine."""
        return next(iter(self.processes.values()))

    def start(self) -> None:
        """Start them and wait until a run comes through."""
        for process in self.processes.values():
            process.start()
        self.run_alone(*self._warming)

    def stop(self) -> None:
        """End them, the engine last."""
        for process in reversed(self.processes.values()):
            process.stop()

    def cpu_s(self) -> dict[str, float]:
        """Processor seconds used so far by each process of the application, and by the client, which is this one."""
        return {**{name: cpu_s(each.pid) for name, each in self.processes.items()}, "client": cpu_s(os.getpid())}

    def log_client_s(self) -> dict[str, float]:
        """Of those seconds, what the threads of the log's client (librdkafka) have used in each process."""
        return {name: log_client_s(each.pid) for name, each in self.processes.items()}

    def request(self, count: int, workflow: str = "noop", inputs: Inputs | None = None) -> list[str]:
        """Start runs; their ids."""
        if inputs is None:
            inputs = () if workflow.startswith("big") else (NUMBER,)
        run_ids = [uuid4().hex for _ in range(count)]
        for run_id in run_ids:
            request = StartRun(workflow=workflow, run_id=run_id, request_id=run_id, inputs=inputs)
            home = partition_for(run_id.encode(), self.partitions)
            self._producer.produce(OutputRecord(self.names.run_requests, run_id.encode(), encode(request), home))
            self.sent += 1
        self._producer.poll(0.0)
        return run_ids

    def send(self, request: Request, run_id: str) -> None:
        """Ask something of a run that was started here."""
        key = run_id.encode()
        home = partition_for(key, self.partitions)
        self._producer.produce(OutputRecord(self.names.run_requests, key, encode(request), home))
        self._producer.poll(0.0)

    def poll(self, timeout_s: float = 0.05) -> int:
        """Count completions; returns how many came. All must have succeeded."""
        came = 0
        for record in self._reader.fetch(5_000, timeout_s).records:
            message = decode(record.value or b"")
            if not isinstance(message, RunCompleted) or message.status != "succeeded":
                raise AssertionError(f"a run did not succeed: {message}")
            came += 1
        self.completed += came
        return came

    def run_alone(self, workflow: str, inputs: Inputs | None = None, *, liveness_s: float = LIVENESS_S) -> float:
        """One run with nothing else going on; returns its seconds."""
        began = time.perf_counter()
        self.request(1, workflow, inputs)
        self.until(lambda: self.completed == self.sent, liveness_s=liveness_s)
        return time.perf_counter() - began

    def until(self, met: Callable[[], bool], *, liveness_s: float = LIVENESS_S) -> None:
        """Poll until it is met."""
        deadline = time.monotonic() + liveness_s
        while not met():
            self.poll()
            if time.monotonic() > deadline:
                tails = "\n".join(process.tail() for process in self.processes.values())
                raise AssertionError(f"nothing moves\n{tails}")

    def ends(self, topic: str) -> dict[TopicPartition, int]:
        """The present ends of a topic."""
        places = [TopicPartition(topic, number) for number in range(self.partitions)]
        admin = self.client.admin()
        try:
            return dict(admin.end_offsets(places, committed_only=True))
        finally:
            admin.close()

    def records(self, topic: str, since: dict[TopicPartition, int]) -> list[Record]:
        """Everything committed to a topic from `since` to its present end."""
        ends = {place: end for place, end in self.ends(topic).items() if end > since[place]}
        if not ends:
            return []
        reader = self.client.reader("read_committed")
        reader.assign({place: since[place] for place in ends})
        found: list[Record] = []
        reached: dict[TopicPartition, int] = {}
        while any(reached.get(place, 0) < end for place, end in ends.items()):
            fetched = reader.fetch(20_000, 0.2)
            found += fetched.records
            reached.update(fetched.ends)
        reader.close()
        return found


def size_of(record: Record) -> int:
    """Bytes of key and value."""
    return len(record.key or b"") + len(record.value or b"")


def cpu_s(pid: int) -> float:
    """User and system seconds a process has used (Linux)."""
    return _seconds(Path(f"/proc/{pid}/stat").read_text())


def log_client_s(pid: int) -> float:
    """As `cpu_s`, of the threads alone that librdkafka has named (`rdk:...`)."""
    found = 0.0
    for place in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            text = place.read_text()
            found += _seconds(text) if "(rdk:" in text else 0.0
    return found


def _seconds(stat: str) -> float:
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS
