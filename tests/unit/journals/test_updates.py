"""`step.update`: fields of the state that durable code writes before its step ends."""

from typing import Annotated, Any

import pytest
from msgspec.structs import replace
from tests.unit.journals.scripts import Life, call, entry_sent, journaled_plan, suspended, wait
from tests.unit.journals.stage import Stage
from tests.unit.runs.scripts import failed, reclaimed, released, text

from logkeel.definitions import WriteDefinition
from logkeel.errors import DefinitionError, RunFailed
from logkeel.projection.projection import fold
from logkeel.records import JournalEntry
from logkeel.runs.core.actions import DispatchStep, Ignored
from logkeel.runs.core.answers import answer
from logkeel.runs.core.plan import Plan
from logkeel.workflow import IDEMPOTENT, Append, Retry, State, StepContext, Workflow, durable, parallel, rescue

FIELD = "b"


def updating_plan(*names: str) -> Plan:
    """Steps with a journal whose code writes `b`."""
    plan = journaled_plan(*(names or ("a",)))
    field = replace(plan.document.fields[-1], name=FIELD)
    steps = tuple(replace(each, updates=(WriteDefinition(field=FIELD),)) for each in plan.document.steps)
    return Plan(replace(plan.document, steps=steps, fields=(*plan.document.fields, field)), "digest")


def update(position: str = "0", value: str = "half", field: str = FIELD) -> JournalEntry:
    return replace(call(position, name=f"update {field}"), writes=(text(field, value),), updates=True)


def said(life: Life) -> Any:
    pointer = life.state.fields.get(("", FIELD))
    return None if pointer is None else pointer.payload


def test_an_update_is_in_the_state_at_once_and_its_value_does_not_travel_with_the_journal() -> None:
    life = Life(updating_plan())
    answer(life.next(), entry_sent(life.state, update()))
    assert life.kept() == ["step_journaled"]
    assert said(life) == text(FIELD, "half").payload
    assert fold(life.history).fields[FIELD].payload == text(FIELD, "half").payload
    answer(life.next(), released(life.state, "a", was_started=True))
    life.kept()
    (sent,) = [action for action in life.turn.actions if isinstance(action, DispatchStep)]
    assert [(entry.name, entry.updates, entry.writes) for entry in sent.journal] == [("update b", True, ())]


def test_an_update_that_comes_twice_or_late_is_written_once() -> None:
    life = Life(updating_plan())
    answer(life.next(), entry_sent(life.state, update()))
    life.kept()
    answer(life.next(), entry_sent(life.state, update("1", "more")))
    life.kept()
    for again in (update(), update(value="other")):
        answer(life.next(), entry_sent(life.state, again))
        assert life.kept() == []
    answer(life.next(), reclaimed(life.state, "a", holder_dead=True))
    life.kept()
    answer(life.next(), entry_sent(life.state, update("1", "more"), dispatch=1))
    assert life.kept() == [], "a duplicate, and no orphan"
    answer(life.next(), entry_sent(life.state, update("2", "zombie"), dispatch=1))
    assert life.kept() == ["answer_ignored"]
    assert said(life) == text(FIELD, "more").payload


def test_a_field_that_the_step_does_not_declare_is_not_written() -> None:
    life = Life(updating_plan())
    answer(life.next(), entry_sent(life.state, update(field="topic")))
    assert life.kept() == []
    assert isinstance(life.turn.actions[-1], Ignored)


def test_the_state_when_it_failed_has_what_was_written() -> None:
    life = Life(updating_plan())
    answer(life.next(), entry_sent(life.state, update()))
    life.kept()
    answer(life.next(), replace(failed(life.state, "a"), error=replace(failed(life.state, "a").error, kind="fatal")))
    assert life.kept()[-1] == "run_completed"
    assert said(life) == text(FIELD, "half").payload


def test_an_update_beside_a_wait_is_kept_over_the_suspension() -> None:
    life = Life(updating_plan())
    for entry in (update(), wait("signal", "1")):
        answer(life.next(), entry_sent(life.state, entry))
        life.kept()
    answer(life.next(), suspended(life.state, "1"))
    life.kept()
    assert life.state.journal["a", "0"].updates
    assert said(life) is not None


# The worker ----------------------------------------------------------------------------------------------------------


class Report(State):
    """What is written."""

    topic: str
    progress: float | None = None
    notes: Annotated[list[str], Append] = []  # noqa: RUF012  # pydantic copies defaults
    report: str | None = None


def step_of(name: str) -> str:
    return f"note {name}"


def writer() -> "Workflow[Report]":
    workflow = Workflow("writer", state=Report, returns=("progress", "notes", "report"))

    @workflow.step(
        writes=lambda s: s.report,
        updates=lambda s: (s.progress, s.notes),
        journal=True,
        retry=Retry(max_attempts=3, initial="1s"),
    )
    async def write(topic: str, step: StepContext) -> str:
        for number in range(1, 4):
            note = await step.run("note", step_of, f"{topic} {number}")
            await step.update(progress=number / 4, notes=[note])
            if topic == "hard" and step.attempt < number:
                raise RuntimeError("broken")
        await step.sleep("1h")
        return topic.upper()

    workflow.flow(write)
    return workflow


@pytest.mark.parametrize("topic", ["easy", "hard"])
async def test_code_writes_fields_once_whatever_happens_to_its_executions(topic: str) -> None:
    notes = [f"note {topic} {number}" for number in range(1, 4)]
    assert await writer().try_out(topic=topic) == {"progress": 0.75, "notes": notes, "report": topic.upper()}


@pytest.mark.parametrize("kept", range(6))
def test_an_execution_that_dies_anywhere_writes_what_is_not_written_yet(kept: int) -> None:
    stage = Stage(writer(), topic="easy")
    assert stage.execute(lose_after=kept) is None
    before = list(stage.sent)
    stage.execute()
    updates = [entry for entry in stage.sent if entry.updates]
    assert stage.sent[: len(before)] == before
    assert len(updates) == 3
    assert [write.operation for entry in updates for write in entry.writes] == ["replace", "append"] * 3


async def test_what_comes_behind_sees_updates_of_a_step_that_failed() -> None:
    workflow = Workflow("rescued", state=Report, returns="report")

    @workflow.step(writes=lambda s: s.report, updates=lambda s: s.progress, journal=True, retry=Retry(max_attempts=1))
    async def write(topic: str, step: StepContext) -> str:
        await step.update(progress=0.5)
        raise RuntimeError("broken")

    @workflow.step(writes=lambda s: s.report)
    async def explain(progress: float | None) -> str:
        return f"broken at {progress}"

    workflow.flow(rescue(write, on={"*": explain}))
    assert await workflow.try_out(topic="x") == "broken at 0.5"


async def test_a_durable_function_declares_fields_of_its_own() -> None:
    @durable(updates={"progress": float})
    async def counted(step: StepContext, steps: int) -> int:
        for number in range(steps):
            await step.update(progress=(number + 1) / steps)
        return steps

    trial = await counted.trial(steps=4)
    assert trial.value() == 4
    assert {field.name for field in counted.document().fields} == {"steps", "progress", "result"}
    with pytest.raises(DefinitionError, match="'steps', which is a parameter"):

        @durable(updates={"steps": int})
        async def clashing(step: StepContext, steps: int) -> int:
            return steps


async def test_what_may_not_be_written_is_told() -> None:
    @durable(updates={"progress": float})
    async def wrong(step: StepContext, what: str) -> None:
        if what == "unknown":
            await step.update(other=1)
        elif what == "nothing":
            await step.update()
        else:
            await step.update(progress="much")

    with pytest.raises(RunFailed, match="other: is not declared with updates="):
        await wrong.try_out(what="unknown")
    with pytest.raises(RunFailed, match="it updates nothing"):
        await wrong.try_out(what="nothing")
    with pytest.raises(RunFailed, match="progress: "):
        await wrong.try_out(what="misfit")


def test_mistakes_are_told_at_the_definition() -> None:
    workflow = Workflow("mistakes", state=Report, returns="report")
    with pytest.raises(DefinitionError, match="has no journal"):

        @workflow.step(writes=lambda s: s.report, updates=lambda s: s.progress)
        async def one(topic: str) -> str:
            return topic

    with pytest.raises(DefinitionError, match="and reads it"):

        @workflow.step(writes=lambda s: s.report, updates=lambda s: s.progress, journal=True)
        async def two(progress: float | None, step: StepContext) -> str:
            return f"{progress}"

    with pytest.raises(DefinitionError, match="updates= names 'other'"):

        @workflow.step(writes=lambda s: s.report, updates=lambda s: s.other, journal=True)
        async def three(step: StepContext) -> str:
            return ""


def test_branches_may_not_update_one_field() -> None:
    workflow = Workflow("branches", state=Report, returns="report")

    @workflow.step(effect=IDEMPOTENT, updates=lambda s: s.progress, journal=True)
    async def one(topic: str, step: StepContext) -> None:
        await step.update(progress=0.1)

    @workflow.step(effect=IDEMPOTENT, updates=lambda s: s.progress, journal=True)
    async def two(topic: str, step: StepContext) -> None:
        await step.update(progress=0.2)

    with pytest.raises(DefinitionError, match="progress"):
        workflow.flow(parallel(one, two))


async def test_a_branch_brings_what_it_has_updated_to_the_join() -> None:
    workflow = Workflow("joined", state=Report, returns=("progress", "notes"))

    @workflow.step(effect=IDEMPOTENT, updates=lambda s: (s.progress, s.notes), journal=True)
    async def one(topic: str, step: StepContext) -> None:
        await step.update(progress=0.1, notes=["one"])

    @workflow.step(effect=IDEMPOTENT, updates=lambda s: s.notes, journal=True)
    async def two(topic: str, step: StepContext) -> None:
        await step.sleep("1h")
        await step.update(notes=["two"])

    workflow.flow(parallel(two, one))
    assert await workflow.try_out(topic="x") == {"progress": 0.1, "notes": ["two", "one"]}


def test_a_definition_without_updates_keeps_its_digest() -> None:
    @durable
    async def plain(step: StepContext) -> int:
        return 1

    assert b"updates" not in plain.definition().document
