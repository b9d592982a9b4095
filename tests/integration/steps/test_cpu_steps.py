"""`cpu=True` on a real broker: heartbeats go on while it computes, a cancel ends its process, a crash is retried."""

import os
import signal
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from tests.integration.runs.application import Application, running
from tests.integration.steps.heavy import heavy

from logkeel.client import Client
from logkeel.log import TopicPartition
from logkeel.records import StepHeartbeat
from logkeel.wire import decode

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

WAIT_S = 90.0


def noted(note: Path) -> int:
    """The process that computes."""
    deadline_s = time.monotonic() + WAIT_S
    while not note.exists() or not note.read_text():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    return int(note.read_text())


def beats(application: Application) -> int:
    """How many heartbeats are on the log."""
    reader = application.client.reader("read_committed")
    names, partitions = application.names, application.settings.partitions
    reader.assign({TopicPartition(names.step_results, number): 0 for number in range(partitions)})
    records = [record for _ in range(10) for record in reader.fetch(1_000, 0.1).records]
    reader.close()
    return sum(isinstance(decode(record.value or b""), StepHeartbeat) for record in records)


def test_heartbeats_cancel_and_crash(kafka_bootstrap: str, tmp_path: Path) -> None:
    with (
        running(kafka_bootstrap, tmp_path / "engine", [heavy]) as application,
        Client(application.client, prefix=application.settings.prefix) as client,
    ):
        assert client.start(heavy, seconds=5.0, note=str(tmp_path / "first")).result(WAIT_S) > 0
        assert beats(application) >= 2, "after 1 s, then every 2 s"

        handle = client.start(heavy, seconds=600.0, note=str(tmp_path / "second"))
        process = psutil.Process(noted(tmp_path / "second"))
        client.cancel(handle.run_id)
        assert handle.wait(WAIT_S).status == "cancelled"
        process.wait(WAIT_S)

        handle = client.start(heavy, seconds=3.0, note=str(tmp_path / "third"))
        os.kill(noted(tmp_path / "third"), signal.SIGKILL)
        assert handle.result(WAIT_S) > 0
        application.completion(handle.run_id)
        failed = [event for event in application.history(handle.run_id) if event.kind == "step_failed"]
        assert [event.error.code for event in failed if event.error] == ["step_process_died"]
