"""Questions reach people by mail, Slack and webhook while the notifier is killed -9 again and again.

It dies right before messages, right after them and before that is recorded, and at any other time. In each round three
answers come at once, by three ways, each repeated until it is taken: one decision, one resume.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Self

import pytest
from tests.integration.cli.test_run import answer as answer_of
from tests.integration.cli.test_run import logkeel
from tests.integration.notify.outside import ENVIRONMENT, Outside, outside
from tests.integration.runs.application import Application, running

from logkeel.client import Client
from logkeel.workflow import IDEMPOTENT, State, Workflow, human

ROUNDS = int(os.environ.get("LOGKEEL_TEST_NOTIFY_ROUNDS", "3"))
SEED = int(os.environ.get("LOGKEEL_TEST_SEED", "17"))
PERCENT = 20
LIVENESS_S = 100.0
REPOSITORY = Path(__file__).parents[3]


class Draft(State):
    """A report that may go out."""

    ledger: str
    topic: str
    report: str | None = None
    decision: Literal["approve", "reject"] | None = None


def publishing() -> Workflow[Draft]:
    """Writes, asks, and goes on."""
    workflow = Workflow("publishing", state=Draft, returns="decision")

    @workflow.step(writes=lambda s: s.report)
    async def write(topic: str) -> str:
        return f"a report on {topic}"

    @workflow.step(effect=IDEMPOTENT)
    def go_on(decision: Literal["approve", "reject"] | None, ledger: str, topic: str) -> None:
        with Path(ledger).open("a") as file:
            file.write(f"{topic} {decision}\n")

    asked = human(
        "approve",
        question="May this go out?",
        shows=["report"],
        allow=("approve", "reject"),
        writes="decision",
        assignee="editors",
        timeout="48h",
    )
    workflow.flow(write, asked, go_on)
    return workflow


class Mortal:
    """`logkeel notifier`, started again whenever it has died."""

    def __init__(self, application: Application, directory: Path, world: Outside, seed: int) -> None:
        config = directory / "notify.toml"
        config.write_text(world.config())
        options = ["-b", application.settings.bootstrap_servers, "--prefix", application.settings.prefix]
        options += ["--state-dir", str(directory / "state"), "--listen", f"127.0.0.1:{world.pages}"]
        self._command = ["notifier", str(config), *options]
        self._directory, self._seed = directory, seed
        self._stop = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._supervise)
        self.deaths = 0
        self.percent = PERCENT
        self.ended = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self.kill()
        self._thread.join(30)

    def kill(self) -> None:
        """From outside, whatever it does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)

    def output(self) -> str:
        """What all of them have said."""
        return (self._directory / "output").read_text()

    def _supervise(self) -> None:
        while not self._stop.is_set():
            with (self._directory / "output").open("ab") as output:
                module = ["-m", "tests.integration.notify.deadly", f"{self._seed}/{self.deaths}", str(self.percent)]
                self._process = subprocess.Popen(
                    [sys.executable, *module, *self._command],
                    cwd=REPOSITORY,
                    env={**os.environ, **ENVIRONMENT},
                    stdout=output,
                    stderr=output,
                )
            code = self._process.wait()
            if code != -signal.SIGKILL:
                self.ended = True
                return
            self.deaths += 1


@contextmanager
def everything(bootstrap: str, directory: Path, seed: int) -> Iterator[tuple[Application, Outside, Mortal]]:
    with (
        outside() as world,
        running(bootstrap, directory, [publishing()]) as application,
        Mortal(application, directory, world, seed) as mortal,
    ):
        yield application, world, mortal


def until(look: Callable[[], object], what: str, mortal: Mortal) -> None:
    deadline_s = time.monotonic() + LIVENESS_S
    while not look():
        assert not mortal.ended, f"the notifier has ended\n{mortal.output()[-3000:]}"
        said = f"{what} did not happen; {mortal.deaths} deaths"
        assert time.monotonic() < deadline_s, f"{said}\n{mortal.output()[-3000:]}"
        time.sleep(0.05)


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_one_decision_and_one_resume_however_often_the_notifier_dies(kafka_bootstrap: str, tmp_path: Path) -> None:
    rng, ledger = random.Random(SEED), tmp_path / "ledger"
    with (
        everything(kafka_bootstrap, tmp_path, SEED) as (application, world, mortal),
        Client(application.client, prefix=application.settings.prefix) as client,
    ):
        for number in range(ROUNDS):
            run_id = f"round-{number}"
            client.start("publishing", run_id=run_id, ledger=str(ledger), topic=run_id)
            one_round(run_id, world, mortal, rng)
            assert application.completion(run_id).status == "succeeded"
            verdict(application, run_id, world, mortal)
        last = f"round-{ROUNDS - 1}"
        until(lambda: told(application, last) == {"delivered"}, f"the record of what was told of {last}", mortal)
    lines = ledger.read_text().splitlines()
    assert sorted(line.split()[0] for line in lines) == sorted(f"round-{number}" for number in range(ROUNDS))
    assert mortal.deaths >= ROUNDS, "nothing was tried"


def told(application: Application, run_id: str) -> set[str]:
    """The states of its deliveries, from the command line."""
    return {each["state"] for each in answer_of(logkeel(application, "approvals", "told", run_id, "-o", "json"))}


def one_round(run_id: str, world: Outside, mortal: Mortal, rng: random.Random) -> None:
    """Everybody hears of the question, and three answer at once, each until it is taken."""
    until(
        lambda: world.link(run_id) and world.button(run_id) and world.hooked(run_id),
        f"the question of {run_id}",
        mortal,
    )
    ways = [world.by_mail, world.by_slack, world.by_webhook]
    rng.shuffle(ways)
    verbs = [rng.choice(("approve", "reject")) for _ in ways]

    def answer(way: Callable[[str, str], bool], verb: str) -> None:
        until(lambda: way(run_id, verb), f"the answer of {run_id} {way.__name__}", mortal)

    threads = [threading.Thread(target=answer, args=pair) for pair in zip(ways, verbs, strict=True)]
    for thread in threads:
        thread.start()
    time.sleep(rng.random() / 2)
    mortal.kill()
    for thread in threads:
        thread.join()


def verdict(application: Application, run_id: str, world: Outside, mortal: Mortal) -> None:
    """One decision; whoever was asked is told of it; repetitions carry the same key."""
    history = application.history(run_id)
    kinds = [event.kind for event in history]
    assert (kinds.count("question_asked"), kinds.count("question_answered")) == (1, 1)
    assert kinds.count("run_completed") == 1
    done = [event.path for event in history if event.kind == "step_succeeded"]
    assert done == ["write", "go_on"]
    decided = next(event for event in history if event.kind == "question_answered")
    assert decided.actor is not None
    by_ada = decided.actor == "ada@example.com"
    until(lambda: len(set(world.ids(run_id)["audit"])) == 2, f"the end of {run_id} by webhook", mortal)
    until(lambda: len(set(world.ids(run_id)["mail"])) == (1 if by_ada else 2), f"the end of {run_id} by mail", mortal)
    types = {body["type"] for body in world.hooked(run_id)}
    assert types == {"question.asked", "question.answered"}
    answer = world.hooked(run_id)[-1]["data"]["answer"]
    assert (answer["verb"], answer["by"]) == (decided.name, decided.actor)
