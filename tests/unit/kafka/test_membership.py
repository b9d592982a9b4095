"""What the client hands out about groups as bytes."""

import pytest

from logkeel.kafka.membership import instance_of, read_assignment
from logkeel.log import TopicPartition

UUID = "a51608eb-e542-410f-9be2-ed9955422b1d"
TWO_TOPICS = (
    b"\x00\x03\x00\x00\x00\x02"
    b"\x00\x01t\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01"
    b"\x00\x02uv\x00\x00\x00\x01\x00\x00\x00\x02"
    b"\xff\xff\xff\xff"
)


def test_an_assignment_names_topics_and_partitions() -> None:
    assert read_assignment(TWO_TOPICS) == (TopicPartition("t", 0), TopicPartition("t", 1), TopicPartition("uv", 2))


@pytest.mark.parametrize("serialized", [b"", b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"])
def test_a_member_may_have_nothing(serialized: bytes) -> None:
    assert read_assignment(serialized) == ()


def test_a_static_member_is_named_after_its_instance() -> None:
    assert instance_of(f"app-engine-0001-{UUID}", "rdkafka") == "app-engine-0001"
    assert instance_of(f"rdkafka-{UUID}", "rdkafka") is None
    assert instance_of("", "rdkafka") is None
