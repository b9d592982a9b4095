"""A real agent of the OpenAI Agents SDK, on a model in this file: what it asks, and what it makes of our answers."""

from typing import Any

import pytest
from agents import Agent, ModelResponse, Runner, Usage, function_tool, set_tracing_disabled
from agents.models.interface import Model
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from logkeel.integrations.openai_agents import approvals_of, decide
from logkeel.workflow import Answered

DONE: list[str] = []
set_tracing_disabled(True)


@function_tool(needs_approval=True)
def delete(path: str) -> str:
    """Delete a file."""
    DONE.append(path)
    return f"deleted {path}"


class Scripted(Model):
    """Calls the tool, and then says what came of it."""

    async def get_response(self, *arguments: Any, **named: Any) -> ModelResponse:
        """By whether the tool has answered."""
        given = named.get("input", arguments[1] if len(arguments) > 1 else "")
        returned = [each for each in given if isinstance(each, dict) and each.get("type") == "function_call_output"]
        if returned:
            text = ResponseOutputText(text=str(returned[-1]["output"]), type="output_text", annotations=[])
            parts: Any = ResponseOutputMessage(
                id="m", content=[text], role="assistant", status="completed", type="message"
            )
        else:
            parts = ResponseFunctionToolCall(
                call_id="c1", name="delete", arguments='{"path": "/a"}', type="function_call", id="f"
            )
        return ModelResponse(output=[parts], usage=Usage(), response_id=None)

    def stream_response(self, *arguments: Any, **named: Any) -> Any:
        """Nobody asks for it."""
        raise NotImplementedError


async def went_on(answer: Answered[Any]) -> tuple[list[Any], str]:
    """The approvals, and the agent's last word."""
    DONE.clear()
    agent = Agent(name="cleaner", model=Scripted(), tools=[delete])
    first = await Runner.run(agent, "clean up")
    approvals = approvals_of(first.interruptions)
    state = first.to_state()
    decide(state, first.interruptions, {"c1": answer})
    last = await Runner.run(agent, state)
    return approvals, str(last.final_output)


async def test_what_is_asked() -> None:
    (approval,), _ = await went_on(Answered("approve"))
    assert (approval.call_id, approval.name, approval.args) == ("c1", "delete", {"path": "/a"})
    assert approval.allow == ("approve", "reject")
    assert approval.more["agent"] == "cleaner"
    assert "cleaner wants to call delete" in approval.question


@pytest.mark.parametrize(
    ("answer", "done", "said"),
    [
        (Answered("approve"), ["/a"], "deleted /a"),
        (Answered("reject", message="not that one"), [], "not that one"),
        (Answered("reject"), [], "not"),
    ],
)
async def test_what_is_done(answer: Answered[Any], done: list[str], said: str) -> None:
    _, last = await went_on(answer)
    assert done == DONE
    assert said in last


async def test_what_the_sdk_has_no_word_for_is_refused() -> None:
    with pytest.raises(ValueError, match="takes approve, reject, not edit"):
        await went_on(Answered("edit", {"name": "delete", "args": {"path": "/b"}}))
