"""Questions reach people by mail, Slack and webhook while everything is killed -9 again and again.

The notifier dies right before messages, right after them and before that is recorded; it, the engine, the worker and
the gateway at any other time. In each round four answers come at once, by four ways, each repeated until it is taken:
one decision, one resume.
"""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from tests.integration.cli.test_run import answer as answer_of
from tests.integration.cli.test_run import logkeel
from tests.integration.notify.mortals import Mortal
from tests.integration.notify.outside import ENVIRONMENT, Outside, outside
from tests.integration.runs.application import Application
from tests.ports import free_port

from logkeel.client import Client

ROUNDS = int(os.environ.get("LOGKEEL_TEST_NOTIFY_ROUNDS", "2"))
SEED = int(os.environ.get("LOGKEEL_TEST_SEED", "17"))
PERCENT = 20
"""Of the messages kill the notifier before they are sent, as many behind it."""

LIVENESS_S = 150.0
WORKFLOW = "tests.integration.notify.publishing"


class Stage:
    """The application, the world outside, and who may die."""

    def __init__(self, application: Application, world: Outside, mortals: Sequence[Mortal]) -> None:
        self.application, self.world, self.mortals = application, world, mortals

    def until(self, look: Callable[[], object], what: str) -> None:
        """Wait for it; say what everybody said if it does not come."""
        deadline_s = time.monotonic() + LIVENESS_S
        while not look():
            for each in self.mortals:
                assert not each.ended, f"it has ended: {each.said()}"
            said = "\n".join(each.said() for each in self.mortals)
            assert time.monotonic() < deadline_s, f"{what} did not happen\n{said}"
            time.sleep(0.05)


def answers(url: str) -> bool:
    """Whether somebody says yes there."""
    try:
        return httpx.get(url, timeout=10).status_code == 200
    except httpx.HTTPError:
        return False


@contextmanager
def everything(bootstrap: str, directory: Path) -> Iterator[Stage]:
    with ExitStack() as stack:
        world = stack.enter_context(outside())
        application = Application(bootstrap, partitions=2)
        stack.callback(application.close)
        config = directory / "notify.toml"
        config.write_text(world.config())
        options = ["-b", bootstrap, "--prefix", application.settings.prefix, "--state-dir", str(directory / "state")]
        pages, probes, metrics = f"127.0.0.1:{world.pages}", free_port(), free_port()

        def deadly(life: int) -> list[str]:
            module = ["-m", "tests.integration.notify.deadly", f"{SEED}/{life}", str(PERCENT)]
            ports = ["--probe-port", str(probes), "--metrics-port", str(metrics)]
            return [*module, "notifier", str(config), "--listen", pages, *ports, *options]

        def command(*words: str) -> Callable[[int], list[str]]:
            return lambda life: ["-m", "logkeel.cli.main", *words, *options]

        made = [
            Mortal("notifier", directory / "notifier.log", deadly, ENVIRONMENT),
            Mortal("engine", directory / "engine.log", command("engine"), {}),
            Mortal("worker", directory / "worker.log", command("worker", WORKFLOW), {}),
            Mortal("gateway", directory / "gateway.log", command("gateway", "--port", str(world.gateway)), {}),
        ]
        stage = Stage(application, world, [stack.enter_context(each) for each in made])
        yield stage
        for url in (
            f"http://127.0.0.1:{probes}/readyz",
            f"http://127.0.0.1:{metrics}/metrics",
            f"http://{pages}/readyz",
            f"http://127.0.0.1:{world.gateway}/readyz",
        ):
            stage.until(partial(answers, url), f"an answer of {url}")


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(300 * ROUNDS)
def test_one_decision_and_one_resume_whoever_dies(kafka_bootstrap: str, tmp_path: Path) -> None:
    rng, ledger = random.Random(SEED), tmp_path / "ledger"
    with everything(kafka_bootstrap, tmp_path) as stage:
        application = stage.application
        with Client(application.client, prefix=application.settings.prefix) as client:
            for number in range(ROUNDS):
                run_id = f"round-{number}"
                client.start("publishing", run_id=run_id, ledger=str(ledger), topic=run_id)
                one_round(run_id, stage, rng)
                verdict(run_id, stage)
        last = f"round-{ROUNDS - 1}"
        stage.until(lambda: told(application, last) == {"delivered"}, f"the record of what was told of {last}")
        assert stage.mortals[0].deaths >= ROUNDS, "nothing was tried"
    # A step that is IDEMPOTENT may run again when its worker died; what it does follows from one decision.
    decided = {(line.split()[0], line.split()[1]) for line in ledger.read_text().splitlines()}
    assert sorted(run for run, _ in decided) == sorted(f"round-{number}" for number in range(ROUNDS))


def told(application: Application, run_id: str) -> set[str]:
    """The states of its deliveries, from the command line."""
    return {each["state"] for each in answer_of(logkeel(application, "approvals", "told", run_id, "-o", "json"))}


def one_round(run_id: str, stage: Stage, rng: random.Random) -> None:
    """Everybody hears of the question, and four answer at once, each until it is taken; meanwhile some die."""
    world = stage.world
    heard = (world.link, world.button, world.hooked)
    stage.until(lambda: all(look(run_id) for look in heard), f"the question of {run_id}")
    ways = [world.by_mail, world.by_slack, world.by_webhook, world.by_gateway]
    rng.shuffle(ways)
    verbs = [rng.choice(("approve", "reject")) for _ in ways]
    failures: list[BaseException] = []

    def answer(way: Callable[[str, str], bool], verb: str) -> None:
        try:
            stage.until(lambda: way(run_id, verb), f"the answer of {run_id} {way.__name__}")
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=answer, args=pair) for pair in zip(ways, verbs, strict=True)]
    for thread in threads:
        thread.start()
    for victim in rng.sample(list(stage.mortals), rng.randint(1, 4)):
        time.sleep(rng.random() / 2)
        victim.kill()
    for thread in threads:
        thread.join()
    assert not failures


def verdict(run_id: str, stage: Stage) -> None:
    """One decision; whoever was asked is told of it; repetitions carry the same key."""
    world, application = stage.world, stage.application
    assert application.completion(run_id).status == "succeeded"
    history = application.history(run_id)
    kinds = [event.kind for event in history]
    assert [kinds.count(kind) for kind in ("question_asked", "question_answered", "run_completed")] == [1, 1, 1]
    done = [event.path for event in history if event.kind == "step_succeeded"]
    assert done == ["write", "go_on"]
    decided = next(event for event in history if event.kind == "question_answered")
    assert decided.actor is not None
    mails = 1 if decided.actor == "ada@example.com" else 2
    stage.until(lambda: len(set(world.ids(run_id)["audit"])) == 2, f"the end of {run_id} by webhook")
    stage.until(lambda: len(set(world.ids(run_id)["mail"])) == mails, f"the end of {run_id} by mail")
    stage.until(lambda: world.changed(run_id), f"the end of {run_id} in Slack")
    assert {body["type"] for body in world.hooked(run_id)} == {"question.asked", "question.answered"}
    answer = world.hooked(run_id)[-1]["data"]["answer"]
    assert (answer["verb"], answer["by"]) == (decided.name, decided.actor)
