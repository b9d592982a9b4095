"""Support over days: every message of a customer is a turn that begins with all that was said before.

In memory, one turn: `await support.try_out(customer="ann", message="hello")`. For real: logkeel dev support_chat.py
"""

from typing import Annotated

from logkeel.workflow import Append, State, Workflow


class Chat(State):
    customer: str
    message: str
    messages: Annotated[list[str], Append] = []
    answer: str | None = None


support = Workflow(
    "support_chat",
    state=Chat,
    returns="answer",
    conversation="customer",
    keep=("messages",),
    on_busy="queue",
)


@support.step(writes=lambda s: s.messages)
async def listen(message: str) -> list[str]:
    return [f"customer: {message}"]


@support.step(writes=lambda s: (s.answer, s.messages))
async def answer(messages: list[str]) -> tuple[str, list[str]]:
    """A model would do this better."""
    said = [line.removeprefix("customer: ") for line in messages if line.startswith("customer: ")]
    text = f"You said {said[-1]!r}" + (f", and before that {said[-2]!r}." if len(said) > 1 else ".")
    return text, [f"support: {text}"]


support.flow(listen, answer)
