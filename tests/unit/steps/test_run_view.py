"""A worker hands a step what it asked for, and says what to change where a step looks without asking."""

import time
from typing import Annotated, Any

from msgspec.structs import replace
from tests.unit.steps.commands import SOURCE, command

from logkeel.kafka import SystemClock
from logkeel.records import RunSummary, StepErrorSummary, StepFailed, StepSucceeded
from logkeel.steps.attempt import new_attempt
from logkeel.steps.catalog import StepCatalog
from logkeel.steps.execution import Execution, Outcome
from logkeel.steps.machine.messages import StartStep
from logkeel.steps.resources import ResourcePool
from logkeel.workflow import CHECKED, NONE, RunView, State, StepContext, Workflow

SUMMARY = RunSummary(
    schema_version=2,
    attempts=3,
    completed_steps=("a",),
    errors=(StepErrorSummary(path="b", attempt=1, code="boom", message="it broke"),),
    omitted_steps=7,
)


class Seen(State):
    """What steps have seen."""

    schema_version: int = 2
    seen: list[str] | None = None
    completed_steps: list[str] = []  # noqa: RUF012  # pydantic copies defaults
    error_log: list[str] = []  # noqa: RUF012  # pydantic copies defaults


def workflow() -> "Workflow[Seen]":
    it = Workflow("payments", state=Seen)

    @it.step(writes=lambda s: s.seen)
    async def whole(run: RunView, step: StepContext) -> list[str]:
        assert step.run_view == run
        return [*run.completed_steps, run.errors[0].message, str(run.attempts), str(run.omitted_steps)]

    @it.step(writes=lambda s: s.seen)
    async def fields(completed_steps: list[str], error_log: list[str], schema_version: int) -> list[str]:
        return [*completed_steps, *error_log, str(schema_version)]

    @it.step(writes=lambda s: s.seen)
    async def by_context(step: Annotated[StepContext, RunView]) -> list[str]:
        return list(step.run_view.completed_steps)

    @it.step(effect=CHECKED)
    async def checked() -> None:
        raise AssertionError("the check has found it")

    @checked.check
    async def was_checked(run: RunView) -> bool:
        return run.completed_steps == ("a",)

    @it.step(effect=NONE)
    async def nosy(step: StepContext) -> None:
        step.run_view  # noqa: B018  # looking is what is tested

    it.flow(whole, fields, by_context, checked, nosy)
    return it


async def answer_of(step: str, summary: RunSummary | None, **changes: Any) -> Outcome:
    it = workflow()
    plain = command(0)
    asked = replace(
        plain,
        identity=replace(plain.identity, step=step),
        definition_digest=it.definition().digest,
        run_summary=summary,
        **changes,
    )
    execution = Execution(StepCatalog([it]), SystemClock(), holder="me", resources=ResourcePool(), threads=None)
    start = StartStep(SOURCE, 0, asked, claimed=False)
    now_s = time.monotonic()
    return await execution.answer(new_attempt(start, claimed_at_s=now_s, now_ms=0, now_s=now_s))


async def test_each_way_of_asking_gets_it() -> None:
    wanted = {
        "whole": b'["a","it broke","3","7"]',
        "fields": b'["a","b (attempt 1): it broke (boom)","2"]',
        "by_context": b'["a"]',
    }
    for step, expected in wanted.items():
        outcome = await answer_of(step, SUMMARY)
        assert isinstance(outcome, StepSucceeded), outcome
        assert outcome.writes[0].payload is not None
        assert outcome.writes[0].payload.data == expected


async def test_a_check_may_ask_as_well() -> None:
    outcome = await answer_of("checked", SUMMARY, effect="CHECKED", check_first=True)
    assert isinstance(outcome, StepSucceeded)
    assert outcome.from_check


async def test_looking_without_asking_fails_for_good_and_names_the_remedy() -> None:
    outcome = await answer_of("nosy", None)
    assert isinstance(outcome, StepFailed)
    assert (outcome.error.code, outcome.error.kind) == ("step_signature", "fatal")
    assert "Annotated[StepContext, RunView]" in outcome.error.message


async def test_an_engine_that_knows_no_views_is_named() -> None:
    outcome = await answer_of("whole", None)
    assert isinstance(outcome, StepFailed)
    assert (outcome.error.code, outcome.error.kind) == ("config_invalid", "fatal")
    assert "Upgrade the engines" in outcome.error.message
