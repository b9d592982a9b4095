"""A run that version 1 began ends under version 2, migrated, across kills; what cannot be is refused, and why."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.agents.harness import LIVENESS_S, Agent, agent
from tests.integration.evolution.letters_1 import letters

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

MODULE = "tests.integration.evolution.letters_{}:letters"


def logkeel(one: Agent, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """One command; it ends by itself."""
    environment = {
        **os.environ,
        "LOGKEEL_BOOTSTRAP_SERVERS": one.settings.bootstrap_servers,
        "LOGKEEL_PREFIX": one.settings.prefix,
        "COLUMNS": "200",
    }
    command = [sys.executable, "-m", "logkeel.cli.main", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)


def deploy(one: Agent, version: int) -> None:
    """kill -9, and a successor that has only the code of this version."""
    one.process.kill()
    one.process.arguments = [*one.process.arguments[:-1], MODULE.format(version)]
    one.process.start()


def test_a_run_of_version_1_ends_under_version_2_across_kills(kafka_bootstrap: str, tmp_path: Path) -> None:
    with agent(kafka_bootstrap, tmp_path, MODULE.format(1), letters) as one:
        one.client.start(letters, run_id="old", name="Ada Lovelace")
        one.until(lambda: any(event.kind == "wait_started" for event in _events(one, "old")))
        checked = logkeel(one, "workflow", "check", MODULE.format(2))
        assert (checked.returncode, "1 run is under way in version 1" in checked.stdout) == (1, True)
        refused = logkeel(one, "workflow", "check", MODULE.format(3))
        assert refused.returncode == 1
        for reason in ("is a new required input", "who reads completions misses sent", "has no agreed, send any more"):
            assert reason in refused.stdout
        deploy(one, 3)
        one.until(lambda: "history_does_not_fit" in _fork(one, "--version", "3").stderr)
        deploy(one, 2)
        one.until(lambda: _fork(one, "--to", MODULE.format(2), "--run-id", "new").returncode == 0)
        one.client.signal("new", "agreed")
        one.until(lambda: any(event.path == "check" for event in _events(one, "new")))
        one.kill_and_start()
        completed = one.client.wait("new", LIVENESS_S)
        assert (completed.status, completed.version) == ("succeeded", "2")
        (sent,) = completed.result
        assert sent.payload is not None
        assert sent.payload.data == b'"Dear Ada Lovelace (to Lovelace), sent by version 2"'
        events = _events(one, "new")
        assert [e.path for e in events if e.kind == "step_succeeded"] == ["write", "check", "send"]
        assert (events[0].origin is not None, one.view("old").status) == (True, "running")
        one.client.cancel("old")
        one.until(lambda: one.view("old").status == "cancelled")


def _events(one: Agent, run_id: str) -> list:  # type: ignore[type-arg]  # events, if there are any yet
    one.history.poll(0.05)
    known = [view.run_id for view in one.history.projection.runs()]
    return one.events(run_id) if run_id in known else []


def _fork(one: Agent, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return logkeel(one, "run", "fork", "old", *arguments)
