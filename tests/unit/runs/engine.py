"""An application with a real engine on the simulated cluster, stepped by the test: requests in, records out."""

from collections.abc import Iterator
from typing import TypeVar

from tests.unit.runs.scripts import T0, text

from logkeel.cli.provisioning import apply_application
from logkeel.cli.settings import Settings
from logkeel.definitions import digest_of, encode_document
from logkeel.exactly_once import LoopPorts, LoopSettings, TransactionalLoop
from logkeel.log import Header, OutputRecord, Record, TopicPartition
from logkeel.log.partitioner import partition_for
from logkeel.records import (
    ErrorInfo,
    Request,
    RequestRejected,
    RunCompleted,
    RunEvent,
    StartRun,
    StepAnswer,
    StepCommand,
    StepFailed,
    StepReleased,
    StepSucceeded,
    WorkflowDefinition,
)
from logkeel.runs import DefinitionReader, RunProcessor, RunSettings
from logkeel.runs.core.plan import Plan
from logkeel.simulation import MemoryStoreDirectory, SimulatedCluster
from logkeel.wire import decode, encode

T = TypeVar("T")


class Engine:
    """One application with an engine, which is stepped."""

    def __init__(self, partitions: int = 1, settings: RunSettings | None = None) -> None:
        self.cluster = SimulatedCluster()
        self.client = self.cluster.client()
        self.partitions = partitions
        self.settings = settings
        self.names = Settings(prefix="app").names
        apply_application(self.client.admin(), Settings(prefix="app", partitions=partitions), ["default"])
        self.producer = self.client.producer()
        self.stores = MemoryStoreDirectory()
        self.loop = self.boot()

    def boot(self) -> TransactionalLoop:
        """An engine on what the one before left."""
        admin, reader = self.client.admin(), self.client.reader("read_committed")
        loop = TransactionalLoop(
            LoopPorts(self.client, self.cluster.clock, self.stores),
            RunProcessor(self.names, partitions=self.partitions, settings=self.settings),
            LoopSettings(application="app", group_id=self.names.engine_group, background_threads=False),
            side_source=DefinitionReader(reader, admin, self.names.workflow_definitions),
        )
        loop.start()
        return loop

    def turns(self, count: int = 20) -> None:
        """Step; time passes while there is nothing to do."""
        for _ in range(count):
            if not self.loop.turn():
                self.cluster.advance(100)

    def publish(self, plan: Plan) -> str:
        """Publish `work@1`, or what it is called, with this content; answers its digest."""
        digest = self.put(plan)
        self.turns()
        return digest

    def put(self, plan: Plan) -> str:
        """Put a definition on the log, without a turn of the engine; answers its digest."""
        document = plan.document
        definition = WorkflowDefinition(
            name=document.name,
            version=document.version,
            digest=digest_of(encode_document(document)),
            schema_version=document.schema_version,
            document=encode_document(document),
            published_at_ms=T0,
        )
        key = f"{document.name}@{document.version}".encode()
        self.producer.produce(OutputRecord(self.names.workflow_definitions, key, encode(definition), 0))
        return definition.digest

    def ask(
        self,
        request: Request,
        *,
        partition: int | None = None,
        headers: tuple[Header, ...] = (),
    ) -> bytes:
        """Send a request, to its home unless told otherwise, and let the engine work; answers its bytes."""
        value = self.send(request, partition=partition, headers=headers)
        self.turns()
        return value

    def send(self, request: Request, *, partition: int | None = None, headers: tuple[Header, ...] = ()) -> bytes:
        """Put a request on the log, without a turn of the engine; answers its bytes."""
        value = encode(request)
        home = partition_for((request.run_id or "").encode(), self.partitions)
        number = home if partition is None else partition
        self.producer.produce(OutputRecord(self.names.run_requests, None, value, number, headers))
        return value

    def succeed(self, command: StepCommand, *, value: str = "done") -> None:
        """What a worker answers that ran it."""
        outcome = StepSucceeded(
            identity=command.identity,
            holder="w",
            started_at_ms=T0,
            finished_at_ms=T0,
            writes=(text(command.identity.step, value),),
        )
        self.answer(command, outcome)

    def fail(self, command: StepCommand) -> None:
        """What a worker answers where the step has failed for good."""
        error = ErrorInfo(code="boom", message="it broke", kind="fatal")
        outcome = StepFailed(identity=command.identity, holder="w", started_at_ms=T0, finished_at_ms=T0, error=error)
        self.answer(command, outcome)

    def release(self, command: StepCommand) -> None:
        """What a worker answers that stopped while it ran."""
        self.answer(command, StepReleased(identity=command.identity, holder="w", was_started=True, started_at_ms=T0))

    def answer(self, command: StepCommand, outcome: StepAnswer) -> None:
        """Send it home."""
        self.producer.produce(OutputRecord(self.names.step_results, b"r", encode(outcome), command.home_partition))
        self.turns()

    def records(self, topic: str) -> Iterator[Record]:
        """What is committed on a topic."""
        description = self.cluster.description(topic)
        assert description is not None
        for number in range(description.partitions):
            records, _ = self.cluster.log(TopicPartition(topic, number)).read(0, 10_000, committed_only=True)
            yield from records

    def told(self, topic: str, kind: type[T]) -> list[T]:
        """Messages of one kind on a topic."""
        found = (decode(record.value) for record in self.records(topic) if record.value is not None)
        return [message for message in found if isinstance(message, kind)]

    def history(self) -> list[str]:
        """Kinds of all events."""
        return [event.kind for event in self.told(self.names.run_events, RunEvent)]

    def commands(self) -> list[StepCommand]:
        """What was dispatched."""
        return self.told(self.names.step_commands(), StepCommand)

    def completions(self) -> list[RunCompleted]:
        """What was announced as ended."""
        return self.told(self.names.run_completions, RunCompleted)

    def rejections(self) -> list[str]:
        """Codes of what was refused."""
        return [message.code for message in self.told(self.names.run_completions, RequestRejected)]


def a_start(run_id: str = "r", topic: str = "kafka", request_id: str = "q1") -> StartRun:
    """A request for a run."""
    return StartRun(workflow="work", run_id=run_id, request_id=request_id, inputs=(text("topic", topic),))
