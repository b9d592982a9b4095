"""The same workflow with the same outcomes leaves the same history in memory and on a real broker."""

import asyncio
from pathlib import Path

import pytest
from tests.integration.runs.application import running

from logkeel.client.building import input_digest, inputs_of
from logkeel.records import RunEvent, StartRun
from logkeel.testing.memory import MemoryApplication
from logkeel.wire import encode
from logkeel.workflow import CHECKED, KEYED, ONCE, NotDone, Retry, State, StepContext, Workflow, parallel

RUN = "run-1"


class Trip(State):
    """What is booked."""

    city: str
    flight: str | None = None
    room: str | None = None
    total: int | None = None


def trips() -> "Workflow[Trip]":
    """Two branches, one fails twice; a merge; a step that is checked, one that is keyed, one that was not done."""
    workflow = Workflow("trips", state=Trip, returns=("flight", "total"))
    quick = Retry(max_attempts=4, initial="1ms", maximum="2ms")

    @workflow.step(writes=lambda s: s.flight, retry=quick)
    async def book_flight(city: str, step: StepContext) -> str:
        if step.attempt < 3:
            raise ConnectionError("no answer")
        return f"to {city}"

    @workflow.step(writes=lambda s: s.room)
    async def book_room(city: str) -> str:
        await asyncio.sleep(0.7)  # before its first heartbeat, and behind the other branch, wherever it runs
        return f"in {city}"

    @workflow.step(writes=lambda s: s.total, effect=KEYED)
    def add_up(flight: str, room: str) -> int:
        return len(flight) + len(room)

    @workflow.step(effect=CHECKED, retry=quick)
    async def confirm(step: StepContext) -> None:
        if step.attempt == 1:
            raise ConnectionError("no answer")
        raise AssertionError("the check has found it")

    @confirm.check
    async def is_confirmed() -> bool:
        return True

    @workflow.step(effect=ONCE, retry=Retry(max_attempts=2, initial="1ms", on="not_done"))
    async def pay(total: int, step: StepContext) -> None:
        if step.attempt == 1:
            raise NotDone("the till is closed")

    workflow.flow(parallel(book_flight, book_room), add_up, confirm, pay)
    return workflow


def story(history: list[RunEvent]) -> list[tuple[object, ...]]:
    """What does not depend on time or place."""
    return [
        (event.revision, event.kind, event.path, event.attempt, event.dispatch, event.error and event.error.code)
        for event in history
    ]


def request(workflow: "Workflow[Trip]") -> StartRun:
    """The same for both."""
    writes = inputs_of(workflow, {"city": "Rome"})
    return StartRun(
        workflow="trips", run_id=RUN, request_id="r", inputs=writes, input_digest=input_digest(writes), version="1"
    )


@pytest.mark.kafka
def test_memory_and_kafka_tell_the_same_story(kafka_bootstrap: str, tmp_path: Path) -> None:
    workflow = trips()
    with MemoryApplication([workflow]) as memory:
        memory.send(request(workflow), key=RUN)
        assert memory.run_until(lambda: memory.outcome(RUN) is not None)
        simulated = memory.history(RUN)
    with running(kafka_bootstrap, tmp_path, [workflow]) as application:
        application.send(encode(request(workflow)), key=RUN)
        completion = application.completion(RUN)
        real = application.awaited(lambda: found if (found := application.history(RUN))[-1:] and done(found) else None)
    assert completion.status == "succeeded"
    assert story(simulated) == story(real)
    assert len(real) > 15


def done(history: list[RunEvent]) -> bool:
    """Whether it is there wholly."""
    return history[-1].kind == "run_completed"
