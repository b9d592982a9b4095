"""A worker is killed -9 at each point of a `ONCE` step; its successor must not run what may have happened."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from tests.integration.steps.payments import entries, payments

from logkeel.errors import LogUnavailable
from logkeel.kafka import KafkaLogClient
from logkeel.log import OutputRecord, TopicPartition, TopicPlan
from logkeel.records import FieldValue, Payload, StepAnswer, StepCommand, StepIdentity, StepReclaimed, StepSucceeded
from logkeel.records.topics import TopicNames
from logkeel.wire import decode, encode

REPOSITORY = Path(__file__).parents[3]
Start = Callable[[str], "subprocess.Popen[bytes]"]

pytestmark = pytest.mark.kafka


def eventually(call: Callable[[], None], timeout_s: float = 15.0) -> None:
    """A young broker still loads its group coordinator."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            return call()
        except LogUnavailable:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.1)


class Application:
    """Topics of one application and what is on them."""

    def __init__(self, bootstrap: str) -> None:
        self.client = KafkaLogClient(bootstrap)
        self.names = TopicNames(f"t{uuid4().hex[:8]}")
        names = self.names
        admin = self.client.admin()
        topics = (names.step_commands(), names.step_results, names.step_control, names.dead_letters)
        admin.create_topics([TopicPlan(topic, 1) for topic in topics])
        commands = TopicPartition(names.step_commands(), 0)
        eventually(lambda: admin.set_group_offsets(names.worker_group(), {commands: (0, "started=-1")}))
        admin.close()

    def dispatch(self, what: StepCommand) -> None:
        producer = self.client.producer()
        producer.produce(OutputRecord(self.names.step_commands(), b"run", encode(what), 0))
        producer.flush(10.0)
        producer.close()

    def answers(self, count: int, timeout_s: float = 40.0) -> list[StepAnswer]:
        """The first `count` answers, or those that came in time."""
        reader = self.client.reader("read_committed")
        reader.assign({TopicPartition(self.names.step_results, 0): 0})
        found: list[StepAnswer] = []
        deadline_s = time.monotonic() + timeout_s
        while len(found) < count and time.monotonic() < deadline_s:
            records = reader.fetch(100, 0.2).records
            found += [decode(record.value) for record in records if record.value]  # type: ignore[misc]
        reader.close()
        return found


@pytest.fixture
def application(kafka_bootstrap: str) -> Application:
    return Application(kafka_bootstrap)


@pytest.fixture
def start(application: Application, kafka_bootstrap: str, tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def begin(point: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "tests.integration.steps.worker_process", kafka_bootstrap]
        command += [application.names.prefix, str(tmp_path), str(tmp_path / "ledger"), "ONCE", point]
        started.append(subprocess.Popen(command, cwd=REPOSITORY))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait(10)


def charge(tmp_path: Path) -> StepCommand:
    definition = payments("ONCE", tmp_path / "ledger").definition()
    return StepCommand(
        identity=StepIdentity(run_id="run", incarnation="i", path="charge", step="charge", attempt=1, dispatch=1),
        workflow=definition.name,
        version=definition.version,
        definition_digest=definition.digest,
        routing_key="run",
        home_partition=0,
        effect="ONCE",
        idempotency_key="key-1",
        revision=1,
        dispatched_at_ms=0,
        timeout_ms=20_000,
        inputs=(FieldValue(field="amount", revision=1, payload=Payload(encoding="json", data=b"7")),),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "expected", "calls"),
    [
        ("before claim", [StepSucceeded], 1),
        ("claim to call", [StepReclaimed], 0),
        ("call to result", [StepReclaimed], 1),
        # Its successor cannot know that the log has it: said again, it brings nothing forward.
        ("result to acknowledged", [StepSucceeded, StepSucceeded, StepReclaimed], 1),
    ],
)
def test_a_once_step_is_never_run_where_it_may_have_happened(
    application: Application, start: Start, tmp_path: Path, point: str, expected: list[type], calls: int
) -> None:
    application.dispatch(charge(tmp_path))
    assert start(point).wait(40) == -signal.SIGKILL
    start("never")
    answers = application.answers(len(expected))
    assert [type(answer) for answer in answers] == expected
    assert all(answer.holder_dead for answer in answers if isinstance(answer, StepReclaimed))
    assert entries(tmp_path / "ledger") == ["key-1 7"] * calls
