"""Transactions: what readers see of them, and who may still end them."""

from contextlib import closing

import pytest
from tests.conformance.logs import (
    CALL_S,
    add,
    begin,
    end_of,
    initialised,
    read,
    values_of,
    wait_for_stable_end,
    write,
)
from tests.conformance.sides import Side, eventually, new_topic

from logkeel.errors import LogTimeout, ProducerFatal, ProducerFenced, RecordTooLarge
from logkeel.log import OutputRecord, TopicPartition, TransactionalProducer

TRANSACTION_TIMEOUT_MS = 2_000
REAPED_S = 40.0
"""The broker looks for transactions that are over time every 10 s (Kafka's default); the rest is patience."""


@pytest.fixture
def place(side: Side) -> TopicPartition:
    """The only partition of a fresh topic."""
    return TopicPartition(new_topic(side), 0)


def test_committed_readers_stop_at_the_oldest_open_transaction(side: Side, place: TopicPartition) -> None:
    write(side, place, b"before")
    producer = initialised(side, place.topic)
    begin(producer, place, b"open")
    write(side, place, b"behind")
    assert end_of(side, place, committed_only=True) == 1
    assert end_of(side, place, committed_only=False) == 3
    records, end = read(side, place, until=1)
    assert (values_of(records), end) == ([b"before"], 1)
    records, end = read(side, place, until=3, isolation="read_uncommitted")
    assert (values_of(records), end) == ([b"before", b"open", b"behind"], 3)
    producer.commit(CALL_S)
    wait_for_stable_end(side, place, 4)
    records, end = read(side, place, until=4)
    assert (values_of(records), end) == ([b"before", b"open", b"behind"], 4)
    producer.close()


def test_aborted_records_are_passed_over(side: Side, place: TopicPartition) -> None:
    producer = initialised(side, place.topic)
    begin(producer, place, b"a", b"b")
    producer.abort(CALL_S)
    wait_for_stable_end(side, place, 3)
    assert read(side, place, until=3) == ([], 3)
    begin(producer, place, b"c")
    producer.commit(CALL_S)
    wait_for_stable_end(side, place, 5)
    records, end = read(side, place, until=5)
    assert [(record.offset, record.value) for record in records] == [(3, b"c")]
    assert end == 5
    records, _ = read(side, place, until=5, isolation="read_uncommitted")
    assert values_of(records) == [b"a", b"b", b"c"]
    assert read(side, place, start=1, until=3)[0] == records[2:]
    producer.close()


def test_two_transactions_keep_the_order_of_their_records(side: Side, place: TopicPartition) -> None:
    first, second = initialised(side, f"{place.topic}-a"), initialised(side, f"{place.topic}-b")
    begin(first, place, b"1")
    begin(second, place, b"2")
    add(first, place, b"3")
    second.commit(CALL_S)
    eventually(side, lambda: end_of(side, place, committed_only=False) == 4, "the marker of the second")
    assert end_of(side, place, committed_only=True) == 0, "the first one is open and pins the end"
    assert read(side, place, until=0) == ([], 0)
    first.commit(CALL_S)
    wait_for_stable_end(side, place, 5)
    assert values_of(read(side, place, until=5)[0]) == [b"1", b"2", b"3"]
    first.close()
    second.close()


def test_the_next_transaction_may_begin_while_markers_are_under_way(side: Side, place: TopicPartition) -> None:
    producer = initialised(side, place.topic)
    for value in (b"1", b"2", b"3"):
        begin(producer, place, value)
        producer.commit(CALL_S)
    wait_for_stable_end(side, place, 6)
    assert values_of(read(side, place, until=6)[0]) == [b"1", b"2", b"3"]
    producer.close()


def test_a_successor_initialises_while_markers_are_under_way(side: Side, place: TopicPartition) -> None:
    old = initialised(side, place.topic)
    begin(old, place, b"committed")
    old.commit(CALL_S)
    young = initialised(side, place.topic)
    begin(young, place, b"next")
    young.commit(CALL_S)
    wait_for_stable_end(side, place, 4)
    assert values_of(read(side, place, until=4)[0]) == [b"committed", b"next"]
    old.close()
    young.close()


def test_one_commit_covers_all_partitions(side: Side) -> None:
    topic = new_topic(side, 2)
    places = [TopicPartition(topic, number) for number in range(2)]
    producer = initialised(side, topic)
    begin(producer, places[0], b"left")
    add(producer, places[1], b"right")
    assert [end_of(side, each, committed_only=True) for each in places] == [0, 0]
    producer.commit(CALL_S)
    for each, value in zip(places, (b"left", b"right"), strict=True):
        wait_for_stable_end(side, each, 2)
        assert values_of(read(side, each, until=2)[0]) == [value]
    producer.close()


def test_an_empty_transaction_leaves_no_trace(side: Side, place: TopicPartition) -> None:
    producer = initialised(side, place.topic)
    for end in (producer.commit, producer.abort):
        producer.begin()
        end(CALL_S)
    assert end_of(side, place, committed_only=False) == 0
    producer.close()


def test_deliveries_name_partition_and_offset(side: Side, place: TopicPartition) -> None:
    producer = initialised(side, place.topic)
    heard: list[tuple[TopicPartition, int, Exception | None]] = []
    begin(producer, place, b"aborted")
    producer.abort(CALL_S)
    producer.begin()
    for value in (b"1", b"2"):
        producer.produce(
            OutputRecord(place.topic, None, value, 0), lambda where, offset, error: heard.append((where, offset, error))
        )
    producer.flush(CALL_S)
    assert heard == [(place, 2, None), (place, 3, None)]
    producer.abort(CALL_S)
    producer.close()


def test_dispatched_records_are_of_the_transaction_and_in_order(side: Side, place: TopicPartition) -> None:
    """Those of an aborted one are passed over, sent or not."""
    producer = initialised(side, place.topic)
    wanted = [
        OutputRecord(place.topic, b"k", b"%d" % number, 0, (("slot", b"7"),) if number == 0 else ())
        for number in range(50)
    ]
    for ends_well in (False, True):
        producer.begin()
        for output in wanted:
            producer.produce(output)
        producer.dispatch()
        producer.produce(OutputRecord(place.topic, b"k", b"last", 0))
        if ends_well:
            producer.commit(CALL_S)
        else:
            producer.abort(CALL_S)
    producer.close()
    end = end_of(side, place, committed_only=True)
    records, _ = read(side, place, until=end)
    assert [(record.value, record.headers) for record in records] == [
        *((output.value, output.headers) for output in wanted),
        (b"last", ()),
    ]


def test_what_is_too_large_fails_the_transaction_by_dispatch(side: Side, place: TopicPartition) -> None:
    producer = initialised(side, place.topic)
    producer.begin()
    with pytest.raises(RecordTooLarge):
        send_now(producer, OutputRecord(place.topic, b"k", bytes(20_000_000), 0))
    producer.abort(CALL_S)
    begin(producer, place, b"mine")
    producer.commit(CALL_S)
    producer.close()


def send_now(producer: TransactionalProducer, output: OutputRecord) -> None:
    """Produce and dispatch: either may notice what is wrong with a record."""
    producer.produce(output)
    producer.dispatch()


def use(producer: TransactionalProducer, place: TopicPartition) -> None:
    """Go on in the open transaction: the client may notice at either call that it is fenced."""
    producer.produce(OutputRecord(place.topic, b"k", b"too late", place.partition))
    producer.commit(CALL_S)


def test_a_younger_instance_fences_and_aborts(side: Side, place: TopicPartition) -> None:
    old = initialised(side, place.topic)
    begin(old, place, b"orphan")
    young = initialised(side, place.topic)
    wait_for_stable_end(side, place, 2)
    with pytest.raises(ProducerFenced):
        use(old, place)
    with pytest.raises((ProducerFatal, LogTimeout)):
        old.abort(CALL_S)
    begin(young, place, b"mine")
    young.commit(CALL_S)
    wait_for_stable_end(side, place, 4)
    assert values_of(read(side, place, until=4)[0]) == [b"mine"]
    old.close()
    young.close()


def test_a_fenced_instance_learns_it_while_it_flushes(side: Side, place: TopicPartition) -> None:
    old = initialised(side, place.topic)
    begin(old, place, b"orphan")
    with closing(initialised(side, place.topic)), pytest.raises(ProducerFenced):
        add(old, place, b"too late")
    old.close()


def test_a_fenced_instance_cannot_begin_anew(side: Side, place: TopicPartition) -> None:
    old = initialised(side, place.topic)
    begin(old, place, b"good")
    old.commit(CALL_S)
    young = initialised(side, place.topic)
    with pytest.raises(ProducerFenced):
        produce_anew(old, place)
    wait_for_stable_end(side, place, 2)
    assert end_of(side, place, committed_only=False) == 2
    old.close()
    young.close()


def produce_anew(producer: TransactionalProducer, place: TopicPartition) -> None:
    """Begin (local, so it may pass), and write."""
    producer.begin()
    use(producer, place)


@pytest.mark.slow
def test_a_transaction_over_time_is_aborted_and_its_producer_fenced(side: Side, place: TopicPartition) -> None:
    producer = initialised(side, place.topic, transaction_timeout_ms=TRANSACTION_TIMEOUT_MS)
    begin(producer, place, b"forgotten")
    eventually(side, lambda: end_of(side, place, committed_only=True) == 2, "the abort", patience_s=REAPED_S)
    with pytest.raises(ProducerFatal):
        use(producer, place)
    assert values_of(read(side, place, until=2)[0]) == []
    with closing(initialised(side, place.topic)) as successor:
        begin(successor, place, b"goes on")
        successor.commit(CALL_S)
    wait_for_stable_end(side, place, 4)
    assert values_of(read(side, place, until=4)[0]) == [b"goes on"]
    producer.close()
