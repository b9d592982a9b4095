"""A gateway that is killed amid its projection, again and again, ends with the rows that the log says."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from msgspec.structs import replace
from tests.integration.gateway.processes import Application, until_ready
from tests.ports import free_port
from tests.unit.readmodel.told import assert_same, recorded_runs

from logkeel.errors import ConfigInvalid, StoreUnavailable
from logkeel.kafka import KafkaLogClient
from logkeel.log import OutputRecord, TopicPartition
from logkeel.log.partitioner import partition_for
from logkeel.projection import HistoryReader
from logkeel.readmodel import FILE_NAME, ReadModel
from logkeel.records import RunEvent
from logkeel.records.topics import TopicNames
from logkeel.wire import encode

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

KILLS = 6
COPIES = 30
PARTITIONS = 4
SEED = 11


def mixed(chance: random.Random) -> list[RunEvent]:
    """Many copies of the recorded runs, mixed, each in its order."""
    queues = [
        [replace(event, run_id=f"{event.run_id}-{copy}") for event in run]
        for run in recorded_runs()
        for copy in range(COPIES)
    ]
    events = []
    while queues:
        queue = chance.choice(queues)
        events.append(queue.pop(0))
        if not queue:
            queues.remove(queue)
    return events


class Teller(threading.Thread):
    """Puts events on the log bit by bit while gateways come and go."""

    def __init__(self, bootstrap: str, names: TopicNames, events: list[RunEvent]) -> None:
        super().__init__(daemon=True)
        self._producer = KafkaLogClient(bootstrap).producer()
        self._names = names
        self._events = events
        self.may_go_on = threading.Semaphore(0)
        self.has_told = threading.Semaphore(0)

    def run(self) -> None:
        share = len(self._events) // KILLS + 1
        for begin in range(0, len(self._events), share):
            self.may_go_on.acquire()
            for event in self._events[begin : begin + share]:
                key = event.run_id.encode()
                home = partition_for(key, PARTITIONS)
                self._producer.produce(OutputRecord(self._names.run_events, key, encode(event), home))
                self._producer.poll(0.0)
            self._producer.flush(30.0)
            self.has_told.release()
        self._producer.close()


@pytest.fixture
def application(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Application]:
    made = Application(kafka_bootstrap, f"t{uuid4().hex[:8]}", tmp_path)
    yield made
    made.kill()


def test_killed_amid_its_projection_it_counts_every_event_once(kafka_bootstrap: str, application: Application) -> None:
    chance = random.Random(SEED)
    names = TopicNames(application.prefix)
    done = application.logkeel("topics", "apply", "--partitions", str(PARTITIONS))
    assert done.returncode == 0, done.stderr
    events = mixed(chance)
    teller = Teller(kafka_bootstrap, names, events)
    teller.start()
    port = free_port()
    killed_amid = 0
    for number in range(KILLS):
        process = application.start("gateway", "--port", str(port))
        # The share comes while the gateway reads: what is there before would be one transaction.
        until_ready(port, application).close()
        before = shown(application, names)
        teller.may_go_on.release()
        _until(partial(_has_moved, application, names, before), application)
        # Half of the kills come as soon as the file moves, which is amid the share.
        time.sleep(chance.uniform(0.0, 0.15) if number % 2 else 0.0)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert teller.has_told.acquire(timeout=60.0)
        killed_amid += shown(application, names) < _end(kafka_bootstrap, names)
    teller.join(60.0)
    with application.running(("gateway", "--port", str(port))), closing(until_ready(port, application)) as client:
        counts = client.get("/v1/counts").json()
        assert sum(counts["by_status"].values()) == len({event.run_id for event in events})
    with closing(HistoryReader(KafkaLogClient(kafka_bootstrap), names)) as reader:
        assert_same(application.read_model, reader.catch_up())
    assert killed_amid > 0, "no kill came amid the projection: this run shows nothing"


def shown(application: Application, names: TopicNames) -> int:
    """How many offsets of run-events the file shows."""
    try:
        with closing(ReadModel(application.read_model / FILE_NAME)) as model:
            return sum(model.reflects().get(names.run_events, {}).values())
    except (ConfigInvalid, StoreUnavailable):
        return 0


def _has_moved(application: Application, names: TopicNames, before: int) -> bool:
    return shown(application, names) > before


def _end(bootstrap: str, names: TopicNames) -> int:
    with closing(KafkaLogClient(bootstrap).admin()) as admin:
        places = [TopicPartition(names.run_events, number) for number in range(PARTITIONS)]
        return sum(admin.end_offsets(places, committed_only=True).values())


def _until(condition: Callable[[], bool], application: Application) -> None:
    deadline_s = time.monotonic() + 60.0
    while time.monotonic() < deadline_s:
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError(application.words())
