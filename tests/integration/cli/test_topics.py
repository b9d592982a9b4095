"""`logkeel topics` on a real broker."""

import json
from uuid import uuid4

import pytest

from logkeel.cli.main import main
from logkeel.errors import OperatorError
from logkeel.kafka import KafkaLogClient
from logkeel.log import TopicPartition
from logkeel.records.topics import TopicNames

pytestmark = pytest.mark.kafka


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
    assert len(json.loads(capsys.readouterr().out)["changes"]) == 11
    assert run("apply", *options) == 0
    capsys.readouterr()
    assert run("plan", *options) == 0
    assert json.loads(capsys.readouterr().out) == {"changes": [], "problems": []}
    assert run("apply", *options) == 0

    admin = KafkaLogClient(kafka_bootstrap).admin()
    for queue in ("default", "gpu"):
        marks = admin.group_offsets(names.worker_group(queue))
        topic = names.step_commands(queue)
        assert marks == {TopicPartition(topic, number): (0, "started=-1") for number in range(4)}


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
