"""The ports on real Kafka: transactions, membership and positions. The properties the loop rests on."""

import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from logkeel.errors import (
    ConfigInvalid,
    LogTimeout,
    PositionOutOfRange,
    ProducerFenced,
    StaleGeneration,
    TopicMissing,
)
from logkeel.kafka import KafkaLogClient
from logkeel.log import Fetched, GroupConsumer, GroupMetadata, LogReader, OutputRecord, TopicPartition, TopicPlan

pytestmark = pytest.mark.kafka


@dataclass
class Assignments:
    """A listener that keeps what it heard."""

    assigned: list[tuple[list[TopicPartition], GroupMetadata]] = field(default_factory=list)
    revoked: list[list[TopicPartition]] = field(default_factory=list)

    def on_assigned(self, partitions: Sequence[TopicPartition], group: GroupMetadata) -> None:
        self.assigned.append((list(partitions), group))

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.revoked.append(list(partitions))

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.revoked.append(list(partitions))


@pytest.fixture
def client(kafka_bootstrap: str) -> KafkaLogClient:
    return KafkaLogClient(kafka_bootstrap)


@pytest.fixture
def place(client: KafkaLogClient) -> Iterator[TopicPartition]:
    """The only partition of a fresh topic."""
    topic = f"kafka-room-{uuid.uuid4().hex[:8]}"
    admin = client.admin()
    admin.create_topics([TopicPlan(topic, 1, 1, {"message.timestamp.type": "LogAppendTime"})])
    yield TopicPartition(topic, 0)
    admin.delete_topics([topic])


def read(reader: LogReader, *, until: int, timeout_s: float = 15) -> tuple[list[bytes | None], int]:
    """Values read until an end of partition at `until` or beyond is reported."""
    values: list[bytes | None] = []
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        fetched = reader.fetch(100, 0.2)
        values += [record.value for record in fetched.records]
        for end in fetched.ends.values():
            if end >= until:
                return values, end
    raise AssertionError(f"no end at {until}; values so far {values}")


def join(consumer: GroupConsumer, heard: Assignments, count: int = 1) -> GroupMetadata:
    """Fetch until the `count`-th assignment arrived."""
    deadline = time.monotonic() + 20
    while len(heard.assigned) < count and time.monotonic() < deadline:
        consumer.fetch(1, 0.1)
    assert len(heard.assigned) >= count
    return heard.assigned[-1][1]


def test_commits_are_seen_and_aborts_are_not(client: KafkaLogClient, place: TopicPartition) -> None:
    producer = client.transactional_producer(f"{place.topic}-a")
    producer.init_transactions(10)
    producer.begin()
    producer.produce(OutputRecord(place.topic, b"k", b"aborted", 0))
    producer.flush(10)
    producer.abort(10)
    producer.begin()
    offsets: list[int] = []
    record = OutputRecord(place.topic, b"k", b"committed", 0, (("h", b"1"),))
    producer.produce(record, lambda place, offset, error: offsets.append(offset))
    producer.flush(10)
    producer.commit(10)
    assert producer.disturbance() is None
    assert offsets == [2]
    end = client.admin().end_offsets([place], committed_only=False)[place]
    assert end == 4
    reader = client.reader("read_committed")
    reader.assign({place: 0})
    assert read(reader, until=end) == ([b"committed"], 4)
    reader.close()
    reader = client.reader("read_uncommitted")
    reader.assign({place: 0})
    assert read(reader, until=end)[0] == [b"aborted", b"committed"]
    reader.close()
    producer.close()


def test_a_younger_instance_fences_and_unpins(client: KafkaLogClient, place: TopicPartition) -> None:
    old = client.transactional_producer(f"{place.topic}-t")
    old.init_transactions(10)
    old.begin()
    old.produce(OutputRecord(place.topic, b"k", b"orphan", 0))
    old.flush(10)
    admin = client.admin()
    assert admin.end_offsets([place], committed_only=True)[place] == 0
    young = client.transactional_producer(f"{place.topic}-t")
    young.init_transactions(10)
    deadline = time.monotonic() + 10
    while admin.end_offsets([place], committed_only=True)[place] < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert admin.end_offsets([place], committed_only=True)[place] == 2
    with pytest.raises(ProducerFenced):
        old.commit(10)
    old.close()
    young.close()


def test_membership_is_read_from_the_clients_bytes_and_fences_a_stale_generation(
    client: KafkaLogClient, place: TopicPartition
) -> None:
    heard = Assignments()
    consumer = client.group_consumer(place.topic, instance_id="slot-0001", session_timeout_ms=6000)
    consumer.subscribe([place.topic], heard)
    group = join(consumer, heard)
    assert (group.group_id, group.instance_id) == (place.topic, "slot-0001")
    assert group.generation >= 1
    assert group.member_id.startswith("slot-0001-")
    producer = client.transactional_producer(f"{place.topic}-t")
    producer.init_transactions(10)
    producer.begin()
    producer.send_offsets({place: 0}, group, 10)
    with pytest.raises(LogTimeout):
        consumer.committed([place], 0.3)
    producer.commit(10)
    assert consumer.committed([place], 10) == {place: 0}
    handle = group.handle
    assert isinstance(handle, bytes)
    stale = handle.replace(group.generation.to_bytes(4, "little"), (group.generation - 1).to_bytes(4, "little"), 1)
    producer.begin()
    with pytest.raises(StaleGeneration):
        producer.send_offsets({place: 0}, GroupMetadata(place.topic, 0, group.member_id, handle=stale), 10)
    producer.abort(10)
    with pytest.raises(ValueError, match="P3"):
        producer.send_offsets({}, group, 10)
    consumer.close()
    producer.close()


def test_a_partition_starts_paused_and_is_read_from_where_the_loop_seeks(
    client: KafkaLogClient, place: TopicPartition
) -> None:
    plain = client.producer()
    for number in range(3):
        plain.produce(OutputRecord(place.topic, b"k", b"%d" % number, 0))
    plain.flush(10)
    heard = Assignments()
    consumer = client.group_consumer(place.topic)
    consumer.subscribe([place.topic], heard)
    join(consumer, heard)
    assert consumer.fetch(10, 0.5) == Fetched([], {})
    consumer.seek({place: 1})
    consumer.resume([place])
    values: list[bytes | None] = []
    ends: dict[TopicPartition, int] = {}
    deadline = time.monotonic() + 10
    while not ends and time.monotonic() < deadline:
        fetched = consumer.fetch(10, 0.2)
        values += [record.value for record in fetched.records]
        ends |= fetched.ends
    assert (values, ends) == ([b"1", b"2"], {place: 3})
    consumer.close()
    plain.close()


def test_worker_marks_ride_in_offset_metadata(client: KafkaLogClient, place: TopicPartition) -> None:
    heard = Assignments()
    consumer = client.group_consumer(place.topic)
    consumer.subscribe([place.topic], heard)
    join(consumer, heard)
    assert consumer.committed_metadata([place], 10) == {place: None}
    consumer.commit({place: (0, "started=-1")}, 10)
    assert consumer.committed_metadata([place], 10) == {place: (0, "started=-1")}
    assert [member.assignment for member in client.admin().group_members(place.topic)] == [(place,)]
    consumer.close()
    client.admin().set_group_offsets(place.topic, {place: (0, "started=7")})
    assert client.admin().group_offsets(place.topic, [place]) == {place: (0, "started=7")}


def test_deleted_records_are_out_of_range(client: KafkaLogClient, place: TopicPartition) -> None:
    plain = client.producer()
    for number in range(3):
        plain.produce(OutputRecord(place.topic, b"k", b"%d" % number, 0))
    plain.flush(10)
    client.admin().delete_records({place: 2})
    assert client.admin().start_offsets([place]) == {place: 2}
    reader = client.reader("read_committed")
    reader.assign({place: 0})
    with pytest.raises(PositionOutOfRange):
        read(reader, until=3)
    reader.close()
    plain.close()


def test_what_is_missing_is_named(client: KafkaLogClient) -> None:
    plain = client.producer()
    with pytest.raises(TopicMissing, match="logkeel topics apply"):
        plain.produce(OutputRecord("no-such-topic", b"k", b"v"))
    assert client.admin().describe_topics(["no-such-topic"]) == {}
    assert client.admin().group_members("no-such-group") == []
    with pytest.raises(ConfigInvalid, match=r"no\.such\.option"):
        KafkaLogClient("127.0.0.1:1", {"no.such.option": "1"}).producer()
    with pytest.raises(ConfigInvalid, match="cannot be overridden"):
        KafkaLogClient("127.0.0.1:1", {"enable.auto.commit": True})


def test_a_topic_is_described_with_its_id_and_settings(client: KafkaLogClient, place: TopicPartition) -> None:
    admin = client.admin()
    first = admin.describe_topics([place.topic], with_config=True)[place.topic]
    assert (first.partitions, first.replication_factor) == (1, 1)
    assert first.config["message.timestamp.type"] == "LogAppendTime"
    admin.alter_topic_config(place.topic, {"retention.ms": "60000"})
    assert admin.describe_topics([place.topic], with_config=True)[place.topic].config["retention.ms"] == "60000"
    admin.delete_topics([place.topic])
    deadline = time.monotonic() + 10
    while admin.describe_topics([place.topic]) and time.monotonic() < deadline:
        time.sleep(0.05)
    admin.create_topics([TopicPlan(place.topic, 1)])
    assert admin.describe_topics([place.topic])[place.topic].topic_id != first.topic_id
