"""`logkeel serve`: killed -9 and stopped under load, two of them side by side, judged by the world outside."""

import json
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from tests.chaos import judge, outside
from tests.chaos.load import Load
from tests.chaos.processes import Victim
from tests.ports import free_port

from logkeel.cli.provisioning import apply_application
from logkeel.cli.settings import Settings
from logkeel.cli.wiring import connect

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PARTITIONS = 2
LIVENESS_S = 120.0


class Served:
    """Two `logkeel serve` processes of one application, and the load on them."""

    def __init__(self, bootstrap: str, directory: Path) -> None:
        settings = Settings(
            bootstrap_servers=bootstrap,
            prefix=f"serve{uuid4().hex[:6]}",
            partitions=PARTITIONS,
            state_dir=str(directory / "state"),
        )
        apply_application(connect(settings).admin(), settings, ["default"])
        self.ledger = directory / "ledger.jsonl"
        self.load = Load(bootstrap, settings.names, self.ledger, PARTITIONS)
        environment = {
            "CHAOS_LEDGER": str(self.ledger),
            "LOGKEEL_BOOTSTRAP_SERVERS": bootstrap,
            "LOGKEEL_PREFIX": settings.prefix,
            "LOGKEEL_STATE_DIR": settings.state_dir,
            "LOGKEEL_CONCURRENCY": "16",
            "LOGKEEL_LOG_LEVEL": "warning",
        }
        command = ["-m", "logkeel.cli.main", "serve", "tests.chaos.workflow:chaos"]
        self.processes = [Victim(f"serve-{n}", command, directory / f"serve-{n}.log", environment) for n in (0, 1)]

    def until(self, met: Callable[[], bool]) -> None:
        """Poll until it is met; nobody may end by itself."""
        deadline = time.monotonic() + LIVENESS_S
        while not met():
            self.load.poll()
            tails = "\n".join(f"{process.name}: {process.tail()}" for process in self.processes)
            assert time.monotonic() < deadline, f"{self.load.unfinished} unfinished\n{tails}"

    def until_in_a_step(self, process: Victim) -> None:
        """Until the process is in the middle of a step."""
        self.until(lambda: judge.begun_not_ended(outside.read(self.ledger), process.pid) > 0)


@pytest.fixture
def served(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Served]:
    both = Served(kafka_bootstrap, tmp_path)
    for process in both.processes:
        process.start()
    yield both
    for process in both.processes:
        if process.alive:
            process.kill()
    both.load.close()


def asked(port: int, path: str) -> tuple[int, str]:
    """(status, why) of a probe; status 0 while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, json.load(answer)["why"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)["why"]
    except OSError as error:
        return 0, str(error)


def test_probes_speak_for_engine_and_worker_and_say_so_when_it_ends(served: Served) -> None:
    port = free_port()
    first, second = served.processes
    second.kill()
    second.environment["LOGKEEL_PROBE_PORT"] = str(port)
    second.start()
    served.until(lambda: asked(port, "/startupz")[0] == 200)
    served.until(lambda: asked(port, "/readyz")[0] == 200)
    code, why = asked(port, "/livez")
    assert code == 200
    assert "engine: " in why
    assert "worker default: " in why
    served.load.request(60)
    served.until_in_a_step(second)
    assert second.stop() == 0
    assert asked(port, "/livez")[0] == 0
    assert first.stop() == 0


def test_killed_under_load_nothing_is_lost_and_nothing_happens_twice(served: Served) -> None:
    served.load.request(150)
    served.until(lambda: len(served.load.completions) > 5)
    for process in (*served.processes, *served.processes):
        served.load.request(30)
        served.until_in_a_step(process)
        process.kill()
        done = len(served.load.completions)
        served.until(lambda done=done: len(served.load.completions) > done)  # type: ignore[misc]
        process.start()
    served.until(lambda: served.load.unfinished == 0)
    assert [process.stop() for process in served.processes] == [0, 0]
    effects, _ = judge.faults_of_effects(outside.read(served.ledger), [])
    assert not effects
    assert not judge.faults_of_completions(served.load.sent, served.load.completions)
    assert not [fault for run in served.load.histories() for fault in judge.faults_of_history(*run)]
    assert not served.load.rejections


def test_sigterm_drains_the_worker_and_then_the_engine(served: Served) -> None:
    served.load.request(120)
    first, second = served.processes
    served.until_in_a_step(second)
    served.until_in_a_step(first)
    assert first.stop() == 0
    assert judge.begun_not_ended(outside.read(served.ledger), first.pid) == 0
    served.until_in_a_step(second)
    assert second.stop() == 0
    assert judge.begun_not_ended(outside.read(served.ledger), second.pid) == 0
    for process in served.processes:
        process.start()
    served.until(lambda: served.load.unfinished == 0)
    lines = outside.read(served.ledger)
    times = Counter((line["run"], line["path"]) for line in lines if line["what"] == "effect")
    assert set(times.values()) == {1}, "a clean stop repeats no effect, whatever the effect allows"
    assert not judge.faults_of_completions(served.load.sent, served.load.completions)
