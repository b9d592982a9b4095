"""Two workers of one queue know different workflows: whatever the one refuses, the other gets (P38)."""

import threading
from pathlib import Path

import pytest
from tests.integration.runs.application import LIVENESS_S, running

from logkeel.kafka import SystemClock
from logkeel.steps import StepWorker, WorkerOptions, publish_definitions
from logkeel.workflow import State, Workflow

pytestmark = pytest.mark.kafka

RUNS = 6


class Word(State):
    """Input and result."""

    word: str
    echo: str | None = None


def workflow(name: str) -> Workflow[Word]:
    """One step."""
    made = Workflow(name, state=Word, returns="echo")

    @made.step(writes=lambda s: s.echo)
    async def say(word: str) -> str:
        return f"{name} says {word}"

    made.flow(say)
    return made


def test_a_command_finds_the_worker_that_has_its_version(kafka_bootstrap: str, tmp_path: Path) -> None:
    left, right = workflow("left"), workflow("right")
    stop = threading.Event()
    with running(kafka_bootstrap, tmp_path, [left]) as app:
        publish_definitions(app.client, app.names, [right])
        options = WorkerOptions(slot=1, drain_s=2.0)
        worker = StepWorker(
            app.client, [right], names=app.names, clock=SystemClock(), state_dir=tmp_path, options=options
        )
        thread = threading.Thread(target=worker.run, args=(stop,))
        thread.start()
        admin = app.client.admin()
        try:
            app.awaited(lambda: len(admin.group_members(app.names.worker_group())) == 2 or None)
            ids = [f"{name}-{number}" for number in range(RUNS) for name in ("left", "right")]
            for run_id in ids:
                name = run_id.partition("-")[0]
                app.send({"workflow": name, "run_id": run_id, "input": {"word": "hi"}}, key=run_id)
            done = [app.completion(run_id) for run_id in ids]
        finally:
            stop.set()
            admin.close()
            thread.join(LIVENESS_S)
        assert {each.status for each in done} == {"succeeded"}
        assert {each.attempts for each in done} == {1}
        assert any(event.kind == "step_refused" for run_id in ids for event in app.history(run_id))
