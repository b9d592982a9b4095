"""What steps emit, in `try_out` and read by clients."""

from typing import Any

import pytest

from logkeel.client import Client, StreamReader
from logkeel.errors import InvalidInput
from logkeel.testing.memory import MemoryApplication
from logkeel.testing.try_out import start_request
from logkeel.workflow import Retry, State, StepContext, Workflow


class Draft(State):
    """What is written."""

    topic: str
    text: str | None = None
    words: int | None = None


def drafting() -> "Workflow[Draft]":
    """An asynchronous step whose first attempt breaks off in mid-stream, and a plain one."""
    workflow = Workflow("drafting", state=Draft, returns="text")

    @workflow.step(writes=lambda s: s.text, retry=Retry(max_attempts=2, initial="10ms"))
    async def write(topic: str, step: StepContext) -> str:
        for number, word in enumerate(("all", "about", topic)):
            if step.attempt == 1 and number == 2:
                raise RuntimeError("the model hung up")
            step.emit(word)
        return f"all about {topic}"

    @workflow.step(writes=lambda s: s.words)
    def count(text: str, step: StepContext) -> int:
        step.emit({"progress": 1.0})
        return len(text.split())

    workflow.flow(write, count)
    return workflow


async def test_a_trial_has_what_was_emitted_and_by_which_attempt() -> None:
    trial = await drafting().trial(topic="logs")
    assert [(it.path, it.attempt, it.sequence, it.value) for it in trial.emitted] == [
        ("write", 1, 0, "all"),
        ("write", 1, 1, "about"),
        ("write", 2, 0, "all"),
        ("write", 2, 1, "about"),
        ("write", 2, 2, "logs"),
        ("count", 1, 0, {"progress": 1.0}),
    ]
    assert trial.emitted[0].dispatch < trial.emitted[2].dispatch


def ended_run() -> tuple[MemoryApplication, "Workflow[Any]"]:
    workflow = drafting()
    application = MemoryApplication([workflow])
    application.send(start_request(workflow, {"topic": "logs"}, "r"), key="r")
    application.run_until(lambda: application.outcome("r") is not None)
    return application, workflow


def test_a_client_reads_the_stream_of_a_run_to_its_end_and_goes_on_behind_a_place() -> None:
    application, _ = ended_run()
    with application, Client(application.client, prefix="memory") as client:
        found = list(client.stream("r"))
        assert [it.value for it in found] == ["all", "about", "all", "about", "logs", {"progress": 1.0}]
        for index, each in enumerate(found):
            assert list(client.stream("r", after=each.place)) == found[index + 1 :]


def test_streams_of_others_are_not_read_and_a_place_is_checked() -> None:
    application, _ = ended_run()
    with application:
        reader = StreamReader(application.client, application.names, "other")
        assert reader.poll(0.0) == []
        reader.close()
        with pytest.raises(InvalidInput, match="no place in a stream"):
            StreamReader(application.client, application.names, "r", after="7")
