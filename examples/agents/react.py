"""A ReAct agent: a model asks for tools until it can answer. Tools run side by side; a dangerous one needs a human.

In memory: `await agent.try_out(question="...", resources={"open_model": ...})`. For real: logkeel dev react.py
"""

from typing import Annotated

from examples.agents.react_model import TOOLS, Call, Message, Model, open_model

from logkeel.workflow import KEYED, Resource, Retry, StepContext, durable


@durable
async def agent(step: StepContext, question: str, model: Annotated[Model, Resource(open_model)]) -> str:
    """Each reply is paid for once, each tool used once, whatever dies in between."""
    messages = [Message("user", question)]
    while True:
        reply = await step.options(timeout="2m", retry=Retry(5)).run("model", model.reply, messages)
        messages.append(reply)
        if not reply.calls:
            return reply.text
        messages += await step.gather(*(use(step, call) for call in reply.calls), concurrency=8)


async def use(step: StepContext, call: Call) -> Message:
    """One tool; a human may refuse a dangerous one, or change what it is given."""
    argument = call.argument
    if call.tool == "send":
        answer = await step.ask(
            f"May I send {call.id}?", str, show=call, timeout="24h", allow=("approve", "edit", "reject")
        )
        if answer.verb == "reject":
            return Message("tool", f"{call.tool}: a human refused. {answer.message}")
        argument = answer.value or argument
    tool = step.options(effect=KEYED, timeout="20s", retry=Retry(3))
    return Message("tool", await tool.run(f"tool:{call.tool}", TOOLS[call.tool], argument))
