"""A workflow that tells what it does, asks a human, and fails when there is nothing to say."""

from typing import Literal

from logkeel.workflow import IDEMPOTENT, Fail, State, StepContext, Workflow, human


class Chat(State):
    topic: str
    words: str | None = None
    decision: Literal["approve", "reject"] | None = None
    sent: str | None = None


chat = Workflow("chat", state=Chat, returns="sent")


@chat.step(writes=lambda s: s.words, timeout="30s")
async def write(step: StepContext, topic: str) -> str:
    for word in ("about", topic, "much", "can", "be", "said"):
        step.emit(word)
    return f"about {topic} much can be said"


@chat.step(writes=lambda s: s.sent, effect=IDEMPOTENT, timeout="30s")
async def send(words: str | None, topic: str) -> str:
    if topic == "nothing":
        raise Fail("nothing_to_say", "there is nothing to be said")
    return words or ""


chat.flow(
    write,
    human("approve", writes="decision", question="Send it?", shows=["words"], assignee="editors", timeout="1h"),
    send,
)
