"""Offsets in transactions: committed with the records or not at all, never by a member of the past (P3, P4, P11)."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.conformance.logs import CALL_S, begin, end_of, initialised, read, values_of, wait_for_stable_end
from tests.conformance.members import Member
from tests.conformance.sides import Side, both_own_one, eventually, new_topic, wait_until_owning

from logkeel.errors import LogTimeout, StaleGeneration
from logkeel.log import TopicPartition, TransactionalProducer


@pytest.fixture
def topic(side: Side) -> str:
    """A fresh topic of two partitions; its name serves as group and transactional id."""
    return new_topic(side, 2)


@pytest.fixture
def member(side: Side, topic: str) -> Iterator[Member]:
    """The only member of the group."""
    member = Member(side.client, topic, [topic])
    wait_until_owning(side, {member: [0, 1]})
    yield member
    member.close()


@pytest.fixture
def producer(side: Side, topic: str) -> Iterator[TransactionalProducer]:
    """Initialised."""
    with closing(initialised(side, topic)) as producer:
        yield producer


def stable(side: Side, member: Member, place: TopicPartition) -> int | None:
    """The committed offset as the group knows it, once nothing is pending."""
    found: list[int | None] = []

    def answered() -> bool:
        try:
            found.append(member.consumer.committed([place], 1)[place])
        except LogTimeout:
            return False
        return True

    eventually(side, answered, f"the offset of {place}")
    return found[-1]


def test_records_and_offsets_are_committed_together(
    side: Side, topic: str, member: Member, producer: TransactionalProducer
) -> None:
    source, target = TopicPartition(topic, 0), TopicPartition(topic, 1)
    begin(producer, target, b"out")
    producer.send_offsets({source: 7}, member.group, CALL_S, metadata={source: "seven"})
    with pytest.raises(LogTimeout):
        member.consumer.committed([source], 0.3)
    assert source not in group_offsets(side, topic)
    assert end_of(side, target, committed_only=True) == 0
    producer.commit(CALL_S)
    assert stable(side, member, source) == 7
    assert group_offsets(side, topic) == {source: (7, "seven")}
    wait_for_stable_end(side, target, 2)
    assert values_of(read(side, target, until=2)[0]) == [b"out"]


def test_offsets_of_an_aborted_transaction_are_not_committed(
    side: Side, topic: str, member: Member, producer: TransactionalProducer
) -> None:
    source = TopicPartition(topic, 0)
    producer.begin()
    producer.send_offsets({source: 3}, member.group, CALL_S)
    producer.abort(CALL_S)
    assert stable(side, member, source) is None
    producer.begin()
    producer.send_offsets({source: 4}, member.group, CALL_S)
    producer.commit(CALL_S)
    assert stable(side, member, source) == 4
    assert end_of(side, source, committed_only=False) == 0, "offsets alone leave no record behind"


def test_an_open_transaction_hides_only_its_own_offsets(
    side: Side, topic: str, member: Member, producer: TransactionalProducer
) -> None:
    pending, other = TopicPartition(topic, 0), TopicPartition(topic, 1)
    member.consumer.commit({pending: (1, ""), other: (2, "mark")}, CALL_S)
    producer.begin()
    producer.send_offsets({pending: 5}, member.group, CALL_S)
    assert member.consumer.committed_metadata([other], CALL_S) == {other: (2, "mark")}
    with pytest.raises(LogTimeout):
        member.consumer.committed([pending, other], 0.3)
    producer.abort(CALL_S)
    assert stable(side, member, pending) == 1


def test_offsets_that_were_sent_later_win_whoever_commits_last(side: Side, topic: str, member: Member) -> None:
    source = TopicPartition(topic, 0)
    first, second = initialised(side, f"{topic}-a"), initialised(side, f"{topic}-b")
    for producer, offset in ((first, 5), (second, 9)):
        producer.begin()
        producer.send_offsets({source: offset}, member.group, CALL_S)
    second.commit(CALL_S)
    first.commit(CALL_S)
    assert stable(side, member, source) == 9
    first.close()
    second.close()


def test_a_fencing_init_drops_the_offsets_of_the_orphan(side: Side, topic: str, member: Member) -> None:
    source = TopicPartition(topic, 0)
    old = initialised(side, f"{topic}-fenced")
    old.begin()
    old.send_offsets({source: 9}, member.group, CALL_S)
    young = initialised(side, f"{topic}-fenced")
    assert stable(side, member, source) is None
    old.close()
    young.close()


def test_an_old_generation_is_refused_and_its_transaction_can_be_aborted(
    side: Side, topic: str, member: Member, producer: TransactionalProducer
) -> None:
    source, target = TopicPartition(topic, 0), TopicPartition(topic, 1)
    old = member.group
    with closing(Member(side.client, topic, [topic])) as second:
        eventually(side, lambda: both_own_one(member, second), "one partition each")
        begin(producer, target, b"of a zombie")
        with pytest.raises(StaleGeneration):
            producer.send_offsets({source: 1}, old, CALL_S)
        producer.abort(CALL_S)
        begin(producer, target, b"of a member")
        producer.send_offsets({source: 2}, member.group, CALL_S)
        producer.commit(CALL_S)
        assert stable(side, member, source) == 2
    wait_for_stable_end(side, target, end_of(side, target, committed_only=False))
    assert values_of(read(side, target, until=4)[0]) == [b"of a member"]


def test_who_has_left_is_refused(side: Side, topic: str, producer: TransactionalProducer) -> None:
    leaver = Member(side.client, topic, [topic])
    wait_until_owning(side, {leaver: [0, 1]})
    group = leaver.group
    leaver.close()
    producer.begin()
    with pytest.raises(StaleGeneration):
        producer.send_offsets({TopicPartition(topic, 0): 1}, group, CALL_S)
    producer.abort(CALL_S)
    assert group_offsets(side, topic) == {}


def test_offsets_can_be_committed_while_partitions_are_revoked(
    side: Side, topic: str, member: Member, producer: TransactionalProducer
) -> None:
    places = [TopicPartition(topic, number) for number in range(2)]

    def finish_the_batch() -> None:
        producer.begin()
        producer.send_offsets(dict.fromkeys(places, 5), member.group, CALL_S)
        producer.commit(CALL_S)

    member.while_revoked = finish_the_batch
    with closing(Member(side.client, topic, [topic])) as second:
        eventually(side, lambda: both_own_one(member, second), "one partition each")
        member.while_revoked = None
        assert [stable(side, second, place) for place in places] == [5, 5]


def test_offsets_must_be_real(topic: str, member: Member, producer: TransactionalProducer) -> None:
    producer.begin()
    for unreal in ({}, {TopicPartition(topic, 0): -1001}):
        with pytest.raises(ValueError, match="P3"):
            producer.send_offsets(unreal, member.group, CALL_S)
    producer.abort(CALL_S)


def group_offsets(side: Side, group_id: str) -> dict[TopicPartition, tuple[int, str]]:
    """As the admin sees them."""
    with closing(side.client.admin()) as admin:
        return dict(admin.group_offsets(group_id, [TopicPartition(group_id, number) for number in range(2)]))
