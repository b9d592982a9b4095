"""A drained worker is gone: its process ends although user code still runs, its steps are given back by record."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.integration.runs.application import Application, running
from tests.integration.steps.payments import entries

REPOSITORY = Path(__file__).parents[3]
DRAIN_S = 1.0
LEFT_WITHIN_S = 20.0
"""Drain, flush, leave the group and end: normally 2 to 4 s. The steps sleep for two minutes."""

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@contextmanager
def worker(application: Application, directory: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """`logkeel worker` as a process."""
    settings = application.settings
    command = [sys.executable, "-m", "logkeel.cli.main", "worker", "tests.integration.steps.long_steps"]
    options = ["--drain", str(DRAIN_S), "--bootstrap-servers", settings.bootstrap_servers, "--prefix", settings.prefix]
    process = subprocess.Popen(
        [*command, *options, "--state-dir", str(directory / "state")],
        cwd=REPOSITORY,
        env={**os.environ, "LEDGER": str(directory / "ledger")},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_process_ends_and_the_engine_acts_by_effect(kafka_bootstrap: str, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    with running(kafka_bootstrap, tmp_path, []) as application:
        with worker(application, tmp_path) as first:
            for name in ("keyed", "once", "handed"):
                request = {"workflow": name, "run_id": name, "input": {"amount": 7}, "request_id": name}
                application.send(request, key=name)
            application.awaited(lambda: len(entries(ledger)) == 3 or None)
            first.send_signal(signal.SIGTERM)
            began_s = time.monotonic()
            assert first.wait(LEFT_WITHIN_S) == 0
            assert time.monotonic() - began_s >= DRAIN_S
        with worker(application, tmp_path):
            done = {run: application.completion(run).status for run in ("keyed", "handed")}
            assert done == {"keyed": "succeeded", "handed": "succeeded"}
            asked = application.awaited(
                lambda: [event for event in application.history("once") if event.kind == "step_in_doubt"] or None
            )
        assert [event.due_ms for event in asked] == [None]
        released = [e for run in done for e in application.history(run) if e.kind == "step_released"]
        assert [event.reason for event in released] == ["started", "started"]
    assert sorted(entries(ledger)) == [
        "hand_over 1", "hand_over 2", "pay_once 1", "pay_with_key 1", "pay_with_key 2",
    ]  # fmt: skip
