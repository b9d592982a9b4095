"""The broker dies and comes back under engine and worker, which wait for it: nothing is asked, nothing runs twice."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.chaos.outside import LEDGER, read
from tests.chaos.processes import Victim
from tests.integration.runs.application import Application
from tests.integration.steps.following import Followed, request_orders
from tests.integration.steps.scaling import keyed, scaling

from logkeel.broker import EmbeddedBroker
from logkeel.steps import publish_definitions

ORDERS = 1_500
AWAY_S = 1.0
SHORT_SESSION_MS = 6_000
"""The least that the broker allows: shorter than it takes to be away for as long and to start again."""


@pytest.fixture
def broker(embedded_broker: Callable[..., EmbeddedBroker], tmp_path: Path) -> EmbeddedBroker:
    """One of its own, which keeps its data and its port."""
    return embedded_broker(tmp_path / "broker")


@pytest.fixture
def application(broker: EmbeddedBroker) -> Iterator[Application]:
    """Topics and definitions."""
    application = Application(broker.bootstrap_servers, partitions=2)
    publish_definitions(application.client, application.names, [scaling, keyed])
    yield application
    application.close()


@pytest.fixture
def processes(application: Application, tmp_path: Path) -> Iterator[list[Victim]]:
    """An engine and a worker, running."""
    yield from serving(application, tmp_path, "scaling", {})


@pytest.fixture
def forgotten(application: Application, tmp_path: Path) -> Iterator[list[Victim]]:
    """The same with sessions that an absence of the broker outlasts, for a step with a key."""
    yield from serving(application, tmp_path, "keyed", {"LOGKEEL_SESSION_TIMEOUT_MS": str(SHORT_SESSION_MS)})


def serving(
    application: Application, tmp_path: Path, workflow: str, environment: dict[str, str]
) -> Iterator[list[Victim]]:
    """Start both, end them whatever happens."""
    settings = {
        "LOGKEEL_BOOTSTRAP_SERVERS": application.settings.bootstrap_servers,
        "LOGKEEL_PREFIX": application.settings.prefix,
        "LOGKEEL_STATE_DIR": str(tmp_path),
        LEDGER: str(tmp_path / "ledger"),
        **environment,
    }
    commands = {"engine": ["engine"], "worker": ["worker", f"tests.integration.steps.scaling:{workflow}"]}
    made = [
        Victim(name, ["-m", "logkeel.cli.main", *command], tmp_path / f"{name}.log", settings)
        for name, command in commands.items()
    ]
    for process in made:
        process.start()
    yield made
    for process in made:
        sys.stdout.write(f"{process.name} {process.tail()}\n")  # is seen if a test failed
        if process.alive:
            process.abort()


def follow_through(
    ends: list[tuple[int, Callable[[], None]]], followed: Followed, broker: EmbeddedBroker, away_s: float
) -> None:
    """After so many completions the broker ends that way, is away and starts again; all runs succeed."""
    for done, end in ends:
        followed.until(lambda done=done: followed.done > done)  # type: ignore[misc]
        end()
        time.sleep(away_s)
        broker.start()
    followed.until(lambda: followed.done == ORDERS)
    assert followed.statuses == {"succeeded": ORDERS}


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(500)
def test_a_broker_that_goes_and_comes_back(
    broker: EmbeddedBroker, application: Application, processes: list[Victim], tmp_path: Path
) -> None:
    followed = Followed(application)
    request_orders(application, ORDERS)
    ends = [(ORDERS // 5, broker.kill), (ORDERS // 2, broker.stop)]
    follow_through(ends, followed, broker, AWAY_S)
    assert followed.kinds["step_in_doubt"] == 0
    begun = Counter(line["key"] for line in read(tmp_path / "ledger") if line["what"] == "begin")
    assert (len(begun), begun.total()) == (ORDERS, ORDERS)
    for process in processes:
        assert len(process.lives) == 1
        assert process.stop() == 0, process.tail()


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(500)
def test_a_broker_that_is_away_for_longer_than_a_session(
    broker: EmbeddedBroker, application: Application, forgotten: list[Victim], tmp_path: Path
) -> None:
    """Members that their group forgot join it again: the processes live on, whatever the client held for fatal."""
    followed = Followed(application)
    request_orders(application, ORDERS, "keyed")
    follow_through([(ORDERS // 5, broker.kill)], followed, broker, SHORT_SESSION_MS / 1_000)
    ended = {line["key"] for line in read(tmp_path / "ledger") if line["what"] == "end"}
    assert len(ended) == ORDERS
    for process in forgotten:
        assert len(process.lives) == 1
        assert process.stop() == 0, process.tail()
