"""A real Pydantic AI agent whose tools are deferred: what it asks, and what it makes of our answers."""

from typing import Any

import pytest
from pydantic_ai import Agent, CallDeferred, DeferredToolRequests, RunContext, ToolApproved, ToolDenied
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from logkeel.integrations.pydantic_ai import answer_of, approvals_of, results_of
from logkeel.workflow import Answered

DONE: list[str] = []
CALLS = [
    ToolCallPart("delete", {"path": "/a"}, tool_call_id="c1"),
    ToolCallPart("look_up", '{"name": "ada"}', tool_call_id="c2"),
]


def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Calls both tools, and then says what came of it."""
    return ModelResponse(parts=list(CALLS) if len(messages) == 1 else [TextPart("well")])


def made() -> Agent[None, Any]:
    agent: Agent[None, Any] = Agent(FunctionModel(model), output_type=[str, DeferredToolRequests])

    @agent.tool_plain(requires_approval=True)
    def delete(path: str) -> str:
        DONE.append(path)
        return f"deleted {path}"

    @agent.tool
    def look_up(context: RunContext[None], name: str) -> str:
        raise CallDeferred(metadata={"for": name})

    return agent


async def went_on(answer: Answered[Any]) -> tuple[list[Any], dict[str, Any]]:
    """The approvals, and what the tools returned by call id."""
    DONE.clear()
    agent = made()
    first = await agent.run("clean up")
    requests = first.output
    assert isinstance(requests, DeferredToolRequests)
    answers = {"c1": answer, "c2": Answered("respond", {"age": 36}, answered_by="ada")}
    results = results_of(requests, answers)
    last = await agent.run(message_history=first.all_messages(), deferred_tool_results=results)
    returned = {
        part.tool_call_id: part.content
        for each in last.all_messages()
        for part in each.parts
        if isinstance(part, ToolReturnPart)
    }
    return approvals_of(requests), returned


async def test_what_is_asked() -> None:
    approvals, _ = await went_on(Answered("approve"))
    delete, look_up = approvals
    assert (delete.call_id, delete.name, delete.args) == ("c1", "delete", {"path": "/a"})
    assert delete.allow == ("approve", "edit", "reject")
    assert (look_up.args, look_up.allow) == ({"name": "ada"}, ("respond",))
    assert look_up.more == {"metadata": {"for": "ada"}}


@pytest.mark.parametrize(
    ("answer", "done", "said"),
    [
        (Answered("approve"), ["/a"], "deleted /a"),
        (Answered("edit", {"name": "delete", "args": {"path": "/b"}}), ["/b"], "deleted /b"),
        (Answered("reject", message="not that one"), [], "not that one"),
        (Answered("reject"), [], ToolDenied().message),
    ],
)
async def test_what_is_done(answer: Answered[Any], done: list[str], said: str) -> None:
    _, returned = await went_on(answer)
    assert done == DONE
    assert returned == {"c1": said, "c2": {"age": 36}}


def test_a_decision_loses_nothing() -> None:
    requests = DeferredToolRequests(approvals=CALLS[:1])
    (approval,) = approvals_of(requests)
    for decision in (ToolApproved(), ToolApproved(override_args={"path": "/b"}), ToolDenied("no")):
        assert results_of(requests, {"c1": answer_of(approval, decision)}).approvals == {"c1": decision}
    assert (answer_of(approval, True).verb, answer_of(approval, False).verb) == ("approve", "reject")


def test_who_answered_is_passed_on() -> None:
    results = results_of(DeferredToolRequests(approvals=CALLS[:1]), {"c1": Answered("approve", answered_by="ada")})
    assert getattr(results, "answered_by", {"c1": "ada"}) == {"c1": "ada"}


def test_an_answer_that_has_no_word_there_is_refused() -> None:
    requests = DeferredToolRequests(approvals=CALLS[:1])
    unfit: list[Answered[Any]] = [Answered("respond", "x"), Answered("edit", {"name": "move", "args": {}})]
    for answer in (*unfit, Answered("edit", {})):
        with pytest.raises(ValueError, match="c1"):
            results_of(requests, {"c1": answer})
    with pytest.raises(KeyError):
        results_of(requests, {})
