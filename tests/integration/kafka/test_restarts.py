"""Clients that outlive a restart of their broker."""

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from logkeel.broker import EmbeddedBroker
from logkeel.errors import LogTimeout
from logkeel.kafka import KafkaLogClient
from logkeel.kafka.producer import RENEWED, KafkaProducer
from logkeel.kafka.settings import producer_settings
from logkeel.kafka.silence import PATIENCE_S
from logkeel.log import OutputRecord, TopicPartition, TopicPlan
from logkeel.testing.frames import LIST_OFFSETS
from logkeel.testing.proxy import TcpProxy

LIVENESS_S = 100.0


@pytest.mark.kafka
@pytest.mark.slow
def test_an_admin_lists_offsets_under_a_leader_epoch_that_it_did_not_know(
    embedded_broker: Callable[..., EmbeddedBroker], tmp_path: Path
) -> None:
    broker = embedded_broker(tmp_path)
    admin = KafkaLogClient(broker.bootstrap_servers).admin()
    admin.create_topics([TopicPlan("t", 2)])
    places = [TopicPartition("t", 0), TopicPartition("t", 1)]
    for end in (broker.kill, broker.stop):
        assert admin.end_offsets(places, committed_only=True) == dict.fromkeys(places, 0)
        end()
        broker.start()
    assert admin.start_offsets(places) == dict.fromkeys(places, 0)


@pytest.mark.kafka
@pytest.mark.slow
def test_a_reader_goes_on_where_it_was_when_its_broker_was_away(
    embedded_broker: Callable[..., EmbeddedBroker], tmp_path: Path
) -> None:
    """Away for long enough that the silent partition is sought more than once: no record comes twice, none is lost."""
    broker = embedded_broker(tmp_path)
    client = KafkaLogClient(broker.bootstrap_servers)
    client.admin().create_topics([TopicPlan("t", 1)])
    place = TopicPartition("t", 0)
    with closing(client.reader("read_committed")) as reader, closing(client.producer()) as producer:
        reader.assign({place: 0})
        seen: list[int] = []

        def read(seconds: float, enough: int) -> None:
            deadline_s = time.monotonic() + seconds
            while len(seen) < enough and time.monotonic() < deadline_s:
                seen.extend(record.offset for record in reader.fetch(100, 0.05).records)

        for number in range(5):
            producer.produce(OutputRecord("t", None, b"%d" % number, 0))
        read(LIVENESS_S, 5)
        broker.kill()
        read(3 * PATIENCE_S, 6)
        broker.start()
        producer.produce(OutputRecord("t", None, b"5", 0))
        read(LIVENESS_S, 6)
        read(PATIENCE_S, 7)
        assert seen == [0, 1, 2, 3, 4, 5]


@pytest.mark.kafka
@pytest.mark.slow
def test_a_producer_whose_records_timed_out_goes_on_with_another_client(
    embedded_broker: Callable[..., EmbeddedBroker], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Every record has one outcome: what was under way fails, what is produced after the broker is back arrives."""
    broker = embedded_broker(tmp_path)
    KafkaLogClient(broker.bootstrap_servers).admin().create_topics([TopicPlan("t", 1)])
    settings = {**producer_settings(), "message.timeout.ms": 2_000, "bootstrap.servers": broker.bootstrap_servers}
    outcomes: list[type[Exception] | None] = []

    def produce() -> type[Exception] | None:
        def delivered(place: TopicPartition, offset: int, error: Exception | None) -> None:
            outcomes.append(None if error is None else type(error))

        known = len(outcomes)
        producer.produce(OutputRecord("t", None, b"x", 0), delivered)
        deadline_s = time.monotonic() + LIVENESS_S
        while len(outcomes) == known and time.monotonic() < deadline_s:
            producer.poll(0.05)
        assert len(outcomes) == known + 1
        return outcomes[-1]

    with closing(KafkaProducer(settings)) as producer:
        assert produce() is None
        broker.stop()
        assert produce() is LogTimeout
        assert RENEWED not in caplog.messages
        broker.start()
        # A broker that has just started may take longer than this producer's patience.
        deadline_s = time.monotonic() + LIVENESS_S
        while produce() is not None and time.monotonic() < deadline_s:
            pass
        assert outcomes[-1] is None
        assert caplog.messages.count(RENEWED) == outcomes.count(LogTimeout)
        assert produce() is None


ASKS = """
import sys
from logkeel.kafka import KafkaLogClient
from logkeel.log import TopicPartition

admin = KafkaLogClient(sys.argv[1]).admin()
for number in range(40):
    assert admin.group_offsets(f"group-{number}", [TopicPartition("t", 0)]) == {}
"""


@pytest.mark.kafka
def test_offsets_of_a_group_can_be_asked_for_while_its_coordinator_loads(
    embedded_broker: Callable[..., EmbeddedBroker], tmp_path: Path
) -> None:
    """A child asks: the client's ListConsumerGroupOffsets would end it with a segmentation fault."""
    broker = embedded_broker(tmp_path)
    KafkaLogClient(broker.bootstrap_servers).admin().create_topics([TopicPlan("t", 1)])
    asked = subprocess.run([sys.executable, "-c", ASKS, broker.bootstrap_servers], capture_output=True, text=True)
    assert asked.returncode == 0, asked.stderr


@pytest.mark.kafka
@pytest.mark.slow
def test_an_admin_never_takes_an_unanswered_question_for_an_offset(
    embedded_broker: Callable[..., EmbeddedBroker],
) -> None:
    with TcpProxy() as proxy:
        broker = embedded_broker(advertised=proxy.address)
        proxy.target = broker.listener
        admin = KafkaLogClient(proxy.address).admin()
        admin.create_topics([TopicPlan("t", 2)])
        places = [TopicPartition("t", 0), TopicPartition("t", 1)]
        for _ in range(3):
            # The client reports success with the offset -1001 for what it asked over a connection that broke.
            cut = proxy.cut_at_response(LIST_OFFSETS)
            assert admin.end_offsets(places, committed_only=False) == dict.fromkeys(places, 0)
            assert cut.hits == 1
