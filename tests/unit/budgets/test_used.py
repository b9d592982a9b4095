"""What steps report, by the production engine and worker in memory."""

import asyncio
from typing import Any

import pytest

from logkeel.errors import RunFailed
from logkeel.workflow import Budget, Fail, Retry, State, StepContext, Workflow, current_step, durable, parallel, rescue
from logkeel.workflow.trials import Trial


class Page(State):
    """What is written about."""

    topic: str
    first: str | None = None
    second: str | None = None
    third: str | None = None


def pages(limit: int, *, reported: int | None = 30) -> "Workflow[Page]":
    """Three steps of at most 40 tokens each."""
    wf = Workflow("pages", state=Page, budgets=[Budget("tokens", limit)], returns="third")

    async def write(topic: str, step: StepContext) -> str:
        if reported is not None:
            step.used(tokens=reported - 10)
            step.used(tokens=10)
        return f"about {topic}"

    first = wf.step(writes=lambda s: s.first, uses={"tokens": 40}, name="first")(write)
    second = wf.step(writes=lambda s: s.second, uses={"tokens": 40}, name="second")(write)
    third = wf.step(writes=lambda s: s.third, uses={"tokens": 40}, name="third")(write)
    wf.flow(parallel(first, second), third)
    return wf


def tried(workflow: "Workflow[Any]", **inputs: Any) -> Trial:
    """A run of it in memory."""
    return asyncio.run(workflow.trial(inputs))


def tried_with(workflow: "Workflow[Any]", humans: dict[str, Any], **inputs: Any) -> Trial:
    """The same, with people."""
    return asyncio.run(workflow.trial(inputs, humans=humans))


def settled(trial: Trial) -> dict[str, int]:
    """What counts as used in the end."""
    found: dict[str, int] = {}
    for event in trial.events:
        if event.kind not in ("step_dispatched", "question_answered"):
            for unit, amount in event.amounts.items():
                found[unit] = found.get(unit, 0) + amount
    return found


def test_what_is_reported_is_added_up_and_lets_the_next_step_begin() -> None:
    trial = tried(pages(100), topic="logs")
    assert (trial.status, settled(trial)) == ("succeeded", {"tokens": 90})


def test_silent_steps_count_with_all_they_reserved_so_the_third_finds_too_little() -> None:
    trial = tried(pages(100, reported=None), topic="logs")
    assert (trial.status, settled(trial)) == ("failed", {"tokens": 80})
    assert trial.error is not None
    assert trial.error.code == "budget_exhausted"
    with pytest.raises(RunFailed, match="of the 100 of this run 20 are left"):
        trial.value()


def test_a_failed_call_costs_and_rescue_may_do_with_less() -> None:
    wf = Workflow("costly", state=Page, budgets=[Budget("tokens", 100)], returns="second")

    @wf.step(writes=lambda s: s.first, uses={"tokens": 60}, retry=Retry(max_attempts=5))
    def think(topic: str, step: StepContext) -> str:
        step.used(tokens=50)
        raise ConnectionError("cut off in the middle")

    @wf.step(writes=lambda s: s.second, uses={"tokens": 10})
    def look_up(topic: str, step: StepContext) -> str:
        step.used(tokens=1)
        return topic

    wf.flow(rescue(think, on={"budget_exhausted": look_up}))
    trial = tried(wf, topic="logs")
    assert (trial.status, trial.result, settled(trial)) == ("succeeded", "logs", {"tokens": 51})
    assert [event.kind for event in trial.events].count("step_failed") == 1


def test_durable_code_tells_behind_its_calls_and_is_counted_once() -> None:
    tries = 0

    async def ask(question: str) -> int:
        return len(question)

    @durable(budgets=[Budget("tokens", 100)], uses={"tokens": 80}, retry=Retry(max_attempts=2))
    async def agent(step: StepContext, question: str) -> int:
        nonlocal tries
        tries += 1
        spent = await step.run("model", ask, question)
        step.used(tokens=spent)
        await step.sleep("1h")
        if tries <= 2:
            raise ConnectionError("the second execution fails, the third one goes on by the journal")
        step.used(tokens=await step.run("model", ask, question))
        return spent

    trial = tried(agent, question="how?")
    assert (trial.status, settled(trial)) == ("succeeded", {"tokens": 8})


@pytest.mark.parametrize("amount", [-1, 0.5, True, 10**16])
def test_amounts_are_whole_numbers(amount: Any) -> None:
    wf = Workflow("wrong", state=Page, returns="first")

    @wf.step(writes=lambda s: s.first)
    def think(topic: str, step: StepContext) -> str:
        step.used(tokens=amount)
        return topic

    wf.flow(think)
    trial = tried(wf, topic="logs")
    assert trial.error is not None
    assert "amounts are whole numbers" in trial.error.message


def test_a_journaled_call_may_not_tell_since_it_is_not_made_again() -> None:
    async def ask(question: str) -> str:
        current_step().used(tokens=3)
        return question

    @durable(budgets=[Budget("tokens", 100)], uses={"tokens": 80})
    async def agent(step: StepContext, question: str) -> str:
        return await step.run("model", ask, question)

    trial = tried(agent, question="how?")
    assert trial.error is not None
    assert "behind step.run" in trial.error.message


def test_a_step_that_gives_up_has_used_what_it_says() -> None:
    wf = Workflow("short", state=Page, budgets=[Budget("tokens", 100)], returns="first")

    @wf.step(writes=lambda s: s.first, uses={"tokens": 60})
    def think(topic: str, step: StepContext) -> str:
        step.used(tokens=7)
        raise Fail("no_answer", "the model has none")

    wf.flow(think)
    assert settled(tried(wf, topic="logs")) == {"tokens": 7}
