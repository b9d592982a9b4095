"""`logkeel approvals` and `run signal` as a person types them, against a whole engine on the simulated cluster."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.cli.terminal import Terminal
from tests.unit.runs.scripts import step_block

from logkeel.definitions import HumanBlock, ParallelBlock, SignalBlock
from logkeel.records import CancelRun

HOUR_MS = 3_600_000
SCHEMA = '{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}'
a = step_block("a")


def question(name: str = "approve", **details: object) -> HumanBlock:
    known: dict[str, object] = {
        "question": "Publish it?",
        "writes": "decision",
        "allow": ("approve", "edit", "reject"),
        "answer": "letter",
        "answer_schema": SCHEMA,
        "shows": ("topic", "letter"),
        "assignee": "editors",
        "timeout_ms": 48 * HOUR_MS,
    }
    return HumanBlock(id=name, **{**known, **details})  # type: ignore[arg-type]  # by keyword


@pytest.fixture
def logkeel(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Terminal]:
    terminal = Terminal(monkeypatch, capsys)
    yield terminal
    terminal.engine.loop.close()


def test_open_questions_are_listed_by_assignee_and_in_words(logkeel: Terminal) -> None:
    logkeel.start(ParallelBlock(id="both", branches=(question("one"), question("two", assignee="bob"))), a)
    listed = logkeel("approvals", "list", "-o", "json").value
    assert [(each["run_id"], each["path"], each["question"]) for each in listed] == [
        ("r", "both/one", "Publish it?"),
        ("r", "both/two", "Publish it?"),
    ]
    assert [each["path"] for each in logkeel("approvals", "list", "--assignee", "bob", "-o", "json").value] == [
        "both/two"
    ]
    table = logkeel("approvals", "list")
    assert "approve, edit, reject" in table.out
    assert "2 open questions" in table.err
    shown = logkeel("run", "show", "r")
    assert "waits for a human: one, asked" in shown.out
    assert "of editors" in shown.out


def test_a_question_is_shown_with_what_there_is_to_see_and_how_to_answer(logkeel: Terminal) -> None:
    logkeel.start(question(), a)
    shown = logkeel("approvals", "show", "r", "-o", "json").value
    assert (shown["question"], shown["allow"]) == ("Publish it?", ["approve", "edit", "reject"])
    assert shown["shown"] == {"topic": "kafka", "letter": None}
    assert shown["schema"] == json.loads(SCHEMA)
    text = logkeel("approvals", "show", "r", "--path", "approve")
    assert "topic:\n  kafka\n" in text.out
    assert '"required": [' in text.out
    assert "logkeel approvals answer r approve|edit|reject --path approve" in text.err


def test_the_only_question_is_answered_without_its_path(logkeel: Terminal) -> None:
    logkeel.start(question(), a)
    done = logkeel("approvals", "answer", "r", "approve", "--by", "ada", "--comment", "well done", "-o", "json")
    answered = logkeel.event("question_answered")
    assert (answered.name, answered.actor, answered.reason) == ("approve", "ada", "well done")
    assert done.value == {"run_id": "r", "request_id": answered.request_id}
    assert logkeel("run", "show", "r", "-o", "json").value["answers"][0]["by"] == "ada"


def test_an_answer_has_to_fit_its_schema(logkeel: Terminal, tmp_path: Path) -> None:
    logkeel.start(question(), a)
    wrong = logkeel("approvals", "answer", "r", "edit", "--value", '{"text": 7}')
    assert (wrong.code, "text: 7 is not of type 'string'" in wrong.err) == (12, True)
    assert "logkeel approvals show r --path approve" in wrong.err
    file = tmp_path / "letter.json"
    file.write_text('{"text": "Dear Ada"}')
    assert logkeel("approvals", "answer", "r", "edit", "--value-file", str(file)).code == 0
    payload = logkeel.event("question_answered").writes[1].payload
    assert payload is not None
    assert payload.data == b'{"text":"Dear Ada"}'


def test_a_question_is_handed_on(logkeel: Terminal) -> None:
    logkeel.start(question(), a)
    assert logkeel("approvals", "delegate", "r", "bob", "--by", "ada").code == 0
    assert "handed on to bob by ada" in logkeel("approvals", "show", "r").out


def test_of_several_questions_one_is_named(logkeel: Terminal) -> None:
    logkeel.start(ParallelBlock(id="both", branches=(question("one"), question("two"))), a)
    unclear = logkeel("approvals", "answer", "r", "approve")
    assert (unclear.code, "both/one, both/two" in unclear.err) == (13, True)
    assert logkeel("approvals", "answer", "r", "approve", "--path", "both/two").code == 0
    assert logkeel.event("question_answered").path == "both/two"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("answer", "r", "perhaps"), 13, "takes approve, edit, reject, not 'perhaps'"),
        (("answer", "r", "approve", "--path", "nowhere"), 13, "asks nobody at nowhere now; open: approve"),
        (("answer", "r", "respond", "--value", "1"), 13, "takes approve, edit, reject, not 'respond'"),
        (("answer", "r", "edit"), 13, "--value JSON or --value-file FILE"),
        (("answer", "r", "approve", "--value", "1"), 13, "approve takes no value"),
        (("answer", "r", "edit", "--value", "{"), 12, "is not JSON"),
        (("answer", "r", "edit", "--value", "1", "--value-file", "x"), 13, "given twice"),
        (("delegate", "nobody", "bob"), 13, "logkeel run list"),
        (("answer", "nobody", "approve"), 13, "logkeel run list"),
        (("show", "nobody"), 13, "logkeel run list"),
        (("show", "r", "--path", "nowhere"), 13, "logkeel run show r"),
    ],
)
def test_mistakes_have_a_message_and_a_code_and_send_nothing(
    logkeel: Terminal, arguments: tuple[str, ...], code: int, said: str
) -> None:
    logkeel.start(question(), a)
    done = logkeel("approvals", *arguments)
    assert (done.code, said in done.err) == (code, True), done.err
    assert "question_answered" not in logkeel.engine.history()
    assert logkeel.engine.rejections() == []


def test_who_comes_too_late_is_told_who_was_first(logkeel: Terminal) -> None:
    logkeel.start(question(), a)
    assert logkeel("approvals", "answer", "r", "reject", "--by", "ada").code == 0
    late = logkeel("approvals", "answer", "r", "approve")
    assert (late.code, "approve was answered with reject by ada" in late.err) == (13, True), late.err
    logkeel.engine.ask(CancelRun(run_id="r", request_id="c"))
    ended = logkeel("approvals", "show", "r")
    assert (ended.code, "has ended as cancelled" in ended.err) == (13, True)


def test_a_signal_with_a_correlation_is_one_signal_however_often_it_is_sent(logkeel: Terminal) -> None:
    logkeel.start(a, SignalBlock(id="wait", name="paid", writes="letter"))
    signal = ("run", "signal", "r", "paid", "--payload", "7", "--correlation", "o-7", "--request-id", "s", "-o", "json")
    assert logkeel(*signal).value == logkeel(*signal).value == {"run_id": "r", "request_id": "s"}
    assert logkeel.event("signal_received").attributes == {"correlation": "o-7"}
