"""An application in memory: simulated cluster, production engine and worker, all on the calling thread.

Time: while a step runs, the clock follows the real one; while nothing runs, it jumps, so back-offs and deadlines of
days pass at once. Steps run one batch after the other on one event loop, plain functions too; nothing is left behind.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from logkeel.errors import RunNotFound
from logkeel.exactly_once import LoopPorts, LoopSettings, TransactionalLoop
from logkeel.log import Admin, OutputRecord, TopicPartition, TopicPlan
from logkeel.log.partitioner import partition_for
from logkeel.payloads import PLAIN, PayloadChain
from logkeel.projection import HistoryReader
from logkeel.records import Request, RequestRejected, RunCompleted, RunEvent
from logkeel.records.topics import TopicNames, topic_policies
from logkeel.runs import DefinitionReader, RunProcessor, RunSettings
from logkeel.simulation import MemoryStoreDirectory, SimulatedClient, SimulatedClock, SimulatedCluster
from logkeel.steps import StepWorker, WorkerOptions, publish_definitions
from logkeel.steps.bound import RunnableWorkflow
from logkeel.wire import decode_as, encode
from logkeel.workflow import Workflow

FIRST_JUMP_MS = 10.0
LONGEST_JUMP_MS = 3_600_000.0
"""At first; after ten hours of quiet a tenth of it, so that a year takes no thousands of jumps."""

QUIET_MS = 400 * 24 * 3_600_000.0
"""Who does not move in so long waits for somebody outside."""

SETTLED_MS = 1_000.0
"""Jumps have grown beyond it: whatever was on its way has come."""

UNSTARTED = "started=-1"


def _unknown() -> None:
    """Nothing is known of what is to come."""


class MemoryApplication:
    """Workflows with everything they need to run; use it as a context manager, on a thread without an event loop.

    `resources` replaces openers of resources, by the function or by its name. `payloads` is the workers': who sends
    wraps, who looks unwraps. Not safe to share between threads.
    """

    def __init__(
        self,
        workflows: "Sequence[Workflow[Any]]",
        *,
        resources: Mapping[Any, Any] | None = None,
        partitions: int = 1,
        settings: RunSettings | None = None,
        runnable: "Sequence[RunnableWorkflow] | None" = None,
        payloads: PayloadChain = PLAIN,
    ) -> None:
        """Make topics, publish the workflows, start engine and workers. Raises `DefinitionError`.

        `runnable`: what workers run in place of the workflows, under the same definitions.
        """
        self.cluster = SimulatedCluster(SimulatedClock(int(time.time() * 1_000)))
        self.names = TopicNames("memory")
        self.client: SimulatedClient = self.cluster.client()
        self._partitions = partitions
        self._stopping = ExitStack()
        queues = sorted({step.queue for workflow in workflows for step in workflow.document().steps})
        _make_topics(self.client.admin(), self.names, queues, partitions)
        publish_definitions(self.client, self.names, workflows)
        with ExitStack() as stack:
            directory = Path(stack.enter_context(TemporaryDirectory(prefix="logkeel-memory-")))
            self._engine = self._make_engine(settings)
            stack.callback(self._engine.close)
            options = WorkerOptions(threaded=False, overrides=resources, payloads=payloads)
            self._workers = [
                self._make_worker(runnable or workflows, directory, replace(options, queue=queue)) for queue in queues
            ]
            for worker in self._workers:
                stack.callback(worker.close)
            self._producer = self.client.producer()
            self._completions = self.client.reader("read_committed")
            self._completions.assign({TopicPartition(self.names.run_completions, n): 0 for n in range(partitions)})
            self._outcomes: dict[str, RunCompleted | RequestRejected] = {}
            self._engine.start()
            self._stopping = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close workers, then the engine; idempotent."""
        self._stopping.close()

    def send(self, request: Request, *, key: str) -> None:
        """Put a request on the log of its home partition."""
        partition = partition_for(key.encode(), self._partitions)
        self._producer.produce(OutputRecord(self.names.run_requests, key.encode(), encode(request), partition))
        self._producer.flush(1.0)

    def run_until(
        self,
        met: Callable[[], bool],
        *,
        outside: Callable[[], bool] | None = None,
        due_ms: Callable[[], int | None] = _unknown,
    ) -> bool:
        """Turn engine and workers until `met`; False if no run moved for 400 days of the application's time.

        `outside` is called whenever nothing moves, before time jumps: it may send something, and says whether it did.
        `due_ms`: when time alone is known to bring something about; the clock jumps there as soon as all is quiet.
        """
        jump_ms, quiet_ms, written = FIRST_JUMP_MS, 0.0, self._written()
        while not met():
            began_s = time.monotonic()
            moved = self._engine.turn()
            for worker in self._workers:
                moved = worker.turn() or moved
            if self._written() != written:
                jump_ms, quiet_ms, written = FIRST_JUMP_MS, 0.0, self._written()
            if moved or any(worker.running for worker in self._workers):
                self.cluster.advance((time.monotonic() - began_s) * 1_000)
            elif outside is not None and outside():
                pass
            elif jump_ms > SETTLED_MS and (ahead_ms := (due_ms() or 0) - self.cluster.clock.now_ms()) > 0:
                self.cluster.advance(ahead_ms)
            elif quiet_ms > QUIET_MS:
                return False
            else:
                self.cluster.advance(jump_ms)
                quiet_ms += jump_ms
                jump_ms = min(2 * jump_ms, max(LONGEST_JUMP_MS, quiet_ms / 10))
        return True

    def _written(self) -> int:
        """Grows with each thing that happens to a run; the engine's own housekeeping does not count."""
        topics = (self.names.run_events, self.names.run_completions)
        return sum(self.cluster.log(TopicPartition(name, n)).end for name in topics for n in range(self._partitions))

    def outcome(self, run_id: str) -> RunCompleted | RequestRejected | None:
        """How a run ended, or why its start was rejected; None while neither is known."""
        for record in self._completions.fetch(1_000, 0.0).records:
            message = decode_as(record.value or b"", RunCompleted, RequestRejected)
            if isinstance(message, RunCompleted | RequestRejected) and message.run_id is not None:
                self._outcomes.setdefault(message.run_id, message)
        return self._outcomes.get(run_id)

    def history(self, run_id: str) -> list[RunEvent]:
        """The events of a run, in order; empty if there is no such run."""
        reader = HistoryReader(self.client, self.names, run_id=run_id)
        try:
            projection = reader.catch_up()
        finally:
            reader.close()
        try:
            return list(projection.history(run_id))
        except RunNotFound:
            return []

    def _make_engine(self, settings: RunSettings | None) -> TransactionalLoop:
        return TransactionalLoop(
            LoopPorts(self.client, self.cluster.clock, MemoryStoreDirectory()),
            RunProcessor(self.names, partitions=self._partitions, settings=settings),
            LoopSettings(application="memory", group_id=self.names.engine_group, background_threads=False),
            side_source=DefinitionReader(
                self.client.reader("read_committed"), self.client.admin(), self.names.workflow_definitions
            ),
        )

    def _make_worker(
        self, workflows: Sequence[RunnableWorkflow], directory: Path, options: WorkerOptions
    ) -> StepWorker:
        return StepWorker(
            self.client,
            workflows,
            names=self.names,
            clock=self.cluster.clock,
            state_dir=directory,
            options=options,
        )


def _make_topics(admin: Admin, names: TopicNames, queues: Sequence[str], partitions: int) -> None:
    policies = topic_policies(names, queues)
    admin.create_topics([TopicPlan(each.name, each.partitions or partitions, 1, each.config) for each in policies])
    for queue in queues:
        marks = {TopicPartition(names.step_commands(queue), number): (0, UNSTARTED) for number in range(partitions)}
        admin.set_group_offsets(names.worker_group(queue), marks)
