"""Ten thousand `ONCE` steps wait, and workers come and go by SIGTERM: no human is asked, no step runs twice."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chaos.outside import LEDGER, read
from tests.chaos.processes import Victim
from tests.integration.runs.application import running
from tests.integration.steps.following import Followed, request_orders
from tests.integration.steps.scaling import scaling

from logkeel.steps import publish_definitions

STEPS = 10_000


@pytest.fixture
def workers(kafka_bootstrap: str, tmp_path: Path) -> Iterator[list[Victim]]:
    """Three, none of them started; what is left of them ends with the test."""
    settings = {"LOGKEEL_BOOTSTRAP_SERVERS": kafka_bootstrap, "LOGKEEL_CONCURRENCY": "32"}
    settings |= {"LOGKEEL_STATE_DIR": str(tmp_path), LEDGER: str(tmp_path / "ledger"), "LOGKEEL_LOG_LEVEL": "warning"}
    command = ["-m", "logkeel.cli.main", "worker", "tests.integration.steps.scaling:scaling"]
    workers = [Victim(f"worker-{n}", [*command, "--slot", str(n)], tmp_path / f"{n}.log", settings) for n in range(3)]
    yield workers
    for worker in workers:
        if worker.alive:
            worker.kill()


@pytest.mark.kafka
@pytest.mark.slow
def test_workers_come_and_go_while_steps_wait(kafka_bootstrap: str, tmp_path: Path, workers: list[Victim]) -> None:
    with running(kafka_bootstrap, tmp_path, [], partitions=4) as application:
        publish_definitions(application.client, application.names, [scaling])
        for worker in workers:
            worker.environment["LOGKEEL_PREFIX"] = application.settings.prefix
        followed = Followed(application)
        request_orders(application, STEPS)
        followed.until(lambda: followed.kinds["step_dispatched"] == STEPS)
        assert followed.done == 0
        workers[0].start()
        followed.until(lambda: followed.done > STEPS // 10)
        workers[1].start()
        workers[2].start()
        followed.until(lambda: followed.done > STEPS // 2)
        for leaving in workers[1:]:
            assert STEPS - followed.done >= 1_000
            assert running_now(tmp_path / "ledger") >= 8
            assert leaving.stop() == 0, leaving.tail()
        followed.until(lambda: followed.done == STEPS)
        assert workers[0].stop() == 0, workers[0].tail()
    assert followed.statuses == {"succeeded": STEPS}
    assert followed.kinds["step_in_doubt"] == 0
    lines = read(tmp_path / "ledger")
    begun = Counter(line["key"] for line in lines if line["what"] == "begin")
    assert len(begun) == STEPS
    assert begun.total() == STEPS
    assert {line["pid"] for line in lines} == {pid for worker in workers for pid in worker.lives}


def running_now(ledger: Path) -> int:
    """Steps begun and not ended."""
    counts = Counter(line["what"] for line in read(ledger))
    return counts["begin"] - counts["end"]
