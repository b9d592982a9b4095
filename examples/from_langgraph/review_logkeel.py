"""A human reviews before something is sent: a question of its own, with a deadline and a typed answer."""

from typing import Literal

from logkeel.workflow import KEYED, State, StepContext, Workflow, branch, human


class Letter(State):
    topic: str
    letter: str | None = None
    verb: Literal["approve", "edit", "reject"] | None = None
    sent: bool = False


letters = Workflow("letters", state=Letter, returns=("letter", "sent"))


@letters.step(writes=lambda s: s.letter)
def write(topic: str) -> str:
    return f"Dear reader, {topic}."


@letters.step(writes=lambda s: s.sent, effect=KEYED)
def send(letter: str, step: StepContext) -> bool:
    return bool(letter and step.idempotency_key)


letters.flow(
    write,
    human(
        "review",
        shows=["letter"],
        writes="verb",
        allow=("approve", "edit", "reject"),
        answer="letter",
        timeout="48h",
        on_timeout="reject",
    ),
    branch("verb", approve=send, edit=send, otherwise=()),
)
