"""Which partitions are sought after connections broke, and when another handle is needed. Time is told."""

from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import TopicPartition as ClientPartition

from logkeel.kafka.client_log import ClientLog
from logkeel.kafka.silence import HOPELESS_AT_MOST_S, HOPELESS_S, PATIENCE_S, UNSETTLED_AT_MOST_S, Silence
from logkeel.log import Fetched, Record, TopicPartition

A, B = TopicPartition("t", 0), TopicPartition("t", 1)


@dataclass
class Seeker:
    """The one call that is made of a consumer."""

    sought: list[tuple[int, int]] = field(default_factory=list)

    def seek(self, target: ClientPartition) -> None:
        self.sought.append((target.partition, target.offset))


class Watched:
    """A silence with a clock, a log and two partitions at 5 and 7, both read."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.log = ClientLog()
        self.consumer: Any = Seeker()
        self.silence = Silence(self.log, lambda: self.now_s)
        self.silence.sought({A: 5, B: 7})
        self.active = {A, B}

    def turn(self, *heard: TopicPartition, after_s: float = 0.1, breaks: bool = False) -> list[tuple[int, int]]:
        """Some time passes, the ends of some partitions are heard; what was sought."""
        self.now_s += after_s
        self.log.connection_lost = self.log.connection_lost or breaks
        self.consumer.sought.clear()
        self.silence.fetched(self.consumer, Fetched([], dict.fromkeys(heard, 9)), self.active)
        return list(self.consumer.sought)


def test_while_no_connection_breaks_nothing_is_sought() -> None:
    watched = Watched()
    assert [watched.turn(after_s=1_000.0) for _ in range(3)] == [[], [], []]
    assert not watched.silence.is_hopeless()


def test_every_partition_is_sought_once_though_it_was_heard_of_before() -> None:
    """What comes just after a connection broke may have been fetched before; it says nothing of the partition."""
    watched = Watched()
    assert watched.turn(A, B, breaks=True) == []
    assert watched.turn(A, B, after_s=PATIENCE_S) == [(0, 5), (1, 7)]
    assert watched.turn(A, B) == []
    assert [watched.turn(after_s=PATIENCE_S) for _ in range(5)] == [[]] * 5


def test_what_does_not_answer_is_sought_again_where_it_was() -> None:
    watched = Watched()
    watched.turn(breaks=True)
    watched.turn(after_s=PATIENCE_S)
    record = Record("t", 0, 5, 0, None, b"x", ())
    watched.silence.fetched(watched.consumer, Fetched([record], {}), watched.active)
    assert watched.turn(after_s=PATIENCE_S) == [(1, 7)]
    assert watched.turn(B, after_s=PATIENCE_S) == []
    assert watched.turn(after_s=10 * HOPELESS_S) == []
    assert not watched.silence.is_hopeless()
    assert watched.silence.positions({A, B}) == {A: 6, B: 7}


def test_connections_that_break_without_end_do_not_put_it_off() -> None:
    watched = Watched()
    watched.turn(breaks=True)
    turns = [watched.turn(after_s=1.0, breaks=True) for _ in range(round(UNSETTLED_AT_MOST_S))]
    assert [each for each in turns if each] == [[(0, 5), (1, 7)]]


def test_a_paused_partition_is_judged_when_it_is_read_again() -> None:
    watched = Watched()
    watched.active = {A}
    watched.turn(breaks=True)
    assert watched.turn(after_s=PATIENCE_S) == [(0, 5)]
    watched.turn(A)
    watched.turn(after_s=10 * HOPELESS_S)
    assert not watched.silence.is_hopeless()
    watched.active = {A, B}
    assert watched.turn(A) == [(1, 7)]


def test_what_never_answers_is_hopeless_and_more_patiently_so_every_time() -> None:
    watched, since_s = Watched(), 100.0
    waits: list[int] = []
    watched.turn(after_s=0.0, breaks=True)
    while len(waits) < 8:
        watched.turn(after_s=1.0)
        if watched.silence.is_hopeless():
            waits.append(round(watched.now_s - since_s))
            since_s = watched.now_s
    assert waits == [min(round(HOPELESS_S) * 2**times, round(HOPELESS_AT_MOST_S)) for times in range(8)]
    watched.turn(A, B)
    watched.turn(breaks=True)
    watched.turn(after_s=HOPELESS_S)
    assert watched.silence.is_hopeless()
