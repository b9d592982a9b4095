"""Pytest fixtures: `kafka_bootstrap` (one broker per test run), `embedded_broker` (a factory, one per test), and

`crash_everywhere`, which plays a workflow under every crash.

Loaded by pytest in every run where logkeel is installed, therefore imports nothing but pytest before a fixture is used.
Tests share the session's broker: each uses topics and groups with a prefix of its own.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from logkeel.broker import EmbeddedBroker
    from logkeel.testing.crashes import CrashReport


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, so that users' strict markers know it."""
    config.addinivalue_line("markers", "kafka: runs on a real Apache Kafka broker")


@pytest.fixture(scope="session")
def kafka_bootstrap(request: pytest.FixtureRequest) -> Iterator[str]:
    """Bootstrap servers of a real Kafka broker, shared by the whole test run; its origin is printed once."""
    from logkeel.testing.brokers import find_broker, open_broker

    choice = find_broker()
    _print_once(request.config, str(choice))
    with open_broker(choice) as bootstrap_servers:
        yield bootstrap_servers


@pytest.fixture
def embedded_broker() -> "Iterator[Callable[..., EmbeddedBroker]]":
    """Factory of started embedded brokers for tests that kill or restart theirs; all end with the test.

    Takes the arguments of `logkeel.broker.EmbeddedBroker`.
    """
    from logkeel.broker import EmbeddedBroker

    with ExitStack() as brokers:

        def start(*arguments: Any, **options: Any) -> EmbeddedBroker:
            return brokers.enter_context(EmbeddedBroker(*arguments, **options))

        yield start


@pytest.fixture
def crash_everywhere() -> "Callable[..., CrashReport]":
    """`crash_everywhere(workflow, input, resources=…)` in one line: fails the test with the report of violations.

    Takes the arguments of `logkeel.testing.crashes.crash_everywhere`, and gives the report.
    """
    from logkeel.testing import crashes

    def play(*arguments: Any, **options: Any) -> "CrashReport":
        report = crashes.crash_everywhere(*arguments, **options)
        report.check()
        return report

    return play


def _print_once(config: pytest.Config, line: str) -> None:
    capture = config.pluginmanager.getplugin("capturemanager")
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None:
        return
    if capture is None:
        reporter.write_line(line)
        return
    with capture.global_and_fixture_disabled():
        reporter.write_line(line)
