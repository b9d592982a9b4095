"""Five effects, a worker killed -9 at five points of each: what the outside has seen, and whether a human was asked.

Engine, broker and workers are real; each cell has a queue and a worker process of its own. The human looks into the
ledger and answers only after the holder is dead.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.runs.application import Application, running
from tests.integration.steps.payments import EFFECTS, entries, payments

from logkeel.steps import publish_definitions

REPOSITORY = Path(__file__).parents[3]
POINTS = ("before claim", "claim to call", "call to result", "result to sent", "result to acknowledged")
QUEUES = {(effect, point): f"{effect.lower()}-{point.replace(' ', '-')}" for effect in EFFECTS for point in POINTS}

ONE, ONE_OR_TWO, TWO = frozenset({1}), frozenset({1, 2}), frozenset({2})
CALLS = {
    # A step that may be repeated is repeated unless its answer was known; what was called surely is called again.
    **{(effect, "before claim"): ONE for effect in EFFECTS},
    **{(effect, "claim to call"): ONE for effect in EFFECTS},
    # What was known is found by the successor: nothing is called again, and nobody is asked.
    **{(effect, "result to sent"): ONE for effect in EFFECTS},
    **{(effect, "call to result"): TWO for effect in ("NONE", "IDEMPOTENT", "KEYED")},
    **{(effect, "result to acknowledged"): ONE_OR_TWO for effect in ("NONE", "IDEMPOTENT", "KEYED")},
    # A check finds what has happened; a human says so.
    **{(effect, "call to result"): ONE for effect in ("CHECKED", "ONCE")},
    **{(effect, "result to acknowledged"): ONE for effect in ("CHECKED", "ONCE")},
}
CLAIMED = ("CHECKED", "ONCE")
ASKED = {("ONCE", "claim to call"), ("ONCE", "call to result")}


@dataclass
class Cell:
    """One effect, one point."""

    effect: str
    point: str
    application: Application
    directory: Path

    @property
    def queue(self) -> str:
        """Queue, workflow and run have this name."""
        return QUEUES[self.effect, self.point]

    @property
    def ledger(self) -> Path:
        """What happened outside."""
        return self.directory / f"{self.queue}.ledger"

    def worker(self, point: str) -> "subprocess.Popen[bytes]":
        """Start a worker that dies at `point`."""
        bootstrap, prefix = self.application.settings.bootstrap_servers, self.application.settings.prefix
        arguments = [bootstrap, prefix, str(self.directory), str(self.ledger), self.effect, point, self.queue]
        return subprocess.Popen(
            [sys.executable, "-m", "tests.integration.steps.worker_process", *arguments], cwd=REPOSITORY
        )

    def dies_at(self) -> str:
        """Effects without a claim have no moment before it: then it is the moment before the start."""
        if self.point == "before claim":
            return "before claim" if self.effect in CLAIMED else "before start"
        return "before call" if self.point == "claim to call" else self.point

    def request(self) -> None:
        """Start the run."""
        self.application.send(
            {"workflow": self.queue, "run_id": self.queue, "input": {"amount": 7}, "request_id": self.queue},
            key=self.queue,
        )

    def answer_doubt(self) -> bool:
        """Be the human: if the step is in doubt for good, say what the ledger says."""
        doubt = next(
            (e for e in self.application.history(self.queue) if e.kind == "step_in_doubt" and e.due_ms is None), None
        )
        if doubt is None:
            return False
        decision = "did" if entries(self.ledger) else "did_not"
        request = {"type": "ResolveStep", "run_id": self.queue, "path": "charge", "decision": decision}
        self.application.send({**request, "dispatch": doubt.dispatch, "request_id": f"a-{self.queue}"}, key=self.queue)
        return True


@pytest.fixture(scope="module")
def application(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    directory = tmp_path_factory.mktemp("matrix")
    with running(kafka_bootstrap, directory, [], queues=list(QUEUES.values())) as application:
        yield application


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.parametrize("effect", EFFECTS)
def test_what_the_outside_sees(application: Application, tmp_path: Path, effect: str) -> None:
    cells = [Cell(effect, point, application, tmp_path) for point in POINTS]
    workflows = [payments(effect, cell.ledger, name=cell.queue, queue=cell.queue) for cell in cells]
    publish_definitions(application.client, application.names, workflows)
    with ExitStack() as processes:
        for cell in cells:
            cell.request()
        victims = [_until_the_end(cell.worker(cell.dies_at()), processes) for cell in cells]
        assert [victim.wait(60) for victim in victims] == [-signal.SIGKILL] * len(cells)
        for cell in cells:
            _until_the_end(cell.worker("never"), processes)
        asked = _play_the_human(application, cells)
    for cell in cells:
        lines = entries(cell.ledger)
        assert len(lines) in CALLS[effect, cell.point], cell.point
        assert len(set(lines)) == 1, "another key"
        if cell.dies_at() == "before claim":
            # Never claimed, so fresh to the successor: nobody asks, nothing is checked.
            kinds = [event.kind for event in application.history(cell.queue)]
            assert not {"step_reclaimed", "step_in_doubt"} & set(kinds)
    assert asked == {cell.point for cell in cells if (effect, cell.point) in ASKED}
    completions = [
        completion for completion in application.completions() if completion.workflow.startswith(effect.lower())
    ]
    assert sorted(completion.run_id for completion in completions) == sorted(cell.queue for cell in cells)
    assert {completion.status for completion in completions} == {"succeeded"}


def _play_the_human(application: Application, cells: list[Cell]) -> set[str]:
    """Answer until every run has completed; returns at which points somebody asked."""
    asked: set[str] = set()

    def all_done() -> bool | None:
        for cell in cells:
            if cell.point not in asked and cell.answer_doubt():
                asked.add(cell.point)
        done = {completion.run_id for completion in application.completions()}
        return all(cell.queue in done for cell in cells) or None

    application.awaited(all_done)
    return asked


def _until_the_end(process: "subprocess.Popen[bytes]", processes: ExitStack) -> "subprocess.Popen[bytes]":
    def end() -> None:
        process.kill()
        process.wait()

    processes.callback(end)
    return process
