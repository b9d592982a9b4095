"""A Faust application of five lines reads our topics, and nothing that was aborted."""

import os
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest
from tests.integration.insight.events import DIGEST, write
from tests.unit.insight.events import event

from logkeel.cli.provisioning import apply_application
from logkeel.cli.settings import Settings
from logkeel.cli.wiring import connect
from logkeel.records import RunCompleted

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

ROOT = Path(__file__).parents[3]
WAIT_S = 100.0


def test_records_arrive_decoded_and_aborted_ones_do_not(kafka_bootstrap: str, tmp_path: Path) -> None:
    settings = Settings(bootstrap_servers=kafka_bootstrap, prefix=f"five{uuid4().hex[:6]}", partitions=1)
    apply_application(connect(settings).admin(), settings, ["default"])
    names, log = settings.names, tmp_path / "log"
    write(kafka_bootstrap, names.run_events, [event("never", 1, "run_started", 1)], committed=False)
    write(kafka_bootstrap, names.run_events, [event("r", 1, "run_started", 1), event("r", 2, "run_completed", 2)])
    end = RunCompleted(
        run_id="r",
        incarnation="i",
        workflow="w",
        version="1",
        definition_digest=DIGEST,
        status="succeeded",
        revision=2,
        started_at_ms=1,
        finished_at_ms=2,
    )
    write(kafka_bootstrap, names.run_completions, [end])
    environment = {**os.environ, "BROKER": kafka_bootstrap, "PREFIX": settings.prefix}
    wanted = {"RunEvent r run_started", "RunEvent r run_completed", "RunCompleted r succeeded"}
    with log.open("wb") as written:
        command = [sys.executable, "-m", "tests.integration.insight.five_lines", "--datadir", str(tmp_path / "faust")]
        command += ["worker", "--without-web", "--loglevel", "warn"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=written, stderr=written)
    try:
        deadline_s = time.monotonic() + WAIT_S
        while not all(line in log.read_text() for line in wanted):
            assert process.poll() is None, log.read_text()[-4000:]
            assert time.monotonic() < deadline_s, log.read_text()[-4000:]
            time.sleep(0.2)
    finally:
        process.terminate()
        process.wait(60)
    assert "never" not in log.read_text()
