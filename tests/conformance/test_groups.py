"""Groups: who owns which partition, in which generation, and how that moves."""

from contextlib import closing

import pytest
from tests.conformance.logs import CALL_S, initialised
from tests.conformance.members import Member
from tests.conformance.sides import Outsider, Side, both_own_one, eventually, new_topic, wait_until_owning

from logkeel.errors import ConsumerFenced, StaleGeneration
from logkeel.log import TopicPartition


def static(side: Side, topic: str, number: int) -> Member:
    """A member with an instance id; the numbers order them (P13)."""
    return Member(side.client, topic, [topic], instance_id=f"{topic}-{number:04d}")


def test_two_members_split_the_partitions_and_one_that_leaves_gives_them_back(side: Side) -> None:
    topic = new_topic(side, 2)
    first = Member(side.client, topic, [topic])
    wait_until_owning(side, {first: [0, 1]})
    alone = first.group.generation
    assert alone >= 1
    second = Member(side.client, topic, [topic])
    eventually(side, lambda: both_own_one(first, second), "one partition each")
    assert first.group.generation == second.group.generation > alone
    assert first.group.member_id != second.group.member_id
    shared = first.group.generation
    second.close()
    assert second.events[-1].startswith("revoked")
    wait_until_owning(side, {first: [0, 1]})
    assert first.group.generation > shared
    first.close()


def test_range_gives_static_members_neighbouring_partitions_of_every_topic(side: Side) -> None:
    topics = [new_topic(side, 3), new_topic(side, 3)]
    members = [Member(side.client, topics[0], topics, instance_id=f"{topics[0]}-{number:04d}") for number in (1, 0)]
    wait_until_owning(side, {members[1]: [0, 0, 1, 1], members[0]: [2, 2]})
    assert {place.topic for member in members for place in member.owned or ()} == set(topics)
    for member in members:
        member.close()


def test_a_member_too_many_owns_nothing(side: Side) -> None:
    topic = new_topic(side, 1)
    first, second = static(side, topic, 0), static(side, topic, 1)
    wait_until_owning(side, {first: [0], second: []})
    assert second.group.generation == first.group.generation
    first.close()
    second.close()


def test_a_static_member_that_returns_finds_its_partitions_without_a_rebalance(side: Side) -> None:
    topic = new_topic(side, 2)
    first, second = static(side, topic, 0), static(side, topic, 1)
    wait_until_owning(side, {first: [0], second: [1]})
    generation = second.group.generation
    heard = list(first.events)
    second.close()
    returned = static(side, topic, 1)
    wait_until_owning(side, {first: [0], returned: [1]})
    assert returned.group.generation == generation
    assert returned.group.member_id != second.group.member_id
    assert first.events == heard, "the other member was left in peace"
    first.close()
    returned.close()


def two_holders(side: Side) -> tuple[TopicPartition, Member, Member]:
    """A partition, and two that hold the same instance id: the second came later and owns the partition."""
    topic = new_topic(side, 1)
    first = static(side, topic, 0)
    wait_until_owning(side, {first: [0]})
    second = static(side, topic, 0)
    wait_until_owning(side, {second: [0]})
    return TopicPartition(topic, 0), first, second


def test_a_second_holder_of_an_instance_id_fences_the_offsets_of_the_first(side: Side) -> None:
    place, first, second = two_holders(side)
    with closing(initialised(side, place.topic)) as producer:
        producer.begin()
        with pytest.raises(StaleGeneration):
            producer.send_offsets({place: 1}, first.group, CALL_S)
        producer.abort(CALL_S)
    with pytest.raises(StaleGeneration):
        first.consumer.commit({place: (1, "")}, CALL_S)
    second.consumer.commit({place: (2, "mark")}, CALL_S)
    assert second.consumer.committed_metadata([place], CALL_S) == {place: (2, "mark")}
    first.close()
    second.close()


def test_a_member_hears_that_another_holds_its_instance_id(side: Side) -> None:
    _, first, second = two_holders(side)
    with closing(second), closing(first), pytest.raises(ConsumerFenced):
        eventually(side, lambda: bool(first.fetch()), "the first one hears of it", patience_s=5)


def test_members_and_marks_are_seen_by_the_admin(side: Side) -> None:
    topic = new_topic(side, 1)
    place = TopicPartition(topic, 0)
    member = static(side, topic, 0)
    wait_until_owning(side, {member: [0]})
    member.consumer.commit({place: (0, "started=-1")}, CALL_S)
    with closing(side.client.admin()) as admin:
        (seen,) = admin.group_members(topic)
        assert (seen.member_id, seen.instance_id) == (member.group.member_id, f"{topic}-0000")
        assert seen.assignment == (place,)
        assert admin.group_offsets(topic, [place]) == {place: (0, "started=-1")}
        assert admin.group_members(f"{topic}-unknown") == []
        assert admin.group_offsets(f"{topic}-unknown", [place]) == {}
    member.close()


def started(side: Side, topic: str, member: Member) -> Outsider:
    """An outsider beside the member, which keeps partition 0; the outsider owns 1."""
    outsider = side.outsider(topic, topic, f"{topic}-0001")

    def both() -> bool:
        member.fetch()
        return outsider.events()[-1:] == ["assigned 1"] and member.numbers == [0]

    eventually(side, both, "an assignment for the outsider")
    return outsider


def test_partitions_of_a_killed_member_move_when_its_session_ends(side: Side) -> None:
    topic = new_topic(side, 2)
    member = static(side, topic, 0)
    wait_until_owning(side, {member: [0, 1]})
    outsider = started(side, topic, member)
    generation = member.group.generation
    outsider.kill()
    member.fetch()
    assert member.numbers == [0], "nothing moves before the session ends"
    wait_until_owning(side, {member: [0, 1]})
    assert member.group.generation > generation
    member.close()


def test_a_woken_zombie_hears_that_it_lost_its_partitions(side: Side) -> None:
    topic = new_topic(side, 2)
    member = static(side, topic, 0)
    wait_until_owning(side, {member: [0, 1]})
    outsider = started(side, topic, member)
    outsider.stop()
    wait_until_owning(side, {member: [0, 1]})
    outsider.wake()

    def both_again() -> bool:
        member.fetch()
        return outsider.events()[-2:] == ["lost 1", "assigned 1"] and member.numbers == [0]

    eventually(side, both_again, "loss and a new assignment")
    member.close()


def test_a_static_member_that_hands_over_waits_for_no_session(side: Side) -> None:
    topic, idle = new_topic(side, 2), new_topic(side, 1)
    first, second = static(side, topic, 0), static(side, topic, 1)
    wait_until_owning(side, {first: [0], second: [1]})
    first.consumer.hand_over(idle, 0.1)
    # The first one lives on, so its session does not end: the partitions move because it gave them up.
    wait_until_owning(side, {second: [0, 1]})
    assert first.events[-1] == "revoked 0", "told of nothing else"
    assert first.fetch() == []
    first.close()
    returned = static(side, topic, 0)
    wait_until_owning(side, {returned: [0], second: [1]})
    returned.close()
    second.close()
