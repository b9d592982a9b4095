"""Retries and forks of turns from the command line: what works, and what a refusal says to do."""

from collections.abc import Iterator

import pytest
from tests.unit.cli.terminal import Terminal
from tests.unit.runs.scripts import text
from tests.unit.runs.test_conversations import ANN, talk
from tests.unit.runs.test_retried_turns import SAY_TWICE

from logkeel.records import FieldWrite, StartRun, StepCommand, StepSucceeded


@pytest.fixture
def logkeel(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Terminal]:
    terminal = Terminal(monkeypatch, capsys)
    yield terminal
    terminal.engine.loop.close()


def last(logkeel: Terminal) -> StepCommand:
    """What was sent last."""
    return logkeel.engine.commands()[-1]


def speak(logkeel: Terminal, run_id: str) -> None:
    """A turn begins."""
    inputs = (text("topic", "t"), text("who", ANN))
    logkeel.engine.ask(StartRun(workflow="work", run_id=run_id, request_id=run_id, conversation_id=ANN, inputs=inputs))


def test_a_failed_turn_is_retried_until_somebody_has_spoken_since(logkeel: Terminal) -> None:
    logkeel.engine.publish(talk())
    speak(logkeel, "t1")
    logkeel.engine.fail(last(logkeel))
    assert logkeel("run", "retry", "t1", "--routing-key", ANN).code == 0
    assert logkeel.event("run_retried").run_id == "t1"
    logkeel.engine.fail(last(logkeel))
    speak(logkeel, "t2")
    refused = logkeel("run", "retry", "t1", "--routing-key", ANN)
    assert (refused.code, "send another message" in refused.err) == (13, True)


def test_a_turn_is_forked_into_a_conversation_that_is_named(logkeel: Terminal) -> None:
    logkeel.engine.publish(talk(*SAY_TWICE))
    for run_id in ("t1", "t2"):
        speak(logkeel, run_id)
        for _ in range(2 if run_id == "t1" else 1):
            said = FieldWrite(field="messages", operation="append", payload=text("x", "hello").payload)
            command = last(logkeel)
            outcome = StepSucceeded(
                identity=command.identity, holder="w", started_at_ms=1, finished_at_ms=1, writes=(said,)
            )
            logkeel.engine.answer(command, outcome)
    refused = logkeel("run", "fork", "t2")
    assert (refused.code != 0, "--conversation ID" in refused.err) == (True, True)
    assert logkeel("run", "fork", "t2", "--conversation", "ann-2", "--run-id", "f").code == 0
    assert last(logkeel).identity.run_id == "f"
    (messages,) = [each for each in last(logkeel).inputs if each.field == "messages"]
    assert len(messages.elements) == 3, "what was said before the fork, in both turns"
    taken = logkeel("run", "fork", "t2", "--conversation", "ann-2")
    assert (taken.code, "choose another id" in taken.err) == (13, True)
    assert logkeel("run", "fork", "t2", "--conversation", "x", "--version", "2").code != 0
