"""From an SDK's pending call through a run's question to a decision: nothing is lost in between."""

from typing import Any

import msgspec
import pytest

from logkeel.integrations.approvals import Approval, asking
from logkeel.integrations.langchain import decision_of
from logkeel.records import AnswerQuestion, Payload, RunCompleted, RunEvent, StartRun
from logkeel.testing.memory import MemoryApplication
from logkeel.workflow import StepContext, durable

PENDING = Approval(
    call_id="c1",
    name="delete",
    args={"path": "/a", "deep": [1, None]},
    allow=("approve", "edit", "reject", "respond"),
    question="May I?",
    more={"agent": "cleaner"},
)


@durable
async def decide(step: StepContext) -> dict[str, Any]:
    """What LangChain is told."""
    return decision_of(PENDING, await step.ask(**asking(PENDING), timeout="1h"))


@pytest.mark.parametrize(
    ("verb", "value", "comment", "decision"),
    [
        ("approve", None, None, {"type": "approve"}),
        (
            "edit",
            {"name": "move", "args": {"to": "/b"}},
            None,
            {"type": "edit", "edited_action": {"name": "move", "args": {"to": "/b"}}},
        ),
        ("reject", None, "never", {"type": "reject", "message": "never"}),
        ("respond", "it is gone", None, {"type": "respond", "message": "it is gone"}),
    ],
)
def test_a_question_carries_the_call_and_brings_the_decision(
    verb: str, value: Any, comment: str | None, decision: dict[str, Any]
) -> None:
    payload = None if value is None else Payload(encoding="json", data=msgspec.json.encode(value))
    with MemoryApplication([decide]) as application:
        application.send(StartRun(workflow="decide", version="1", run_id="r"), key="r")
        assert application.run_until(lambda: any(map(is_question, application.history("r"))))
        asked = next(filter(is_question, application.history("r")))
        (shown,) = (write.payload for write in asked.writes if write.field == "show")
        assert shown is not None
        assert msgspec.json.decode(shown.data or b"") == {
            "name": "delete",
            "args": {"path": "/a", "deep": [1, None]},
            "description": "May I?",
            "more": {"agent": "cleaner"},
        }
        request = AnswerQuestion(run_id="r", path=asked.path or "", verb=verb, payload=payload, comment=comment)
        application.send(request, key="r")
        application.run_until(lambda: application.outcome("r") is not None)
        outcome = application.outcome("r")
    assert isinstance(outcome, RunCompleted)
    assert decide.result(outcome.result) == decision


def is_question(event: RunEvent) -> bool:
    return event.kind == "question_asked"
