"""What clients send besides inputs goes encrypted, too: signals and answers of humans."""

from typing import Literal

from tests.unit.payloads.chains import chain

from logkeel.client import Client
from logkeel.client.answers import Answer
from logkeel.records import RunCompleted
from logkeel.testing.memory import MemoryApplication
from logkeel.wire import encode
from logkeel.workflow import State, Workflow, human, wait_signal

SECRET = "the safe is behind the clock"


class Letter(State):
    """Written by others."""

    hint: str | None = None
    text: str = ""
    decision: Literal["edit", "reject"] | None = None
    read: str | None = None


def letters() -> "Workflow[Letter]":
    workflow = Workflow("letters", state=Letter, returns="read")

    @workflow.step(writes=lambda s: s.read)
    async def read(hint: str, text: str) -> str:
        return f"{hint}; {text}"

    workflow.flow(
        wait_signal("hint", writes="hint"),
        human("write", allow=("edit", "reject"), writes="decision", answer="text", timeout="1h", on_timeout="reject"),
        read,
    )
    return workflow


def test_signals_and_answers_are_read_by_workers_only() -> None:
    workflow, which = letters(), chain()
    with (
        MemoryApplication([workflow], payloads=which) as application,
        Client(application.client, prefix="memory", payloads=which) as client,
    ):
        client.start(workflow, run_id="r")
        client.signal("r", "hint", SECRET)
        application.run_until(lambda: any(e.kind == "question_asked" for e in application.history("r")))
        client.answer(Answer(run_id="r", path="write", verb="edit", value=f"{SECRET}!"))
        assert application.run_until(lambda: application.outcome("r") is not None)
        completed = application.outcome("r")
        assert isinstance(completed, RunCompleted)
        assert workflow.result(client.opened(completed).result) == f"{SECRET}; {SECRET}!"
        assert b"clock" not in b"".join([*map(encode, application.history("r")), encode(completed)])
