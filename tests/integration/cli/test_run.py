"""`logkeel run …`, `doctor` and `dev` as a person types them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.client.snippets import snippet
from tests.integration.runs.application import Application, running

from logkeel.workflow import ONCE, NotDone, State, Workflow

pytestmark = pytest.mark.kafka


class Purchase(State):
    """What is bought."""

    article: str
    receipt: str | None = None


purchases = Workflow("purchases", state=Purchase, returns="receipt")


@purchases.step(writes=lambda s: s.receipt)
async def look_up(article: str) -> str:
    """Fails for what nobody sells."""
    if article == "unicorn":
        raise LookupError("nobody sells unicorns")
    return f"one {article}"


@purchases.step(effect=ONCE)
async def pay(article: str) -> None:
    """In doubt for a cat, surely not done for a dog."""
    if article == "cat":
        raise ConnectionError("no answer")
    if article == "dog":
        raise NotDone("the till is closed")


purchases.flow(look_up, pay)


@pytest.fixture(scope="module")
def application(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    with running(kafka_bootstrap, tmp_path_factory.mktemp("cli"), [purchases]) as application:
        yield application


def logkeel(application: Application, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """One command; it ends by itself."""
    environment = {
        **os.environ,
        "LOGKEEL_BOOTSTRAP_SERVERS": application.settings.bootstrap_servers,
        "LOGKEEL_PREFIX": application.settings.prefix,
        "LOGKEEL_PARTITIONS": str(application.settings.partitions),
        "COLUMNS": "200",
    }
    command = [sys.executable, "-m", "logkeel.cli.main", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def answer(done: "subprocess.CompletedProcess[str]") -> Any:
    """The JSON a command printed; it must have ended well."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def until_in_doubt(application: Application, run_id: str) -> None:
    application.awaited(
        lambda: any(e.kind == "step_in_doubt" and e.due_ms is None for e in application.history(run_id)) or None
    )


def test_a_run_is_started_waited_for_shown_listed_and_watched(application: Application) -> None:
    started = answer(
        logkeel(
            application, "run", "start", "purchases", "-f", "article=horse", "--run-id", "h", "--wait", "-o", "json"
        )
    )
    assert started == {"run_id": "h", "status": "succeeded", "result": {"receipt": "one horse"}}
    shown = answer(logkeel(application, "run", "show", "h", "-o", "json"))
    assert shown["completed_steps"] == ["look_up", "pay"]
    assert shown["fields"]["receipt"]["value"] == "one horse"
    earlier = answer(logkeel(application, "run", "show", "h", "--revision", "2", "-o", "json"))
    assert (earlier["status"], earlier["current_steps"][0]["path"]) == ("running", "look_up")
    listed = answer(logkeel(application, "run", "list", "--workflow", "purchases", "-o", "json"))
    assert "h" in [run["run_id"] for run in listed]
    watched = logkeel(application, "run", "watch", "h", "-o", "json")
    kinds = [json.loads(line)["kind"] for line in watched.stdout.splitlines()]
    assert (kinds[0], kinds[-1]) == ("run_started", "run_completed")
    for command in (("show", "h"), ("watch", "h"), ("list",)):
        done = logkeel(application, "run", *command)
        assert done.returncode == 0, done.stderr
        assert "h" in done.stdout


def test_a_failed_run_says_why_and_with_which_code(application: Application) -> None:
    done = logkeel(application, "run", "start", "purchases", "--input", '{"article": "unicorn"}', "--wait")
    assert done.returncode == 13
    assert "nobody sells unicorns" in done.stderr


def test_a_failed_run_is_retried_and_ends_once_more(application: Application) -> None:
    logkeel(application, "run", "start", "purchases", "-f", "article=unicorn", "--run-id", "u", "--wait")
    answer(logkeel(application, "run", "retry", "u", "--reason", "perhaps by now", "-o", "json"))
    application.awaited(lambda: len([c for c in application.completions() if c.run_id == "u"]) > 1 or None)
    assert [(c.status, c.retries) for c in application.completions() if c.run_id == "u"] == [
        ("failed", 0),
        ("failed", 1),
    ]
    shown = answer(logkeel(application, "run", "show", "u", "-o", "json"))
    assert (shown["status"], shown["retries"]) == ("failed", 1)
    refused = logkeel(application, "run", "retry", "nobody")
    assert (refused.returncode, "there is no run 'nobody'" in refused.stderr) == (13, True)


def test_a_step_in_doubt_is_found_and_resolved(application: Application) -> None:
    answer(logkeel(application, "run", "start", "purchases", "-f", "article=cat", "--run-id", "c", "-o", "json"))
    until_in_doubt(application, "c")
    (asking,) = answer(logkeel(application, "run", "list", "--in-doubt", "-o", "json"))
    assert (asking["run_id"], asking["current_steps"][0]["path"]) == ("c", "pay")
    wrong = logkeel(application, "run", "resolve", "c", "look_up", "did")
    assert (wrong.returncode, "in doubt: pay" in wrong.stderr) == (12, True)
    answer(logkeel(application, "run", "resolve", "c", "pay", "did", "--comment", "seen in the bank", "-o", "json"))
    assert application.completion("c").status == "succeeded"


def test_a_run_is_signalled_and_cancelled(application: Application) -> None:
    answer(logkeel(application, "run", "start", "purchases", "-f", "article=cat", "--run-id", "x", "-o", "json"))
    until_in_doubt(application, "x")
    answer(logkeel(application, "run", "signal", "x", "hurry", "--payload", '{"now": true}', "-o", "json"))
    answer(logkeel(application, "run", "cancel", "x", "--reason", "no cat", "-o", "json"))
    assert application.completion("x").status == "cancelled"
    shown = answer(logkeel(application, "run", "show", "x", "-o", "json"))
    assert shown["signals"] == ["hurry"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("run", "show", "nobody"), 13, "there is no run 'nobody'"),
        (("run", "start", "purchases", "--input", "{"), 12, "is not JSON"),
        (("run", "start", "purchases", "-f", "run_id=7"), 12, "rename the field"),
        (("run", "list", "--status", "lost"), 15, "--status is one of"),
        (("run", "resolve", "x", "pay", "perhaps"), 15, "a decision is one of"),
    ],
)
def test_mistakes_have_a_message_and_a_code(
    application: Application, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = logkeel(application, *arguments)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


def test_the_doctor_finds_everything_well(application: Application) -> None:
    found = {c["name"]: c["verdict"] for c in answer(logkeel(application, "doctor", "-o", "json"))}
    assert found == dict.fromkeys(("broker", "disk", "version", "topics", "transactions", "clock"), "ok")


def test_the_doctor_names_what_is_missing(application: Application) -> None:
    done = logkeel(application, "doctor", "--prefix", "nobody")
    assert done.returncode == 1
    assert "logkeel topics apply --prefix nobody" in done.stdout
    done = logkeel(application, "doctor", "-b", "127.0.0.1:1", "-o", "json")
    assert done.returncode == 1
    assert {c["name"]: c["verdict"] for c in json.loads(done.stdout)}["broker"] == "fail"


@pytest.mark.slow
def test_dev_brings_everything_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(snippet("hello.py"))
    environment = {**os.environ, "LOGKEEL_BROKER_DATA": str(tmp_path / "kafka"), "LOGKEEL_LOG_LEVEL": "warning"}
    environment.pop("LOGKEEL_BOOTSTRAP_SERVERS", None)
    base = [sys.executable, "-m", "logkeel.cli.main"]

    def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*base, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    runs: list[object] = []
    for name in ("Ada", "Bob"):  # the second time, data are still there
        with subprocess.Popen(
            [*base, "dev", "hello.py"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as dev:
            try:
                assert dev.stderr is not None
                assert any("ready on" in line for line in dev.stderr), "dev ended without getting ready"
                run = answer(command("run", "start", "hello", "-f", f"name={name}", "--wait", "-o", "json"))
                assert run["result"]["letter"].startswith(f"Dear {name}")
                runs = answer(command("run", "list", "-o", "json"))
            finally:
                dev.send_signal(signal.SIGTERM)
                _, said = dev.communicate(timeout=60)
        assert dev.returncode == 0, said
    assert len(runs) == 2
    assert command("run", "list").returncode != 0, "the broker still runs"
