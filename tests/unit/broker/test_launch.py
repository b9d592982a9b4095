"""Decisions and refusals around a start: places, ports, settings, locks, notes."""

import os
import shutil
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from logkeel.broker import state
from logkeel.broker.detached import DetachedProcess
from logkeel.broker.fencing import fence, needs_fencing
from logkeel.broker.launch import LaunchRequest, choose_ports, died, launch
from logkeel.broker.locking import is_held, take
from logkeel.broker.places import cache_directory, default_data_directory
from logkeel.broker.runtime import Runtime
from logkeel.broker.settings import BrokerSettings, Member, Ports, container_environment
from logkeel.broker.spawning import BrokerProcess
from logkeel.broker.state import BrokerNote, read_note, write_note
from logkeel.cli.main import SECTIONS, sections_for
from logkeel.errors import BrokerDied, BrokerLocked, DiskFull, PortTaken

HOME = Path("/home/x")


def never(command: Sequence[str], output: int, lock: int) -> BrokerProcess:
    pytest.fail("no process may be started")


@pytest.mark.parametrize(
    ("environment", "cache"),
    [
        ({}, "/home/x/.cache/logkeel"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/logkeel"),
        ({"XDG_CACHE_HOME": "/xdg", "LOGKEEL_CACHE": "/own"}, "/own"),
    ],
)
def test_cache_directory(environment: dict[str, str], cache: str) -> None:
    assert cache_directory(environment, HOME) == Path(cache)


def test_data_directory() -> None:
    assert default_data_directory({}, HOME) == HOME / ".local/share/logkeel/broker"
    assert default_data_directory({"XDG_DATA_HOME": "/d"}, HOME) == Path("/d/logkeel/broker")
    assert default_data_directory({"LOGKEEL_BROKER_DATA": "/b"}, HOME) == Path("/b")


def test_all_listeners_are_local_and_only_clients_are_told_the_advertised_address() -> None:
    settings = BrokerSettings(Path("/d"), Ports(1, 2, 3), "proxy:9", {"num.partitions": "7"})
    properties = settings.properties()
    assert properties["listeners"] == "CLIENT://127.0.0.1:1,INTERNAL://127.0.0.1:2,CONTROLLER://127.0.0.1:3"
    assert properties["advertised.listeners"] == "CLIENT://proxy:9,INTERNAL://127.0.0.1:2"
    assert properties["num.partitions"] == "7"
    assert "transaction.abort.timed.out.transaction.cleanup.interval.ms" not in properties
    assert "log.dirs=/d/kafka\n" in settings.text()


def test_the_controller_alone_listens_to_nobody_else_and_fences_soon() -> None:
    text = BrokerSettings(
        Path("/d"), Ports(1, 2, 3), "proxy:9", {"broker.session.timeout.ms": "7000"}
    ).controller_text()
    assert "process.roles=controller\n" in text
    assert "\nlisteners=CONTROLLER://127.0.0.1:3\n" in text
    assert "CLIENT://" not in text
    assert "inter.broker.listener.name" not in text
    assert "\nbroker.session.timeout.ms=100\n" in text


def test_only_a_node_that_is_alone_and_was_killed_is_fenced(tmp_path: Path) -> None:
    alone = BrokerSettings(tmp_path, Ports(1, 2, 3), "x:1")
    assert not needs_fencing(alone)
    metadata = alone.log_dir / "__cluster_metadata-0"
    metadata.mkdir(parents=True)
    (metadata / "00000000000000000000.log").touch()
    assert needs_fencing(alone)
    assert not needs_fencing(replace(alone, member=Member(1, "c", {1: 3, 2: 4})))
    (alone.log_dir / ".kafka_cleanshutdown").touch()
    assert not needs_fencing(alone)


def test_a_controller_that_does_not_come_up_fails_no_start(tmp_path: Path) -> None:
    settings = BrokerSettings(tmp_path, Ports(1, 2, 3), "x:1")
    lock = take(state.lock_path(tmp_path))
    assert lock is not None
    fence(settings, Runtime((tmp_path / "no.jar",), tmp_path), DetachedProcess, lock)
    os.close(lock)
    assert not state.is_running(tmp_path)
    assert "kafka.Kafka" in (tmp_path / "fencing.log").read_text()


def test_a_container_gets_the_same_defaults() -> None:
    variables = container_environment("127.0.0.1:5")
    assert variables["KAFKA_TRANSACTION_STATE_LOG_MIN_ISR"] == "1"
    assert variables["KAFKA_ADVERTISED_LISTENERS"].startswith("CLIENT://127.0.0.1:5,")


def test_ports_wanted_remembered_or_any() -> None:
    assert choose_ports(0, None).client > 0
    note = BrokerNote(1, "x:1", choose_ports(0, None))
    assert choose_ports(0, note) == choose_ports(note.ports.client, note) == note.ports
    with socket.create_server(("127.0.0.1", note.ports.client)):
        assert choose_ports(0, note).client != note.ports.client
        with pytest.raises(PortTaken, match=str(note.ports.client)):
            choose_ports(note.ports.client, note)
    chosen = choose_ports(note.ports.client, None)
    assert len({chosen.client, chosen.internal, chosen.controller}) == 3


def test_a_held_directory_is_refused_with_its_holder(tmp_path: Path) -> None:
    write_note(tmp_path, BrokerNote(4711, "127.0.0.1:1", Ports(1, 2, 3)))
    lock = take(state.lock_path(tmp_path))
    assert lock is not None
    try:
        with pytest.raises(BrokerLocked, match="4711"):
            launch(LaunchRequest(tmp_path), never)
    finally:
        os.close(lock)
    assert not state.is_running(tmp_path)


def test_a_full_disk_is_seen_before_the_start_and_leaves_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1))
    with pytest.raises(DiskFull, match="--data-dir"):
        launch(LaunchRequest(tmp_path), never)
    assert not state.is_running(tmp_path)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("java.net.BindException: Address already in use", PortTaken),
        ("java.io.IOException: No space left on device", DiskFull),
        ("java.lang.OutOfMemoryError", BrokerDied),
    ],
)
def test_a_death_is_explained_by_the_last_lines(tmp_path: Path, line: str, kind: type[Exception]) -> None:
    state.log_path(tmp_path).write_text("first\n" * 100 + line + "\n")
    with pytest.raises(kind) as raised:
        died(tmp_path, "while starting", port=5)
    if isinstance(raised.value, BrokerDied):
        assert line in raised.value.message
        assert len(raised.value.details["log_tail"]) == 20


def test_a_lock_lives_in_the_child_that_inherited_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = take(path)
    assert lock is not None
    assert take(path) is None
    read, write = os.pipe()
    child = os.posix_spawn(
        sys.executable, [sys.executable, "-c", "import sys; sys.stdin.read()"], os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, read, 0), (os.POSIX_SPAWN_DUP2, lock, 9)],
    )  # fmt: skip
    os.close(lock)
    assert is_held(path)
    os.close(write)
    os.waitpid(child, 0)
    os.close(read)
    assert not is_held(path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "advertised": "", "ports": {}}'])
def test_an_unreadable_note_is_no_note(tmp_path: Path, content: str) -> None:
    (tmp_path / "broker.json").write_text(content)
    assert read_note(tmp_path) is None


def test_a_command_imports_its_own_section_only() -> None:
    assert sections_for(["broker", "start"]) == ["broker"]
    assert sections_for(["--help"]) == list(SECTIONS)
    assert sections_for(["unknown"]) == list(SECTIONS)
