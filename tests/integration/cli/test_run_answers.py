"""Requests to runs from the command line: they reach the run's home, and a refusal is heard."""

from collections.abc import Iterator

import pytest
from tests.integration.cli.test_run import answer, logkeel, purchases, until_in_doubt
from tests.integration.runs.application import Application, running

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def application(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    with running(kafka_bootstrap, tmp_path_factory.mktemp("answers"), [purchases]) as application:
        yield application


def start(application: Application, run_id: str, article: str, *options: str) -> None:
    options = (*options, "-o", "json")
    answer(logkeel(application, "run", "start", "purchases", "-i", f"article={article}", "--run-id", run_id, *options))


@pytest.mark.parametrize(
    "arguments",
    [("cancel", "nobody"), ("signal", "nobody", "hurry"), ("resolve", "nobody", "pay", "did"), ("show", "nobody")],
)
def test_an_unknown_run_is_an_error_with_a_next_step(application: Application, arguments: tuple[str, ...]) -> None:
    done = logkeel(application, "run", *arguments)
    assert done.returncode == 13
    assert "there is no run 'nobody'" in done.stderr
    assert "logkeel run list" in done.stderr


def test_a_run_with_a_routing_key_is_reached_without_saying_it(application: Application) -> None:
    key = "customer-7"
    run_id = next(
        each for each in map("k{}".format, range(99)) if application.home_of(each) != application.home_of(key)
    )
    start(application, run_id, "cat", "--routing-key", key)
    until_in_doubt(application, run_id)
    answer(logkeel(application, "run", "cancel", run_id, "-o", "json"))
    assert application.completion(run_id).status == "cancelled"


def test_a_run_that_has_ended_refuses_with_its_reason(application: Application) -> None:
    start(application, "done", "horse", "--wait")
    for arguments in (("cancel", "done"), ("signal", "done", "hurry")):
        done = logkeel(application, "run", *arguments)
        assert done.returncode == 13
        assert "run_finished" in done.stderr


def test_a_result_that_the_step_does_not_write_is_refused(application: Application) -> None:
    start(application, "odd", "cat")
    until_in_doubt(application, "odd")
    done = logkeel(application, "run", "resolve", "odd", "pay", "did", "--result", '{"receipt": "x"}')
    assert (done.returncode, "unknown_field" in done.stderr) == (13, True), done.stderr
    answer(logkeel(application, "run", "resolve", "odd", "pay", "did", "-o", "json"))
    assert application.completion("odd").status == "succeeded"


def test_text_that_looks_like_markup_is_shown(application: Application) -> None:
    start(application, "markup", "[/INST]", "--wait")
    done = logkeel(application, "run", "show", "markup")
    assert done.returncode == 0, done.stderr
    assert "one [/INST]" in done.stdout


def test_the_doctor_takes_the_counts_that_topics_were_made_with(application: Application) -> None:
    wrong = logkeel(application, "doctor", "--partitions", "3")
    assert (wrong.returncode, "--partitions 2" in wrong.stdout) == (1, True)
    assert logkeel(application, "doctor", "--partitions", "2").returncode == 0
