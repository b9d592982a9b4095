"""Clients that outlive a restart of their broker."""

from collections.abc import Callable
from pathlib import Path

import pytest

from logkeel.broker import EmbeddedBroker
from logkeel.kafka import KafkaLogClient
from logkeel.log import TopicPartition, TopicPlan


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
