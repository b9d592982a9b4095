"""An application on a real broker: topics, an engine and a worker on threads of this process, and its records."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from logkeel.cli.provisioning import apply_application
from logkeel.cli.settings import Settings
from logkeel.exactly_once import LoopPorts, LoopSettings, TransactionalLoop, Unobserved
from logkeel.kafka import KafkaLogClient, SystemClock
from logkeel.log import Header, OutputRecord, Record, TopicPartition
from logkeel.log.partitioner import partition_for
from logkeel.records import RequestRejected, RunCompleted, RunEvent
from logkeel.runs import DefinitionReader, RunProcessor, RunSettings
from logkeel.steps import StepWorker, WorkerOptions, publish_definitions
from logkeel.tables import RocksStoreDirectory
from logkeel.wire import decode
from logkeel.workflow import Workflow

T = TypeVar("T")
LIVENESS_S = 100.0


class Poisoned(Unobserved):
    """Remembers what the loop complained about."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []

    def poisoned(self, topic: str, partition: int, offset: int, error: Exception) -> None:
        """Kept for messages of failing tests."""
        self.errors.append(error)


class Application:
    """What a test may do to an application and read of it."""

    def __init__(self, bootstrap: str, *, partitions: int, queues: Sequence[str] = ("default",)) -> None:
        self.client = KafkaLogClient(bootstrap)
        self.settings = Settings(bootstrap_servers=bootstrap, prefix=f"t{uuid4().hex[:8]}", partitions=partitions)
        self.names = self.settings.names
        self._admin = self.client.admin()
        apply_application(self._admin, self.settings, queues)
        self._producer = self.client.producer()
        self._records: dict[str, list[Record]] = {}
        self._reader = self.client.reader("read_committed")
        names = (self.names.run_completions, self.names.run_events, self.names.dead_letters)
        found = self._admin.describe_topics(names)
        partitions_read = {TopicPartition(n, p): 0 for n in names for p in range(found[n].partitions)}
        self._read = partitions_read
        self._reader.assign(dict(partitions_read))

    def send(
        self,
        value: bytes | dict[str, Any] | None,
        *,
        key: str | None = None,
        partition: int | None = None,
        topic: str | None = None,
        headers: tuple[Header, ...] = (),
    ) -> None:
        """Produce one record, a request unless `topic` says otherwise, and wait until it is on the log."""
        data = json.dumps(value).encode() if isinstance(value, dict) else value
        name = topic or self.names.run_requests
        self._producer.produce(OutputRecord(name, key.encode() if key else None, data, partition, headers))
        self._producer.flush(10)

    def home_of(self, run_id: str) -> int:
        """The home partition of a run."""
        return partition_for(run_id.encode(), self.settings.partitions)

    def completion(self, run_id: str) -> RunCompleted:
        """The first completion of a run."""
        return self.awaited(lambda: next((c for c in self.completions() if c.run_id == run_id), None))

    def rejection(self, run_id: str | None = None, *, request_id: str | None = None) -> RequestRejected:
        """The first rejection about a run or a request."""
        return self.awaited(
            lambda: next(
                (r for r in self.rejections() if run_id in (None, r.run_id) and request_id in (None, r.request_id)),
                None,
            )
        )

    def dead_letter(self, value: bytes) -> Record:
        """The dead letter with these bytes."""
        return self.awaited(lambda: next((r for r in self._of(self.names.dead_letters) if r.value == value), None))

    def completions(self) -> list[RunCompleted]:
        """Everything on `run-completions` that is a completion."""
        return [message for message in self._decoded(self.names.run_completions) if isinstance(message, RunCompleted)]

    def rejections(self) -> list[RequestRejected]:
        """Everything on `run-completions` that is a rejection."""
        found = self._decoded(self.names.run_completions)
        return [message for message in found if isinstance(message, RequestRejected)]

    def history(self, run_id: str) -> list[RunEvent]:
        """The events of a run, with what belongs to a completion that was seen: its marker may come later here."""
        places = [place for place in self._read if place.topic == self.names.run_events]
        ends = self._admin.end_offsets(places, committed_only=False)
        self.awaited(lambda: all(self._read[place] >= end for place, end in ends.items()) or None)
        found = self._decoded(self.names.run_events)
        return [message for message in found if isinstance(message, RunEvent) and message.run_id == run_id]

    def awaited(self, look: Callable[[], T | None]) -> T:
        """Read until `look` finds something."""
        deadline_s = time.monotonic() + LIVENESS_S
        while True:
            self.poll()
            found = look()
            if found is not None:
                return found
            assert time.monotonic() < deadline_s, "nothing came"

    def poll(self, timeout_s: float = 0.05) -> None:
        """Read what is there."""
        fetched = self._reader.fetch(1_000, timeout_s)
        for record in fetched.records:
            self._records.setdefault(record.topic, []).append(record)
            self._read[record.source] = record.offset + 1
        for place, end in fetched.ends.items():
            self._read[place] = max(end, self._read[place])

    def close(self) -> None:
        """Release the clients."""
        self._reader.close()
        self._producer.close()
        self._admin.close()

    def _of(self, topic: str) -> list[Record]:
        return self._records.get(topic, [])

    def _decoded(self, topic: str) -> Iterator[object]:
        return (decode(record.value) for record in self._of(topic) if record.value is not None)


@contextmanager
def running(
    bootstrap: str,
    directory: Path,
    workflows: "list[Workflow[Any]]",
    *,
    partitions: int = 2,
    settings: RunSettings | None = None,
    queues: Sequence[str] = ("default",),
) -> Iterator[Application]:
    """An application with one engine and, if there are workflows, one worker of the default queue.

    Both are stopped at the end, and must have ended well.
    """
    app = Application(bootstrap, partitions=partitions, queues=queues)
    stop, failures = threading.Event(), []
    loop = TransactionalLoop(
        LoopPorts(app.client, SystemClock(), RocksStoreDirectory(directory / "tables")),
        RunProcessor(app.names, partitions=partitions, settings=settings),
        LoopSettings(application=app.settings.prefix, group_id=app.names.engine_group),
        side_source=DefinitionReader(
            app.client.reader("read_committed"), app.client.admin(), app.names.workflow_definitions
        ),
        observer=Poisoned(),
    )
    targets = [loop.run]
    if workflows:
        publish_definitions(app.client, app.names, workflows)
        options = WorkerOptions(slot=0, drain_s=2.0)
        worker = StepWorker(
            app.client, workflows, names=app.names, clock=SystemClock(), state_dir=directory, options=options
        )
        targets.append(worker.run)

    def run(target: Callable[[threading.Event], None]) -> None:
        try:
            target(stop)
        except Exception as error:  # noqa: BLE001 - told to the test's thread
            failures.append(error)

    threads = [threading.Thread(target=run, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    try:
        yield app
    finally:
        stop.set()
        for thread in threads:
            thread.join(LIVENESS_S)
        app.close()
    assert not failures, failures
