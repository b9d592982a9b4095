"""`@durable` and steps with a journal: definitions, and whole runs in memory by the production engine and worker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel

from logkeel.definitions import StepBlock, StepDefinition
from logkeel.errors import DefinitionError, InvalidInput, RunFailed, StepSignatureError
from logkeel.records import AnswerQuestion, Payload, RunCompleted, RunEvent, SignalRun, StartRun
from logkeel.testing.memory import MemoryApplication
from logkeel.workflow import NONE, Resource, Retry, State, StepContext, Workflow, durable

called: list[str] = []


class Answer(BaseModel):
    """A result."""

    text: str
    turns: int


@asynccontextmanager
async def open_model() -> AsyncIterator[str]:
    yield "real model"


async def ask(model: str, turn: int) -> str:
    called.append(f"{model} {turn}")
    return f"{turn} by {model}"


@durable
async def agent(
    step: StepContext, question: str, model: Annotated[str, Resource(open_model)], turns: int = 3
) -> Answer:
    said = [question, *[await step.run("model", ask, model, turn) for turn in range(turns)]]
    return Answer(text="; ".join(said), turns=turns)


def only_step(workflow: "Workflow[Any]") -> StepDefinition:
    (step,) = workflow.document().steps
    return step


async def test_a_durable_function_is_a_workflow_of_one_step_with_a_journal() -> None:
    document = agent.document()
    assert (document.name, document.returns) == ("agent", ("result",))
    assert [(field.name, field.required) for field in document.fields] == [
        ("question", True),
        ("turns", False),
        ("result", False),
    ]
    step = only_step(agent)
    assert (step.journaled, step.effect, step.timeout_ms, step.reads) == (
        True,
        "IDEMPOTENT",
        None,
        ("question", "turns"),
    )
    called.clear()
    assert await agent.try_out(question="why", turns=2) == Answer(text="why; 0 by real model; 1 by real model", turns=2)
    assert called == ["real model 0", "real model 1"]
    with pytest.raises(InvalidInput, match="question: is required"):
        await agent.try_out(turns=2)


def test_steps_without_a_journal_keep_their_digest() -> None:
    workflow = Workflow("plain", state=Parcel)

    @workflow.step(writes=lambda s: s.label)
    async def print_label(address: str) -> str:
        return address

    workflow.flow(print_label)
    assert b"journaled" not in workflow.definition().document


class Parcel(State):
    """What is sent."""

    address: str
    label: str | None = None


def test_options_of_a_durable_function_are_the_workflows() -> None:
    @durable(name="polite", version="7", queue="slow", timeout="1h", run_timeout="2d", retry=Retry(max_attempts=9))
    async def greet(step: StepContext, name: Literal["Ada", "Bob"]) -> None:
        """Answers nothing."""

    document = greet.document()
    assert (document.name, document.version, document.run_timeout_ms) == ("polite", "7", 172_800_000)
    step = only_step(greet)
    assert (step.queue, step.timeout_ms, step.retry.max_attempts) == ("slow", 3_600_000, 9)
    assert isinstance(document.flow.blocks[0], StepBlock)  # type: ignore[union-attr]  # a sequence, as tested elsewhere


def test_what_is_wrong_with_durable_code_is_told_at_its_definition() -> None:
    with pytest.raises(DefinitionError, match="'result', the name of what it returns"):

        @durable
        async def one(step: StepContext, result: str) -> str:
            return result

    workflow = Workflow("parcels", state=Parcel)
    with pytest.raises(DefinitionError, match="takes no StepContext"):

        @workflow.step(writes=lambda s: s.label, journal=True)
        async def two(address: str) -> str:
            return address

    with pytest.raises(DefinitionError, match="is a plain function"):

        @workflow.step(writes=lambda s: s.label, journal=True)
        def three(address: str, step: StepContext) -> str:
            return address

    with pytest.raises(DefinitionError, match="is NONE as a whole"):

        @workflow.step(writes=lambda s: s.label, journal=True, effect=NONE)
        async def four(address: str, step: StepContext) -> str:
            return address


async def test_a_journaled_step_in_a_flow_keeps_what_it_paid_for_over_its_retries() -> None:
    workflow = Workflow("parcels", state=Parcel, returns="label")
    called.clear()

    @workflow.step(writes=lambda s: s.label, journal=True, retry=Retry(max_attempts=4, initial="1h", maximum="9h"))
    async def print_label(address: str, step: StepContext) -> str:
        price = await step.run("price", ask, "scale", 1)
        if step.attempt < 3:
            raise RuntimeError("out of paper")
        return f"{address}: {price}"

    workflow.flow(print_label)
    assert await workflow.try_out(address="Berlin") == "Berlin: 1 by scale"
    assert called == ["scale 1"]


async def test_a_step_without_a_journal_says_how_to_get_one() -> None:
    workflow = Workflow("parcels", state=Parcel, returns="label")

    @workflow.step(writes=lambda s: s.label)
    async def print_label(address: str, step: StepContext) -> str:
        return await step.run("price", ask, "scale", 1)

    workflow.flow(print_label)
    with pytest.raises(RunFailed, match="journal=True"):
        await workflow.try_out(address="Berlin")
    assert StepSignatureError.code == "step_signature"


async def test_days_of_sleep_pass_at_once_and_count_against_no_time_out() -> None:
    @durable(timeout="5s")
    async def reminder(step: StepContext, days: int) -> float:
        began = step.now()
        for _ in range(days):
            await step.sleep("24h")
        return (step.now() - began).total_seconds() / 86_400

    # While nothing happens, time in memory goes on in jumps of an hour at most.
    assert 3 <= await reminder.try_out(days=3) < 3.2


@durable
async def approval(step: StepContext, name: str) -> str:
    try:
        answer = await step.wait_signal("approve", str, timeout="2d")
    except TimeoutError:
        answer = "too late"
    second: int = await step.wait_signal("approve")
    return f"{name}: {answer}, {second}"


def steps_of(application: MemoryApplication) -> list[str]:
    return [event.kind for event in application.history("r") if event.kind.startswith("step_")]


def run_of(workflow: "Workflow[Any]", signals: list[tuple[str, bytes]], **inputs: Any) -> tuple[Any, list[RunEvent]]:
    with MemoryApplication([workflow]) as application:
        start = StartRun(workflow=workflow.name, version="1", run_id="r", inputs=workflow.encode_input(inputs))
        application.send(start, key="r")
        for name, data in signals:
            application.run_until(lambda: steps_of(application)[-1:] == ["step_suspended"])
            application.send(SignalRun(run_id="r", name=name, payload=Payload(encoding="json", data=data)), key="r")
            application.run_until(lambda: any(e.kind == "signal_received" for e in application.history("r")[-3:]))
        application.run_until(lambda: application.outcome("r") is not None)
        outcome = application.outcome("r")
        assert outcome is not None
        return workflow.result(outcome.result), application.history("r")  # type: ignore[union-attr]  # it was accepted


def test_signals_wake_code_that_nobody_holds() -> None:
    result, history = run_of(approval, [("other", b"1"), ("approve", b'"yes"'), ("approve", b"2")], name="Ada")
    assert result == "Ada: yes, 2"
    assert [event.attempt for event in history if event.kind == "step_dispatched"] == [1, 1, 1]
    assert max(event.dispatch or 0 for event in history) == 3


@durable
async def careful(step: StepContext, amount: int) -> str:
    answer = await step.ask("pay?", int, show={"amount": amount}, timeout="2d", allow=("approve", "edit", "reject"))
    try:
        await step.ask("again?", int, timeout="1h")
    except TimeoutError as error:
        return f"{answer.verb} {answer.value} by {answer.answered_by}: {answer.message}; {error}"
    return "never"


def test_a_human_answers_code_that_nobody_holds() -> None:
    with MemoryApplication([careful]) as application:
        start = StartRun(workflow="careful", version="1", run_id="r", inputs=careful.encode_input({"amount": 7}))
        application.send(start, key="r")
        application.run_until(lambda: steps_of(application)[-1:] == ["step_suspended"])
        payload = Payload(encoding="json", data=b"5")
        request = AnswerQuestion(
            run_id="r", path="careful?0", verb="edit", payload=payload, answered_by="ada", comment="less"
        )
        application.send(request, key="r")
        application.run_until(lambda: application.outcome("r") is not None)
        outcome = application.outcome("r")
        assert isinstance(outcome, RunCompleted)
        assert careful.result(outcome.result) == "edit 5 by ada: less; nobody has answered 'again?' in time"


def test_a_plain_call_of_a_durable_function_is_the_function() -> None:
    class Fake:
        async def run(self, name: str, function: Any, *args: Any) -> Any:
            return await function(*args)

    fake: Any = Fake()
    assert asyncio.run(agent(fake, "why", "fake", 1)) == Answer(text="why; 0 by fake", turns=1)
