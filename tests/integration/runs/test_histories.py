"""Histories are read to their end by whoever has seen what ends them, although its markers come one after another."""

import threading
from contextlib import closing
from uuid import uuid4

import pytest
from tests.unit.projection.histories import Told

from logkeel.kafka import KafkaLogClient
from logkeel.log import OutputRecord, TopicPlan, TransactionalProducer
from logkeel.projection import HistoryReader
from logkeel.records.topics import TopicNames
from logkeel.wire import encode

pytestmark = pytest.mark.kafka

CALL_S = 20.0


class Writing:
    """An application that has only a history, in one partition, and one who writes to it."""

    def __init__(self, bootstrap: str) -> None:
        self.names = TopicNames(f"t{uuid4().hex[:8]}")
        self.client = KafkaLogClient(bootstrap)
        self.client.admin().create_topics([TopicPlan(self.names.run_events, 1)])
        self.producer: TransactionalProducer = self.client.transactional_producer(self.names.prefix)
        self.producer.init_transactions(CALL_S)

    def begin(self, run_id: str) -> None:
        """A transaction with the first event of a run, acknowledged."""
        self.producer.begin()
        value = encode(Told(run_id).history[0])
        self.producer.produce(OutputRecord(self.names.run_events, run_id.encode(), value, 0))
        self.producer.flush(CALL_S)

    def history(self) -> HistoryReader:
        """From its start."""
        return HistoryReader(self.client, self.names)


@pytest.fixture
def writing(kafka_bootstrap: str) -> Writing:
    """Ready to begin."""
    return Writing(kafka_bootstrap)


def known(history: HistoryReader) -> set[str]:
    """The runs in a history that was read to its end."""
    return {view.run_id for view in history.catch_up().runs()}


def test_what_is_being_committed_is_waited_for(writing: Writing) -> None:
    writing.begin("r")
    with closing(writing.history()) as history:
        assert history.caught_up
        committing = threading.Timer(0.3, writing.producer.commit, [CALL_S])
        committing.start()
        assert known(history) == {"r"}
        committing.join()
    writing.producer.close()


def test_what_nobody_commits_is_waited_for_a_moment_only(writing: Writing) -> None:
    writing.begin("r")
    writing.producer.commit(CALL_S)
    writing.begin("open")
    with closing(writing.history()) as history:
        assert known(history) == {"r"}
        writing.producer.commit(CALL_S)
        history.aim()
        assert known(history) == {"r", "open"}
    writing.producer.close()
