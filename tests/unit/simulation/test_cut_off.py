"""A simulated process without its network: it lives, waits and times out, and hears what it missed when it is back."""

import pytest
from tests.unit.simulation.test_members import SESSION_MS, TASKS, Member, cluster_of

from logkeel.errors import CommitInDoubt, LogTimeout
from logkeel.log import OutputRecord, TopicPartition, TopicPlan
from logkeel.simulation import Conditions, SimulatedClient, SimulatedCluster


class _Hearing(Conditions):
    """The next heartbeat is answered a while later."""

    def hearing_ms(self) -> float:
        return 2_000.0


class _Forgetful(Conditions):
    """Whoever was silent connects anew, which takes a while."""

    def connecting_ms(self) -> float:
        return 300.0

    def drops_connections(self, silent_ms: float) -> bool:
        return silent_ms >= 10_000.0


def _cluster() -> tuple[SimulatedCluster, SimulatedClient]:
    cluster = SimulatedCluster()
    cluster.create_topic(TopicPlan("answers", 1))
    return cluster, cluster.client()


def test_records_wait_in_the_process_and_are_sent_in_order_when_it_is_back() -> None:
    cluster, client = _cluster()
    producer, acknowledged = client.producer(), list[int]()
    client.cut_off()
    for value in (b"1", b"2"):
        producer.produce(OutputRecord("answers", b"", value, 0), lambda _, offset, __: acknowledged.append(offset or 0))
    producer.poll(0.0)
    cluster.advance(5_000)
    assert (cluster.logs()[0].end, acknowledged) == (0, [])
    client.reconnect()
    producer.poll(0.0)
    assert [entry.record.value for entry in cluster.logs()[0].entries if entry.record] == [b"1", b"2"]
    assert acknowledged == [0, 1]


def test_an_acknowledgement_that_was_under_way_comes_when_it_is_back() -> None:
    _, client = _cluster()
    producer, acknowledged = client.producer(), list[int]()
    producer.produce(OutputRecord("answers", b"", b"", 0), lambda _, offset, __: acknowledged.append(offset or 0))
    client.cut_off()
    producer.poll(0.0)
    assert acknowledged == []
    client.reconnect()
    producer.poll(0.0)
    assert acknowledged == [0]


def test_a_network_that_comes_back_while_its_process_is_stopped_is_there_when_it_goes_on() -> None:
    _, client = _cluster()
    producer, acknowledged = client.producer(), list[int]()
    client.cut_off()
    producer.produce(OutputRecord("answers", b"", b"", 0), lambda _, offset, __: acknowledged.append(offset or 0))
    client.freeze()
    client.reconnect()
    client.thaw()
    producer.poll(0.0)
    assert acknowledged == [0]


def test_calls_time_out_and_a_commit_is_in_doubt() -> None:
    cluster, client = _cluster()
    producer = client.transactional_producer("writer")
    producer.init_transactions(1.0)
    producer.begin()
    producer.produce(OutputRecord("answers", b"", b"", 0))
    client.cut_off()
    with pytest.raises(LogTimeout):
        client.admin().start_offsets([TopicPartition("answers", 0)])
    with pytest.raises(CommitInDoubt):
        producer.commit(1.0)
    assert cluster.logs()[0].last_stable == 0
    assert producer.disturbance() is not None


def test_a_reader_gets_nothing_and_goes_on_where_it_was() -> None:
    cluster, client = _cluster()
    reader = client.reader("read_committed")
    reader.assign({TopicPartition("answers", 0): 0})
    client.cut_off()
    cluster.client().producer().produce(OutputRecord("answers", b"", b"", 0))
    assert reader.fetch(10, 0.0).records == []
    client.reconnect()
    assert len(reader.fetch(10, 0.0).records) == 1


def test_a_member_that_is_back_in_time_notices_nothing() -> None:
    cluster = cluster_of(Conditions())
    member = Member(cluster, "a")
    member.client.cut_off()
    cluster.advance(SESSION_MS - 100)
    member.poll()
    member.client.reconnect()
    member.poll()
    cluster.advance(SESSION_MS)
    assert member.heard == ["assigned"]
    assert len(cluster.groups.group("group").members) == 1


def test_one_that_goes_on_without_its_network_is_counted_out() -> None:
    cluster = cluster_of(Conditions())
    member = Member(cluster, "a")
    member.client.cut_off()
    member.client.freeze()
    member.client.thaw()
    cluster.advance(SESSION_MS + 100)
    cluster.expire()
    assert cluster.groups.group("group").members == {}


def test_one_that_is_away_for_a_session_gives_up_by_itself_and_joins_anew() -> None:
    cluster = cluster_of(Conditions())
    first, second = Member(cluster, "a"), Member(cluster, "b")
    first.poll()
    second.poll()
    first.client.cut_off()
    cluster.advance(SESSION_MS + 100)
    second.poll()
    assert second.heard[-1] == "assigned"
    first.poll()
    assert first.heard[-1] == "lost"
    first.client.reconnect()
    for _ in range(3):
        first.poll()
        second.poll()
    assert (first.heard[-1], second.heard[-1]) == ("assigned", "nothing")


def test_one_that_was_counted_out_hears_of_it_with_a_heartbeat_after_its_return() -> None:
    cluster = cluster_of(_Hearing())
    member = Member(cluster, "a")
    member.client.cut_off()
    cluster.advance(SESSION_MS - 100)
    member.client.be_expelled()
    member.client.reconnect()
    member.poll()
    assert member.heard == ["assigned"]
    cluster.advance(2_100)
    member.poll()
    assert member.heard == ["assigned", "lost", "assigned"]


@pytest.mark.parametrize(("silent_ms", "found"), [(9_000.0, [b"2"]), (11_000.0, [])])
@pytest.mark.parametrize("is_cut_off", [True, False])
def test_whoever_was_silent_for_long_reads_on_over_fresh_connections(
    silent_ms: float, found: list[bytes], is_cut_off: bool
) -> None:
    cluster = cluster_of(_Forgetful())
    client, other = cluster.client(), cluster.client().producer()
    reader = client.reader("read_committed")
    reader.assign({TASKS: 0})
    reader.fetch(1, 0.0)
    cluster.advance(400)

    def read() -> list[bytes | None]:
        return [record.value for record in reader.fetch(10, 0.0).records]

    other.produce(OutputRecord("tasks", b"", b"1", 0))
    other.poll(0.0)
    assert read() == [b"1"]
    if is_cut_off:
        client.cut_off()
    else:
        client.freeze()
    cluster.advance(silent_ms)
    other.produce(OutputRecord("tasks", b"", b"2", 0))
    other.poll(0.0)
    if is_cut_off:
        client.reconnect()
    else:
        client.thaw()
    assert read() == found
    cluster.advance(400)
    assert found + read() == [b"2"]
