"""`logkeel topics` on a real broker."""

import json
from collections.abc import Sequence
from uuid import uuid4

import pytest

from logkeel.cli.main import main
from logkeel.cli.provisioning import wanted_topics
from logkeel.cli.settings import Settings
from logkeel.errors import OperatorError
from logkeel.kafka import KafkaLogClient
from logkeel.log import GroupMetadata, OutputRecord, TopicPartition, TopicPlan
from logkeel.records.topics import TopicNames, topic_policies

pytestmark = pytest.mark.kafka


class Joined:
    """Hears of the assignment."""

    partitions: Sequence[TopicPartition] = ()

    def on_assigned(self, partitions: Sequence[TopicPartition], group: GroupMetadata) -> None:
        self.partitions = partitions

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        pass

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        pass


def run(*arguments: str) -> int:
    """One command; its exit code."""
    with pytest.raises(SystemExit) as left:
        main(["topics", *arguments])
    return int(left.value.code or 0)


def test_apply_makes_what_plan_says_and_may_be_repeated(
    kafka_bootstrap: str, capsys: pytest.CaptureFixture[str]
) -> None:
    prefix = f"t{uuid4().hex[:8]}"
    names = TopicNames(prefix)
    options = ["-b", kafka_bootstrap, "--prefix", prefix, "--queue", "default", "--queue", "gpu", "-o", "json"]
    assert run("plan", *options) == 0
    planned = json.loads(capsys.readouterr().out)["changes"]
    assert len(planned) == len(topic_policies(names, ["default", "gpu"]))
    assert run("apply", *options) == 0
    capsys.readouterr()
    assert run("plan", *options) == 0
    assert json.loads(capsys.readouterr().out) == {"changes": [], "problems": []}
    assert run("apply", *options) == 0

    admin = KafkaLogClient(kafka_bootstrap).admin()
    for queue in ("default", "gpu"):
        places = [TopicPartition(names.step_commands(queue), number) for number in range(4)]
        assert admin.group_offsets(names.worker_group(queue), places) == dict.fromkeys(places, (0, "started=-1"))


def test_a_setting_that_was_changed_is_set_again(kafka_bootstrap: str) -> None:
    prefix = f"t{uuid4().hex[:8]}"
    options = ["-b", kafka_bootstrap, "--prefix", prefix]
    assert run("apply", *options) == 0
    admin = KafkaLogClient(kafka_bootstrap).admin()
    topic = TopicNames(prefix).run_requests
    admin.alter_topic_config(topic, {"message.timestamp.type": "CreateTime"})
    assert run("apply", *options) == 0
    assert admin.describe_topics([topic], with_config=True)[topic].config["message.timestamp.type"] == "LogAppendTime"


def test_another_partition_count_is_refused(kafka_bootstrap: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["-b", kafka_bootstrap, "--prefix", f"t{uuid4().hex[:8]}"]
    assert run("apply", *options) == 0
    assert run("apply", *options, "--partitions", "8") == OperatorError.exit_code
    assert "--partitions 4" in capsys.readouterr().err


def test_an_apply_that_was_interrupted_before_the_marks_is_completed(kafka_bootstrap: str) -> None:
    prefix = f"t{uuid4().hex[:8]}"
    client = KafkaLogClient(kafka_bootstrap)
    admin = client.admin()
    names = TopicNames(prefix)
    commands = names.step_commands("default")
    admin.create_topics([plan for plan in wanted_topics(Settings(prefix=prefix), ["default"]) if plan.name == commands])
    producer = client.producer()
    producer.produce(OutputRecord(commands, b"k", b"v", 2))
    producer.flush(10)
    assert run("apply", "-b", kafka_bootstrap, "--prefix", prefix) == 0
    places = [TopicPartition(commands, number) for number in range(4)]
    marks = admin.group_offsets(names.worker_group("default"), places)
    assert marks == {TopicPartition(commands, number): (0, "started=-1") for number in (0, 1, 3)}, "2 is in doubt"


def test_workers_that_wait_on_a_new_topic_are_named(kafka_bootstrap: str, capsys: pytest.CaptureFixture[str]) -> None:
    prefix = f"t{uuid4().hex[:8]}"
    client = KafkaLogClient(kafka_bootstrap)
    names = TopicNames(prefix)
    commands = names.step_commands("default")
    client.admin().create_topics([TopicPlan(commands, 4)])
    consumer = client.group_consumer(names.worker_group("default"), instance_id="early")
    joined = Joined()
    consumer.subscribe([commands], joined)
    for _ in range(300):
        consumer.fetch(10, 0.1)
        if joined.partitions:
            break
    assert run("apply", "-b", kafka_bootstrap, "--prefix", prefix) == OperatorError.exit_code
    consumer.close()
    assert "stop those of queue default" in capsys.readouterr().err
