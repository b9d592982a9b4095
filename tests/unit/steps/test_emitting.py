"""Emitted values on their way: bounded, in order, and never in the way of anything."""

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from logkeel.errors import LogTimeout, LogUnavailable, PayloadTooLarge, ProducerFatal, StepSignatureError
from logkeel.log import DeliveryCallback, OutputRecord, TopicPartition, TopicPlan
from logkeel.payloads import PLAIN
from logkeel.records import StepEmitted, StepIdentity
from logkeel.simulation import SimulatedClock, SimulatedCluster
from logkeel.steps.emitting import (
    BUFFERED_BYTES,
    BUFFERED_VALUES,
    RECORD_BYTES,
    RETRY_S,
    SEND_EVERY_MS,
    Emissions,
    StreamSender,
    emitted_bytes,
)
from logkeel.wire import decode_as

TOPIC = "run-streams"
IDENTITY = StepIdentity(run_id="r", incarnation="i", path="a", step="a", attempt=1, dispatch=3)


class Progress(BaseModel):
    """What a page shows."""

    done: int


@dataclass
class Refusing:
    """A producer that refuses; implements the port. `error` None: it takes, and reports `failure` for each record."""

    error: Exception | None
    failure: Exception | None = None
    asked: int = 0

    def __post_init__(self) -> None:
        self._reports: list[DeliveryCallback] = []

    def produce(self, output: OutputRecord, on_delivery: DeliveryCallback | None = None) -> None:
        """As the port."""
        self.asked += 1
        if self.error is not None:
            raise self.error
        if on_delivery is not None:
            self._reports.append(on_delivery)

    def poll(self, timeout_s: float) -> None:
        """As the port."""
        while self._reports:
            self._reports.pop()(TopicPartition(TOPIC, 0), -1, self.failure)

    def flush(self, timeout_s: float) -> None:
        """As the port."""
        self.poll(timeout_s)

    def close(self) -> None:
        """As the port."""


class Site:
    """A sender on a simulated log, or on a producer that refuses."""

    def __init__(self, producer: Any = None) -> None:
        self.cluster = SimulatedCluster(SimulatedClock(1_700_000_000_000))
        self.client = self.cluster.client()
        self.client.admin().create_topics([TopicPlan(TOPIC, 1, 1, {})])
        self.made = 0
        self._producer = producer
        self.sender = StreamSender(self.make, TOPIC, payloads=PLAIN, clock=self.cluster.clock, threaded=False)

    def make(self) -> Any:
        """A producer."""
        self.made += 1
        return self._producer or self.client.producer()

    def replace(self, producer: Any) -> None:
        """From now on another one is made."""
        self._producer = producer

    def pass_ms(self, milliseconds: float) -> None:
        """Time passes, and the worker turns."""
        self.cluster.advance(milliseconds)
        self.sender.turn()

    def records(self) -> list[StepEmitted]:
        """What is on the log."""
        reader = self.client.reader("read_committed")
        reader.assign({TopicPartition(TOPIC, 0): 0})
        return [decode_as(record.value or b"", StepEmitted) for record in reader.fetch(10_000, 0.0).records]


def values(records: list[StepEmitted]) -> list[Any]:
    return [value for each in records for value in msgspec.json.decode(each.values.data or b"")]


def test_what_comes_within_a_moment_is_one_record() -> None:
    site, emissions = Site(), Emissions(IDENTITY)
    for number in range(3):
        site.sender.emit(emissions, emitted_bytes(number))
    site.sender.turn()
    assert site.records() == []
    site.pass_ms(SEND_EVERY_MS)
    site.sender.emit(emissions, emitted_bytes("later"))
    site.pass_ms(SEND_EVERY_MS)
    first, second = site.records()
    assert (first.identity, first.sequence, values([first])) == (IDENTITY, 0, [0, 1, 2])
    assert (second.sequence, values([second]), second.dropped) == (3, ["later"], 0)
    assert first.times_ms == (1_700_000_000_000,) * 3


def test_an_execution_that_ends_does_not_keep_its_last_words() -> None:
    site, emissions = Site(), Emissions(IDENTITY)
    site.sender.emit(emissions, b'"last"')
    site.sender.ended(emissions)
    assert values(site.records()) == ["last"]
    site.sender.ended(emissions)
    assert len(site.records()) == 1


def test_closing_sends_what_is_left_and_nothing_later() -> None:
    site, emissions = Site(), Emissions(IDENTITY)
    site.sender.emit(emissions, b'"first"')
    site.sender.turn()
    site.sender.close()
    site.sender.emit(emissions, b'"late"')
    site.sender.close()
    assert values(site.records()) == ([] if not site.made else ["first"])


def test_nobody_who_emits_nothing_has_a_producer() -> None:
    site = Site()
    site.sender.turn()
    site.sender.close()
    assert site.made == 0


@given(sizes=st.lists(st.integers(2, 60_000), max_size=40), taken_every=st.integers(1, 40))
def test_the_buffer_is_bounded_and_every_value_is_sent_or_counted(sizes: list[int], taken_every: int) -> None:
    emissions, sent, dropped = Emissions(IDENTITY), [], 0
    for number, size in enumerate(sizes):
        emissions.add(number, b"1" * size)
        assert emissions.size_bytes <= BUFFERED_BYTES
        assert emissions.size_bytes == sum(len(value) for _, value in emissions.values)
        if number % taken_every == 0 and (taken := emissions.take()) is not None:
            sent.append(taken)
    while (taken := emissions.take()) is not None:
        sent.append(taken)
    position = 0
    for record, count in sent:
        dropped += record.dropped
        assert record.sequence == position + record.dropped
        assert len(record.times_ms) == count
        assert len(record.values.data or b"") <= RECORD_BYTES + 2
        position = record.sequence + count
    assert sum(count for _, count in sent) + dropped == len(sizes)


def test_the_oldest_make_room_and_the_next_record_says_how_many() -> None:
    site, emissions = Site(), Emissions(IDENTITY)
    for number in range(BUFFERED_VALUES + 7):
        site.sender.emit(emissions, emitted_bytes(number))
    site.pass_ms(SEND_EVERY_MS)
    (record,) = site.records()
    assert (record.dropped, record.sequence, values([record])[0]) == (7, 7, 7)


@pytest.mark.parametrize("error", [LogUnavailable("full"), ProducerFatal("over")])
def test_a_log_that_refuses_costs_values_and_nothing_else(error: Exception) -> None:
    refusing = Refusing(error)
    site, emissions = Site(refusing), Emissions(IDENTITY)
    site.sender.emit(emissions, b"1")
    site.pass_ms(SEND_EVERY_MS)
    site.sender.emit(emissions, b"2")
    site.pass_ms(SEND_EVERY_MS)
    assert refusing.asked == 1, "it is not asked again at once"
    refusing.error = None
    site.replace(None)
    site.pass_ms(RETRY_S * 1_000)
    site.sender.emit(emissions, b"3")
    site.pass_ms(SEND_EVERY_MS)
    if isinstance(error, ProducerFatal):
        first, second = site.records()
        assert (site.made, first.sequence, first.dropped, second.dropped) == (2, 1, 1, 0)
        assert values([first, second]) == [2, 3]
    else:
        assert (site.made, refusing.asked) == (1, 3)


def test_what_was_given_up_on_its_way_is_counted_by_the_next_record() -> None:
    lossy = Refusing(None, failure=LogTimeout("given up"))
    site, emissions = Site(lossy), Emissions(IDENTITY)
    for number in range(5):
        site.sender.emit(emissions, emitted_bytes(number))
    site.pass_ms(SEND_EVERY_MS)
    emissions.add(0, b"5")
    taken = emissions.take()
    assert taken is not None
    assert (taken[0].sequence, taken[0].dropped) == (5, 5)


def test_values_are_data_of_some_size() -> None:
    assert emitted_bytes({"done": 1}) == b'{"done":1}'
    assert emitted_bytes(Progress(done=2)) == b'{"done":2}'
    assert emitted_bytes(None) == b"null"
    with pytest.raises(StepSignatureError, match=r"what step\.emit was given is no data"):
        emitted_bytes(object())
    with pytest.raises(PayloadTooLarge, match="65538 bytes"):
        emitted_bytes("x" * 65_536)


def test_with_a_thread_the_log_is_met_there_only() -> None:
    site = Site()
    sender = StreamSender(site.make, TOPIC, payloads=PLAIN, clock=site.cluster.clock, threaded=True)
    emissions = Emissions(IDENTITY)
    for number in range(100):
        sender.emit(emissions, emitted_bytes(number))
    sender.ended(emissions)
    sender.turn()
    sender.close()
    sender.close()
    assert values(site.records()) == list(range(100))
