"""An agent of 200 turns whose worker is killed -9 again and again: no call whose outcome it has seen is repeated."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.integration.runs.application import Application, running
from tests.integration.steps.agents import agent
from tests.integration.steps.payments import entries

from logkeel.client.building import input_digest, inputs_of
from logkeel.records import StartRun
from logkeel.steps import publish_definitions
from logkeel.wire import encode

REPOSITORY = Path(__file__).parents[3]
TURNS = 200
DEATHS_AT = (3, 60, 140)
LIVENESS_S = 120.0


@contextmanager
def worker(bootstrap: str, application: Application, directory: Path) -> "Iterator[subprocess.Popen[bytes]]":
    command = [sys.executable, "-m", "tests.integration.steps.agents", bootstrap, application.names.prefix]
    process = subprocess.Popen([*command, str(directory), str(directory / "ledger")], cwd=REPOSITORY)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)


def until_turn(ledger: Path, turn: int) -> None:
    deadline_s = time.monotonic() + LIVENESS_S
    while f"call {turn}" not in entries(ledger):
        assert time.monotonic() < deadline_s, f"turn {turn} did not come"
        time.sleep(0.01)


@pytest.mark.kafka
@pytest.mark.slow
def test_no_acknowledged_call_is_made_again(kafka_bootstrap: str, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    workflow = agent(ledger)
    writes = inputs_of(workflow, {"turns": TURNS})
    request = StartRun(workflow="agent", run_id="r", request_id="q", inputs=writes, input_digest=input_digest(writes))
    with running(kafka_bootstrap, tmp_path, []) as application:
        publish_definitions(application.client, application.names, [workflow])
        application.send(encode(request), key="r")
        for turn in DEATHS_AT:
            with worker(kafka_bootstrap, application, tmp_path):
                until_turn(ledger, turn)
        with worker(kafka_bootstrap, application, tmp_path):
            until_turn(ledger, TURNS - 1)
            completion = application.completion("r")
        history = application.history("r")
    assert (completion.status, workflow.result(completion.result)) == ("succeeded", sum(range(TURNS)))
    lines = entries(ledger)
    for turn in range(TURNS):
        known = lines.index(f"known {turn}")
        assert f"call {turn}" not in lines[known:], f"turn {turn} was called again after its outcome was known"
    calls = sum(line.startswith("call") for line in lines)
    assert TURNS <= calls <= TURNS + len(DEATHS_AT)
    kept = [event.journal for event in history if event.kind == "step_journaled"]
    assert [entry.position for entry in kept if entry is not None] == [str(number) for number in range(TURNS + 1)]
    kinds = [event.kind for event in history]
    assert kinds.count("step_suspended") == kinds.count("step_resumed") == 1
    assert max(event.attempt or 0 for event in history) <= 1 + len(DEATHS_AT)
