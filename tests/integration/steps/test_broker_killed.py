"""The broker dies and comes back under engine and worker, which wait for it: nothing is asked, nothing runs twice."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.chaos.outside import LEDGER, read
from tests.chaos.processes import Victim
from tests.integration.runs.application import Application
from tests.integration.steps.following import Followed, request_orders
from tests.integration.steps.scaling import scaling

from logkeel.broker import EmbeddedBroker
from logkeel.steps import publish_definitions

ORDERS = 1_500
AWAY_S = 3.0


@pytest.fixture
def broker(embedded_broker: Callable[..., EmbeddedBroker], tmp_path: Path) -> EmbeddedBroker:
    """One of its own, which keeps its data and its port."""
    return embedded_broker(tmp_path / "broker")


@pytest.fixture
def application(broker: EmbeddedBroker) -> Iterator[Application]:
    """Topics and definitions."""
    application = Application(broker.bootstrap_servers, partitions=2)
    publish_definitions(application.client, application.names, [scaling])
    yield application
    application.close()


@pytest.fixture
def processes(application: Application, tmp_path: Path) -> Iterator[list[Victim]]:
    """An engine and a worker, running."""
    settings = {
        "LOGKEEL_BOOTSTRAP_SERVERS": application.settings.bootstrap_servers,
        "LOGKEEL_PREFIX": application.settings.prefix,
        "LOGKEEL_STATE_DIR": str(tmp_path),
        LEDGER: str(tmp_path / "ledger"),
    }
    commands = {"engine": ["engine"], "worker": ["worker", "tests.integration.steps.scaling:scaling"]}
    made = [
        Victim(name, ["-m", "logkeel.cli.main", *command], tmp_path / f"{name}.log", settings)
        for name, command in commands.items()
    ]
    for process in made:
        process.start()
    yield made
    for process in made:
        if process.alive:
            process.abort()


@pytest.mark.kafka
@pytest.mark.slow
def test_a_broker_that_goes_and_comes_back(
    broker: EmbeddedBroker, application: Application, processes: list[Victim], tmp_path: Path
) -> None:
    followed = Followed(application)
    request_orders(application, ORDERS)
    for done, end in ((ORDERS // 5, broker.kill), (ORDERS // 2, broker.stop)):
        followed.until(lambda done=done: followed.done > done)  # type: ignore[misc]
        end()
        time.sleep(AWAY_S)
        broker.start()
    followed.until(lambda: followed.done == ORDERS)
    assert followed.statuses == {"succeeded": ORDERS}
    assert followed.kinds["step_in_doubt"] == 0
    begun = Counter(line["key"] for line in read(tmp_path / "ledger") if line["what"] == "begin")
    assert (len(begun), begun.total()) == (ORDERS, ORDERS)
    for process in processes:
        assert len(process.lives) == 1
        assert process.stop() == 0, process.tail()
