"""Humans on a real broker: asked by a flow, answered by record, by client and from the command line."""

from collections.abc import Iterator
from typing import Literal

import pytest
from pydantic import BaseModel
from tests.integration.cli.test_run import answer, logkeel
from tests.integration.runs.application import Application, running

from logkeel.client import Answer, Client
from logkeel.workflow import State, Workflow, human, parallel, wait_signal

pytestmark = pytest.mark.kafka


class Report(BaseModel):
    """What is published."""

    title: str
    pages: int = 1


class Publication(State):
    """A report that humans have a word in."""

    topic: str
    report: Report | None = None
    final: Report | None = None
    decision: Literal["approve", "edit", "reject"] | None = None
    legal: Literal["approve", "reject"] | None = None
    receipt: dict[str, int] | None = None


publications = Workflow("publications", state=Publication, returns=("final", "decision", "legal", "receipt"))


@publications.step(writes=lambda s: s.report)
async def write(topic: str) -> Report:
    """The draft."""
    return Report(title=f"On {topic}")


publications.flow(
    write,
    parallel(
        human(
            "editors",
            question="Publish it?",
            writes="decision",
            allow=("approve", "edit", "reject"),
            answer="final",
            shows=("report",),
            assignee="editors",
            timeout="48h",
            on_timeout="reject",
        ),
        human("lawyers", question="Is it legal?", writes="legal", shows=("report",), assignee="lawyers", timeout=None),
    ),
    wait_signal("paid", writes="receipt", timeout="30d"),
)

EDITORS, LAWYERS = "parallel/editors", "parallel/lawyers"


@pytest.fixture(scope="module")
def application(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    with running(kafka_bootstrap, tmp_path_factory.mktemp("approvals"), [publications]) as application:
        yield application


def asked(application: Application, run_id: str) -> None:
    """Start a run, and wait until both questions are open."""
    options = ("-i", "topic=logs", "--run-id", run_id, "-o", "json")
    answer(logkeel(application, "run", "start", "publications", *options))
    application.awaited(lambda: sum(e.kind == "question_asked" for e in application.history(run_id)) == 2 or None)


def until_paid_is_awaited(application: Application, run_id: str) -> None:
    application.awaited(lambda: any(e.kind == "wait_started" for e in application.history(run_id)) or None)


def pay(application: Application, run_id: str) -> None:
    until_paid_is_awaited(application, run_id)
    answer(logkeel(application, "run", "signal", run_id, "paid", "--payload", '{"cents": 7}', "-o", "json"))


def test_questions_are_listed_shown_and_answered_from_the_command_line(application: Application) -> None:
    asked(application, "cli")
    listed = answer(logkeel(application, "approvals", "list", "--assignee", "editors", "-o", "json"))
    assert (EDITORS, "Publish it?") in {(each["path"], each["question"]) for each in listed if each["run_id"] == "cli"}
    shown = answer(logkeel(application, "approvals", "show", "cli", "--path", EDITORS, "-o", "json"))
    assert shown["shown"]["report"] == {"title": "On logs", "pages": 1}
    assert "title" in str(shown["schema"])
    assert "waits for a human: editors" in logkeel(application, "run", "show", "cli").stdout
    unclear = logkeel(application, "approvals", "answer", "cli", "approve")
    assert (unclear.returncode, EDITORS in unclear.stderr) == (13, True), unclear.stderr
    edit = ("approvals", "answer", "cli", "edit", "--path", EDITORS, "--value")
    wrong = logkeel(application, *edit, '{"pages": "many"}')
    assert (wrong.returncode, "'title' is a required property" in wrong.stderr) == (12, True), wrong.stderr
    better = '{"title": "On the log", "pages": 2}'
    answer(logkeel(application, *edit, better, "--by", "ada", "-o", "json"))
    answer(logkeel(application, "approvals", "answer", "cli", "approve", "--by", "bob", "-o", "json"))
    late = logkeel(application, "approvals", "answer", "cli", "reject", "--path", EDITORS)
    assert (late.returncode, "answered with edit by ada" in late.stderr) == (13, True), late.stderr
    pay(application, "cli")
    assert application.completion("cli").status == "succeeded"
    run = answer(logkeel(application, "run", "show", "cli", "-o", "json"))
    assert [(each["path"], each["verb"], each["by"]) for each in run["answers"]] == [
        (EDITORS, "edit", "ada"),
        (LAWYERS, "approve", "bob"),
    ]
    assert run["fields"]["final"]["value"] == {"title": "On the log", "pages": 2}
    assert run["fields"]["receipt"]["value"] == {"cents": 7}


def test_a_question_is_handed_on_and_answered_by_a_client(application: Application) -> None:
    asked(application, "client")
    done = logkeel(application, "approvals", "delegate", "client", "carol", "--path", LAWYERS, "--by", "bob")
    assert done.returncode == 0, done.stderr
    with Client(application.client, prefix=application.settings.prefix) as client:
        (found,) = client.questions("client", assignee="carol")
        assert found.question.reassigned_by == "bob"
        number = found.question.number
        client.answer(Answer(run_id="client", path=LAWYERS, verb="approve", answered_by="carol", question=number))
        better = Report(title="Better", pages=3)
        client.answer(Answer(run_id="client", path=EDITORS, verb="edit", value=better, answered_by="ada"))
    pay(application, "client")
    assert application.completion("client").status == "succeeded"


def test_a_json_record_answers_and_a_verb_that_is_not_allowed_is_rejected(application: Application) -> None:
    asked(application, "record")
    base = {"type": "AnswerQuestion", "run_id": "record"}
    application.send({**base, "path": LAWYERS, "verb": "edit", "payload": 1, "request_id": "odd"}, key="record")
    assert application.rejection(request_id="odd").code == "verb_not_allowed"
    application.send({**base, "path": LAWYERS, "verb": "approve", "answered_by": "bob"})  # to any partition
    application.send({**base, "path": EDITORS, "verb": "edit", "payload": {"title": "T"}}, key="record")
    pay(application, "record")
    assert application.completion("record").status == "succeeded"


def test_a_run_that_is_cancelled_asks_nobody_any_more(application: Application) -> None:
    asked(application, "gone")
    answer(logkeel(application, "run", "cancel", "gone", "-o", "json"))
    assert application.completion("gone").status == "cancelled"
    listed = answer(logkeel(application, "approvals", "list", "-o", "json"))
    assert "gone" not in {each["run_id"] for each in listed}
    late = logkeel(application, "approvals", "answer", "gone", "approve", "--path", LAWYERS)
    assert (late.returncode, "has ended as cancelled" in late.stderr) == (13, True), late.stderr
