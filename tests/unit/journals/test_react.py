"""The ReAct agent of the examples, in memory: parallel tools, and a human in between."""

import pytest
from examples.agents.react import agent

from logkeel.projection.projection import fold
from logkeel.records import AnswerQuestion, Payload, RunCompleted, RunEvent, StartRun
from logkeel.testing.memory import MemoryApplication

QUESTION = "what is a log?"


@pytest.mark.parametrize(
    ("verb", "value", "said"),
    [
        ("approve", None, f"done: sent found {QUESTION} and 14 characters"),
        ("edit", b'"less"', "done: sent less"),
        ("reject", None, "done: send: a human refused. not today"),
    ],
)
def test_a_human_decides_about_what_is_sent(verb: str, value: bytes | None, said: str) -> None:
    with MemoryApplication([agent]) as application:
        start = StartRun(workflow="agent", version="1", run_id="r", inputs=agent.encode_input({"question": QUESTION}))
        application.send(start, key="r")
        application.run_until(lambda: suspended(application.history("r")))
        (asked,) = fold(application.history("r")).questions
        assert asked.question == "May I send c?"
        payload = None if value is None else Payload(encoding="json", data=value)
        answer = AnswerQuestion(run_id="r", path=asked.path, verb=verb, payload=payload, comment="not today")
        application.send(answer, key="r")
        application.run_until(lambda: application.outcome("r") is not None)
        outcome = application.outcome("r")
        assert isinstance(outcome, RunCompleted)
        assert agent.result(outcome.result) == said
        names = [e.journal.name for e in application.history("r") if e.kind == "step_journaled" and e.journal]
    assert names.count("model") == 3


def suspended(history: list[RunEvent]) -> bool:
    return history[-1:] != [] and history[-1].kind == "step_suspended"
