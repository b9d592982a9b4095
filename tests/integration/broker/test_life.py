"""Life and death of the embedded broker: data survive, no child stays, errors are told."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from logkeel.broker import EmbeddedBroker, detached
from logkeel.broker.launch import LaunchRequest
from logkeel.errors import BrokerDied, BrokerLocked, PortTaken

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

Factory = Callable[..., EmbeddedBroker]

PARTITIONS, ROUNDS = 10, 3
"""So many markers are under way when a commit is acknowledged; without a fence a round loses them in 3 to 4 of 10."""

PATIENCE_S = 60.0
"""For one call: while a node is away, or has just come back."""

OWNER = """
import sys, time
from pathlib import Path
from logkeel.broker import EmbeddedBroker
broker = EmbeddedBroker({data_dir}).start()
print(broker.pid, broker.data_dir, flush=True)
time.sleep(600)
"""


def write(bootstrap_servers: str, topic: str, value: bytes) -> None:
    if topic not in AdminClient({"bootstrap.servers": bootstrap_servers}).list_topics(timeout=PATIENCE_S).topics:
        create(bootstrap_servers, topic)
    producer = Producer({"bootstrap.servers": bootstrap_servers, "transactional.id": topic, "log_level": 0})
    producer.init_transactions(PATIENCE_S)
    producer.begin_transaction()
    producer.produce(topic, value)
    producer.commit_transaction(PATIENCE_S)


def create(bootstrap_servers: str, topic: str, *, partitions: int = 1) -> None:
    """A client that was told of a controller which has just died waits for that one: ask with a new client."""
    for attempts_left in reversed(range(6)):
        admin = AdminClient({"bootstrap.servers": bootstrap_servers})
        try:
            admin.create_topics([NewTopic(topic, partitions)], request_timeout=PATIENCE_S / 6)[topic].result()
        except KafkaException as exception:
            if attempts_left == 0 or exception.args[0].code() != KafkaError._TIMED_OUT:
                raise
        else:
            return


def read(bootstrap_servers: str, topic: str, count: int) -> list[bytes | str | None]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": uuid.uuid4().hex,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    consumer.subscribe([topic])
    try:
        return [message.value() for message in consumer.consume(count, PATIENCE_S)]
    finally:
        consumer.close()


def gone(pid: int, *, within_s: float = 40.0) -> bool:
    deadline = time.monotonic() + within_s
    while _lives(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _lives(pid: int) -> bool:
    """It may end between two looks."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_data_survive_kill_stop_and_a_new_owner(embedded_broker: Factory, tmp_path: Path) -> None:
    broker = embedded_broker(tmp_path)
    address, killed = broker.bootstrap_servers, broker.pid
    write(address, "kept", b"before kill")
    broker.kill()
    assert gone(killed)
    assert not broker.is_running
    broker.start()
    assert broker.bootstrap_servers == address
    write(address, "kept", b"before stop")
    broker.close()
    again = embedded_broker(tmp_path)
    assert again.bootstrap_servers == address
    assert read(address, "kept", 2) == [b"before kill", b"before stop"]


def test_commits_under_way_when_a_lone_broker_is_killed_are_finished(embedded_broker: Factory, tmp_path: Path) -> None:
    broker = embedded_broker(tmp_path)
    address = broker.bootstrap_servers
    create(address, "kept", partitions=PARTITIONS)
    for number in range(ROUNDS):
        producer = Producer({"bootstrap.servers": address, "transactional.id": f"id-{number}", "log_level": 0})
        producer.init_transactions(PATIENCE_S)
        producer.begin_transaction()
        for partition in range(PARTITIONS):
            producer.produce("kept", str(number).encode(), partition=partition)
        pid = broker.pid
        producer.commit_transaction(PATIENCE_S)
        os.kill(pid, signal.SIGKILL)
        broker.kill()
        broker.start()
        assert "Fencing broker" in (tmp_path / "fencing.log").read_text()
    expected = [str(number).encode() for number in range(ROUNDS) for _ in range(PARTITIONS)]
    assert sorted(read(address, "kept", len(expected)), key=str) == expected


@pytest.mark.parametrize("data_dir", ["None", "Path(sys.argv[1])"])
def test_no_child_stays_when_the_owner_is_killed(tmp_path: Path, data_dir: str) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER.format(data_dir=data_dir), str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    with owner.stdout as told:
        pid, place = told.readline().split()
    supervisor = psutil.Process(int(pid)).ppid()
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    assert gone(int(pid))
    assert gone(supervisor)
    assert Path(place).exists() is (data_dir != "None")
    assert not detached.status(tmp_path).running


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_no_broker_stays_when_its_supervisor_is_killed(embedded_broker: Factory) -> None:
    broker = embedded_broker()
    os.kill(psutil.Process(broker.pid).ppid(), signal.SIGKILL)
    assert gone(broker.pid)
    broker.start()
    assert broker.is_running


def test_one_directory_has_one_broker(embedded_broker: Factory, tmp_path: Path) -> None:
    broker = embedded_broker(tmp_path)
    with pytest.raises(BrokerLocked, match=str(broker.pid)):
        EmbeddedBroker(tmp_path).start()
    assert detached.status(tmp_path).bootstrap_servers == broker.bootstrap_servers


def test_a_taken_port_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=str(port)):
            EmbeddedBroker(tmp_path, port=port).start()
    assert not detached.status(tmp_path).running


def test_a_death_at_the_start_shows_the_last_lines(tmp_path: Path) -> None:
    with pytest.raises(BrokerDied, match=r"process\.roles") as died:
        EmbeddedBroker(tmp_path, config={"process.roles": "nonsense"}).start()
    assert died.value.details["log_tail"]
    assert not detached.status(tmp_path).running


def test_a_detached_broker_outlives_its_starter_and_recovers_from_a_kill(tmp_path: Path) -> None:
    def broker(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "logkeel.cli.main", "broker", *arguments, "--data-dir", str(tmp_path)]
        return subprocess.run([*command, "-o", "json"], capture_output=True, text=True, check=False)

    try:
        first = json.loads(broker("start").stdout)
        assert psutil.pid_exists(first["pid"])
        assert json.loads(broker("start").stdout) == first
        assert json.loads(broker("status").stdout) == first
        os.kill(first["pid"], signal.SIGKILL)
        assert gone(first["pid"])
        assert broker("status").returncode == 3
        second = detached.start(LaunchRequest(tmp_path))
        assert second.bootstrap_servers == first["bootstrap_servers"]
        assert any("Kafka Server started" in line for line in json.loads(broker("logs").stdout))
    finally:
        stopped = broker("stop")
    assert json.loads(stopped.stdout)["stopped"] is True
    assert second.pid is not None
    assert gone(second.pid)
    assert json.loads(broker("stop").stdout)["stopped"] is False
