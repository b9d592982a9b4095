"""Reading: what comes back of a record, order, ends, pauses, and positions that are not there."""

from contextlib import closing

import pytest
from tests.conformance.logs import CALL_S, read, values_of, write
from tests.conformance.members import Member
from tests.conformance.sides import Side, eventually, new_topic, wait_until_owning

from logkeel.errors import PositionOutOfRange, RecordTooLarge, TopicMissing
from logkeel.log import DeliveryCallback, LogReader, OutputRecord, TopicPartition
from logkeel.log.partitioner import partition_for

COUNT = 200


@pytest.fixture
def place(side: Side) -> TopicPartition:
    """The only partition of a fresh topic."""
    return TopicPartition(new_topic(side, config={"message.timestamp.type": "LogAppendTime"}), 0)


def test_a_record_comes_back_as_it_was_written(side: Side, place: TopicPartition) -> None:
    outputs = [
        OutputRecord(place.topic, b"key", b"value", 0, (("h", b"1"), ("h", b"2"), ("empty", b""))),
        OutputRecord(place.topic, b"key", None, 0),
        OutputRecord(place.topic, None, b"", 0),
    ]
    before_ms = side.clock.now_ms()
    with closing(side.client.producer()) as producer:
        for output in outputs:
            producer.produce(output)
        producer.flush(CALL_S)
    records, _ = read(side, place, until=3)
    assert [OutputRecord(r.topic, r.key, r.value, r.partition, r.headers) for r in records] == outputs
    assert [record.offset for record in records] == [0, 1, 2]
    assert all(before_ms - 1_000 <= record.timestamp_ms for record in records)


def test_records_queued_together_come_back_in_order(side: Side) -> None:
    """With and without headers, tombstones and empty values, to two partitions."""
    topic = new_topic(side, 2)
    headers = (("h", b"1"),)
    outputs = [
        OutputRecord(topic, b"k", b"%d" % number, number % 2, headers if number % 3 else ()) for number in range(COUNT)
    ]
    outputs += [OutputRecord(topic, b"k", None, 0), OutputRecord(topic, None, b"", 0)]
    heard: list[tuple[TopicPartition, int, Exception | None]] = []
    with closing(side.client.producer()) as producer:
        producer.produce_all([(output, lambda *report: heard.append(report)) for output in outputs])
        producer.flush(CALL_S)
    for partition in (0, 1):
        place, wanted = TopicPartition(topic, partition), [each for each in outputs if each.partition == partition]
        records, _ = read(side, place, until=len(wanted))
        assert [OutputRecord(r.topic, r.key, r.value, r.partition, r.headers) for r in records] == wanted
        assert [report for report in heard if report[0] == place] == [(place, at, None) for at in range(len(wanted))]


def test_what_is_too_large_among_records_queued_together_is_told_to_its_callback_alone(side: Side) -> None:
    place = TopicPartition(new_topic(side, config={"max.message.bytes": "2000000"}), 0)
    heard: dict[str, list[tuple[int, Exception | None]]] = {"first": [], "large": [], "last": []}

    def keep(name: str) -> DeliveryCallback:
        return lambda where, offset, error: heard[name].append((offset, error))

    values = {"first": b"1", "large": bytes(20_000_000), "last": b"3"}
    with closing(side.client.producer()) as producer:
        producer.produce_all([(OutputRecord(place.topic, b"k", values[name], 0), keep(name)) for name in values])
        producer.flush(CALL_S)
    assert (heard["first"], heard["last"]) == ([(0, None)], [(1, None)])
    ((offset, error),) = heard["large"]
    assert offset == -1
    assert isinstance(error, RecordTooLarge)


def test_a_partition_that_is_not_there_is_told_to_its_callback_alone(side: Side, place: TopicPartition) -> None:
    heard: list[tuple[TopicPartition, int, Exception | None]] = []
    with closing(side.client.producer()) as producer:
        outputs = [OutputRecord(place.topic, b"k", b"%d" % number, number % 2) for number in range(4)]
        producer.produce_all([(output, lambda *report: heard.append(report)) for output in outputs])
        producer.flush(CALL_S)
    assert [report for report in heard if report[0] == place] == [(place, 0, None), (place, 1, None)]
    refused = [report for report in heard if report[0] != place]
    assert [(where.partition, offset, type(error)) for where, offset, error in refused] == [(1, -1, TopicMissing)] * 2


def test_keys_choose_partitions_as_kafka_does(side: Side) -> None:
    topic = new_topic(side, 3)
    keys = [b"run-%d" % number for number in range(12)]
    heard: list[int] = []
    with closing(side.client.producer()) as producer:
        for key in keys:
            producer.produce(OutputRecord(topic, key, b"v"), lambda place, offset, error: heard.append(place.partition))
        producer.flush(CALL_S)
    assert sorted(heard) == sorted(partition_for(key, 3) for key in keys)


def test_order_within_a_partition_is_the_order_of_writing(side: Side, place: TopicPartition) -> None:
    values = [b"%d" % number for number in range(COUNT)]
    write(side, place, *values)
    taken: list[bytes | None] = []
    with closing(side.client.reader("read_committed")) as reader:
        reader.assign({place: 0})

        def all_there() -> bool:
            records = reader.fetch(7, 0.1).records
            assert len(records) <= 7
            taken.extend(values_of(records))
            return len(taken) >= COUNT

        eventually(side, all_there, "all records")
    assert taken == values


def ends_of(side: Side, reader: LogReader, until: int) -> list[int]:
    """All ends reported up to one at `until`."""
    ends: list[int] = []

    def there() -> bool:
        ends.extend(reader.fetch(100, 0.1).ends.values())
        return until in ends

    eventually(side, there, f"an end at {until}")
    return ends


def test_an_end_is_reported_once_and_again_when_it_has_moved(side: Side, place: TopicPartition) -> None:
    with closing(side.client.reader("read_committed")) as reader:
        reader.assign({place: 0})
        assert ends_of(side, reader, 0) == [0]
        assert [dict(reader.fetch(10, 0.2).ends) for _ in range(3)] == [{}, {}, {}]
        write(side, place, b"1")
        assert ends_of(side, reader, 1) == [1]
        reader.assign({place: 0})
        assert ends_of(side, reader, 1) == [1]


def test_positions_that_do_not_exist_are_named(side: Side, place: TopicPartition) -> None:
    write(side, place, b"0", b"1", b"2")
    with closing(side.client.admin()) as admin:
        admin.delete_records({place: 2})
        assert admin.start_offsets([place]) == {place: 2}
        assert admin.end_offsets([place], committed_only=True) == {place: 3}
    assert values_of(read(side, place, start=2, until=3)[0]) == [b"2"]
    for missing in (0, 1, 4):
        with pytest.raises(PositionOutOfRange) as raised:
            read(side, place, start=missing, until=3)
        assert (raised.value.details["topic"], raised.value.details["partition"]) == place


def has_ended(member: Member, place: TopicPartition, offset: int) -> bool:
    """Whether, after a fetch, the end at that offset was reported."""
    member.fetch()
    return (place, offset) in member.ends


def test_a_member_reads_from_where_it_sought_and_only_while_resumed(side: Side, place: TopicPartition) -> None:
    write(side, place, b"0", b"1", b"2")
    member = Member(side.client, place.topic, [place.topic])
    wait_until_owning(side, {member: [0]})
    assert [member.fetch() for _ in range(3)] == [[], [], []]
    member.consumer.seek({place: 1})
    member.consumer.resume([place])
    eventually(side, lambda: has_ended(member, place, 3), "the end")
    assert values_of(member.records) == [b"1", b"2"]
    member.consumer.pause([place])
    write(side, place, b"3")
    assert [member.fetch() for _ in range(3)] == [[], [], []]
    member.consumer.seek({place: 2})
    member.consumer.resume([place])
    eventually(side, lambda: has_ended(member, place, 4), "the new end")
    assert values_of(member.records) == [b"1", b"2", b"2", b"3"]
    member.close()


def test_missing_topics_are_named(side: Side, place: TopicPartition) -> None:
    missing = f"{place.topic}-missing"
    with closing(side.client.producer()) as producer, pytest.raises(TopicMissing, match=missing):
        producer.produce(OutputRecord(missing, b"k", b"v"))
    with closing(side.client.admin()) as admin:
        assert list(admin.describe_topics([place.topic, missing])) == [place.topic]
        admin.delete_topics([missing])


def test_a_missing_topic_is_named_to_its_subscriber(side: Side) -> None:
    topic = new_topic(side)
    with closing(Member(side.client, topic, [f"{topic}-missing"])) as member, pytest.raises(TopicMissing):
        eventually(side, lambda: bool(member.fetch()), "an error", patience_s=5)
