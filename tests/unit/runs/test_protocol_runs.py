"""Rules of the run processor that show on the log: an engine on the simulated cluster, requests in, records out.

Each test is the one that `tests/protocol.toml` names for its rule, so it fails under that rule's mutation.
"""

from collections.abc import Iterator
from typing import TypeVar

from msgspec.structs import replace
from tests.unit.runs.scripts import T0, flow_of, plan_of, started, step_block, text

from logkeel.cli.provisioning import apply_application
from logkeel.cli.settings import Settings
from logkeel.definitions import digest_of, encode_document
from logkeel.exactly_once import LoopPorts, LoopSettings, TransactionalLoop
from logkeel.log import Header, OutputRecord, Record, TopicPartition
from logkeel.log.partitioner import partition_for
from logkeel.records import (
    RequestRejected,
    RunCompleted,
    RunEvent,
    SignalRun,
    StartRun,
    StepCommand,
    StepReleased,
    StepSucceeded,
    WorkflowDefinition,
)
from logkeel.runs import DefinitionReader, RunProcessor
from logkeel.runs.core.plan import Plan
from logkeel.runs.processor.commands import idempotency_key
from logkeel.runs.processor.identity import REROUTED_HEADER
from logkeel.simulation import MemoryStoreDirectory, SimulatedCluster
from logkeel.wire import decode, encode

T = TypeVar("T")
ONE = plan_of(flow_of(step_block("a")))
OTHER = plan_of(flow_of(step_block("b")))


class Engine:
    """One application with an engine, which is stepped."""

    def __init__(self, partitions: int = 1) -> None:
        self.cluster = SimulatedCluster()
        self.client = self.cluster.client()
        self.partitions = partitions
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
            RunProcessor(self.names, partitions=self.partitions),
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
        """Publish `work@1` with this content; answers its digest."""
        document = plan.document
        definition = WorkflowDefinition(
            name=document.name,
            version=document.version,
            digest=digest_of(encode_document(document)),
            schema_version=document.schema_version,
            document=encode_document(document),
            published_at_ms=T0,
        )
        self.producer.produce(OutputRecord(self.names.workflow_definitions, b"work@1", encode(definition), 0))
        self.turns()
        return definition.digest

    def ask(
        self, request: StartRun | SignalRun, *, partition: int | None = None, headers: tuple[Header, ...] = ()
    ) -> bytes:
        """Send a request, to its home unless told otherwise, and let the engine work; answers its bytes."""
        value = encode(request)
        home = partition_for((request.run_id or "").encode(), self.partitions)
        number = home if partition is None else partition
        self.producer.produce(OutputRecord(self.names.run_requests, None, value, number, headers))
        self.turns()
        return value

    def succeed(self, command: StepCommand) -> None:
        """What a worker answers that ran it."""
        outcome = StepSucceeded(
            identity=command.identity,
            holder="w",
            started_at_ms=T0,
            finished_at_ms=T0,
            writes=(text(command.identity.step, "done"),),
        )
        self.answer(command, outcome)

    def release(self, command: StepCommand) -> None:
        """What a worker answers that stopped while it ran."""
        self.answer(command, StepReleased(identity=command.identity, holder="w", was_started=True, started_at_ms=T0))

    def answer(self, command: StepCommand, outcome: StepSucceeded | StepReleased) -> None:
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


def test_a_request_that_arrives_twice_happens_once() -> None:
    """P26: a sender repeats what it got no answer to."""
    engine = Engine()
    engine.publish(ONE)
    engine.ask(a_start())
    for _ in range(2):
        engine.ask(SignalRun(run_id="r", name="go", request_id="q2"))
    assert engine.history() == ["run_started", "step_dispatched", "signal_received"]


def test_an_answer_to_a_former_run_of_that_name_does_not_count() -> None:
    """P26: a run id may be used again after its rows are gone."""
    engine = Engine()
    engine.publish(ONE)
    engine.ask(a_start())
    (command,) = engine.commands()
    former = replace(command, identity=replace(command.identity, incarnation="0-0-0"))
    engine.succeed(former)
    assert engine.completions() == []
    engine.succeed(command)
    assert [done.status for done in engine.completions()] == ["succeeded"]


def test_a_request_is_handled_on_its_home_partition_after_one_hop() -> None:
    """P27: other clients have other partitioners."""
    engine = Engine(partitions=2)
    engine.publish(ONE)
    home = partition_for(b"r", 2)
    engine.ask(a_start(), partition=1 - home)
    assert {record.partition for record in engine.records(engine.names.run_events)} == {home}
    assert [command.home_partition for command in engine.commands()] == [home]
    hopped = ((REROUTED_HEADER, b"app.run-requests-0-7"),)
    lost = engine.ask(a_start(request_id="q2"), partition=1 - home, headers=hopped)
    assert [letter.value for letter in engine.records(engine.names.dead_letters)] == [lost]
    assert len(engine.commands()) == 1


def test_a_request_for_an_unknown_run_waits_a_minute_and_is_then_refused() -> None:
    """P27: a hop does not keep the order, so a signal may overtake its start."""
    engine = Engine()
    engine.publish(ONE)
    engine.ask(SignalRun(run_id="r", name="go", request_id="q2"))
    engine.ask(SignalRun(run_id="never", name="go", request_id="q3"))
    engine.ask(a_start())
    assert engine.history() == ["run_started", "step_dispatched", "signal_received"]
    assert engine.rejections() == []
    engine.cluster.advance(60_000)
    engine.turns()
    assert engine.rejections() == ["run_not_found"]


def test_a_second_start_of_a_finished_run_hears_its_end_again() -> None:
    """P28: neither a second run nor a second completion."""
    engine = Engine()
    engine.publish(ONE)
    engine.ask(a_start())
    engine.succeed(*engine.commands())
    engine.ask(a_start(request_id="q2"))
    first, second = engine.completions()
    assert (first.reannounced, second.reannounced) == (False, True)
    assert (first.incarnation, first.status) == (second.incarnation, second.status)
    engine.ask(a_start(topic="rabbits", request_id="q3"))
    assert engine.rejections() == ["run_id_taken"]
    assert len(engine.completions()) == 2


def test_a_key_is_that_of_the_step_and_not_of_its_name_or_attempt() -> None:
    """P30: round two of a loop is another effect, a second attempt is the same one."""
    info = started(ONE).state.info
    keys = {
        idempotency_key(info, "loop/1/a"),
        idempotency_key(info, "loop/2/a"),
        idempotency_key(replace(info, incarnation="0-0-1"), "loop/1/a"),
        idempotency_key(replace(info, run_id="s"), "loop/1/a"),
    }
    assert len(keys) == 4
    engine = Engine()
    engine.publish(ONE)
    engine.ask(a_start())
    (first,) = engine.commands()
    engine.release(first)
    _, second = engine.commands()
    assert second.identity.dispatch == 2
    assert second.idempotency_key == first.idempotency_key


def test_a_published_version_keeps_its_content() -> None:
    """P38: what was published first stays, and a run that waited for it gets it."""
    engine = Engine()
    engine.ask(a_start())
    assert engine.history() == []
    digest = engine.publish(ONE)
    assert engine.history() == ["run_started", "step_dispatched"]
    engine.publish(OTHER)
    engine.ask(a_start("s", request_id="q2"))
    assert [command.definition_digest for command in engine.commands()] == [digest, digest]


def test_a_run_goes_on_where_its_definition_is_not_published_any_more() -> None:
    """P38: the table has a copy."""
    engine = Engine()
    engine.publish(ONE)
    engine.ask(a_start())
    engine.loop.close()
    log = engine.cluster.log(TopicPartition(engine.names.workflow_definitions, 0))
    log.delete_before(log.end)
    engine.cluster.advance(11_000)
    engine.loop = engine.boot()
    engine.turns()
    engine.succeed(*engine.commands())
    assert [done.status for done in engine.completions()] == ["succeeded"]
