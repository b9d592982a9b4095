"""LangChain's human-in-the-loop middleware itself: what it asks, and what it makes of our answers."""

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from logkeel.integrations.langgraph import approvals_of, resume_of
from logkeel.workflow import Answered

DONE: list[str] = []


@tool
def delete(path: str) -> str:
    """Delete a file."""
    DONE.append(path)
    return f"deleted {path}"


class Model(GenericFakeChatModel):
    """Calls the tool, and then says what came of it."""

    def bind_tools(self, tools: Any, **options: Any) -> Any:
        """It knows them."""
        return self


def asked_and_answered(answer: Answered[Any]) -> tuple[list[Any], list[str]]:
    """The approvals, and the texts of the tool's messages."""
    DONE.clear()
    call = {"name": "delete", "args": {"path": "/a"}, "id": "c1"}
    model = Model(messages=iter([AIMessage("", tool_calls=[call]), AIMessage("well")]))
    allowed = ["approve", "edit", "reject", "respond"]
    middleware = HumanInTheLoopMiddleware(interrupt_on={"delete": {"allowed_decisions": allowed}})
    agent = create_agent(model, [delete], middleware=[middleware], checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    interrupts = agent.invoke({"messages": [("user", "clean up")]}, config)["__interrupt__"]
    approvals = approvals_of(interrupts)
    result = agent.invoke(resume_of(interrupts, {each.call_id: answer for each in approvals}), config)
    return approvals, [each.content for each in result["messages"] if each.type == "tool"]


def test_what_is_asked() -> None:
    approvals, _ = asked_and_answered(Answered("approve"))
    (approval,) = approvals
    assert (approval.name, approval.args) == ("delete", {"path": "/a"})
    assert set(approval.allow) == {"approve", "edit", "reject", "respond"}
    assert "delete" in approval.question


@pytest.mark.parametrize(
    ("answer", "done", "said"),
    [
        (Answered("approve"), ["/a"], "deleted /a"),
        (Answered("edit", {"name": "delete", "args": {"path": "/b"}}), ["/b"], "deleted /b"),
        (Answered("reject", message="not that one"), [], "not that one"),
        (Answered("respond", "it is gone already"), [], "it is gone already"),
    ],
)
def test_what_is_done(answer: Answered[Any], done: list[str], said: str) -> None:
    _, told = asked_and_answered(answer)
    assert done == DONE
    assert any(said in each for each in told)
