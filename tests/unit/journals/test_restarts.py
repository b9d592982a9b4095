"""`step.restart_with`: durable code that begins anew, with what it says and without its journal."""

from typing import Annotated

import pytest
from msgspec.structs import replace
from tests.unit.journals.scripts import Life, call, entry_sent, journaled_plan, suspended, wait
from tests.unit.journals.stage import Stage
from tests.unit.runs.scripts import T0, failed, succeeded, text

from logkeel.errors import DefinitionError, RunFailed
from logkeel.projection.projection import fold
from logkeel.records import (
    ChildCall,
    ChildCompleted,
    PauseRun,
    ResumeRun,
    StartRun,
    StepFailed,
    StepSucceeded,
    StepSuspended,
)
from logkeel.runs.core import child_ends, pausing, waking
from logkeel.runs.core.actions import CancelChild, ClearTimer, DispatchStep, Ignored, StartChild
from logkeel.runs.core.answers import answer
from logkeel.runs.core.journal_timers import timer_path
from logkeel.runs.core.plan import Plan
from logkeel.runs.processor.commands import command_of
from logkeel.workflow import Append, State, StepContext, Workflow, durable


def restarting_plan() -> Plan:
    plan = journaled_plan()
    steps = tuple(replace(each, restarts=("topic",)) for each in plan.document.steps)
    return Plan(replace(plan.document, steps=steps), "digest")


def restart(life: Life, value: str = "next", *, dispatch: int | None = None) -> StepSuspended:
    return replace(suspended(life.state, dispatch=dispatch), restarts=True, writes=(text("topic", value),))


def key_of(life: Life) -> str:
    (sent,) = [action for action in life.turn.actions if isinstance(action, DispatchStep)]
    return command_of(life.state, life.plan, sent, partition=0, details=None).idempotency_key


def test_the_next_execution_has_nothing_behind_it() -> None:
    life = Life(restarting_plan())
    first = key_of(life)
    due_ms = T0 + 9_000_000
    for entry in (call("0"), wait("sleep", "1.0.0", due_ms=due_ms)):
        answer(life.next(), entry_sent(life.state, entry))
        life.kept()
    message = restart(life)
    answer(life.next(), message)
    assert life.kept() == ["step_restarted", "step_dispatched"]
    assert ClearTimer("journal", due_ms, timer_path("a", "1.0.0")) in life.turn.actions
    (sent,) = [action for action in life.turn.actions if isinstance(action, DispatchStep)]
    assert sent.journal == ()
    assert [each.payload for each in sent.inputs] == [text("topic", "next").payload]
    assert key_of(life) != first
    step = life.state.steps["a"]
    assert (step.attempt, step.dispatch, step.failures, step.restarts) == (1, 2, 0, 1)
    assert not life.state.journal
    assert not life.state.journal_waits
    # Twice, and late.
    answer(life.next(), message)
    assert life.kept() == []
    assert isinstance(life.turn.actions[-1], Ignored)
    answer(life.next(), entry_sent(life.state, call("2"), dispatch=1))
    assert life.kept() == ["answer_ignored"]
    answer(life.next(), succeeded(life.state, "a"))
    assert life.kept()[-1] == "run_completed"
    assert fold(life.history).status == "succeeded"


def test_failures_before_a_restart_do_not_count_behind_it() -> None:
    life = Life(restarting_plan())
    for _ in range(5):
        answer(life.next(), failed(life.state, "a"))
        assert life.kept() == ["step_failed", "step_retry_scheduled"]
        waking.step_due(life.next(after_ms=60_000), "a", life.state.steps["a"].dispatch)
        life.kept()
        answer(life.next(), restart(life))
        assert life.kept() == ["step_restarted", "step_dispatched"]


def test_a_paused_run_begins_anew_when_it_goes_on() -> None:
    life = Life(restarting_plan())
    pausing.pause(life.next(), PauseRun(run_id="r"), "q")
    life.kept()
    answer(life.next(), restart(life))
    assert life.kept() == ["step_restarted", "step_held"]
    pausing.resume(life.next(), ResumeRun(run_id="r"), "q")
    assert life.kept() == ["run_resumed", "step_dispatched"]


def test_children_are_given_up_and_those_started_anew_are_others() -> None:
    life = Life(restarting_plan())
    child = replace(wait("child", name="other"), child=ChildCall(workflow="other", version="7"))
    requests: list[StartRun] = []
    for _ in range(2):
        answer(life.next(), entry_sent(life.state, child))
        requests += [action.request for action in life.turn.actions if isinstance(action, StartChild)]
        life.kept()
        answer(life.next(), restart(life))
        assert [each.run_id for each in life.turn.actions if isinstance(each, CancelChild)] == [requests[-1].run_id]
        life.kept()
        assert fold(life.history).waits == {}
    assert requests[0].run_id != requests[1].run_id
    answer(life.next(), entry_sent(life.state, child))
    life.kept()
    parent = requests[0].parent
    assert parent is not None
    word = ChildCompleted(
        run_id="r",
        incarnation=parent.incarnation,
        path=parent.path,
        number=parent.number,
        child_run_id=requests[0].run_id or "",
        status="cancelled",
    )
    child_ends.ended(life.next(), word)
    assert life.kept() == [], "the word of a child of before is for nobody"


# The worker ----------------------------------------------------------------------------------------------------------

made: list[str] = []


async def model(turn: int, *, idempotency_key: str = "") -> str:
    made.append(idempotency_key)
    return f"said {turn}"


@durable(restarts=True, updates={"turns": int})
async def endless(step: StepContext, turn: int = 0, said: list[str] | None = None) -> list[str]:
    """Two calls in each life."""
    said = list(said or ())
    for _ in range(2):
        said.append(await step.run("model", model, turn))
        turn += 1
    await step.update(turns=turn)
    if turn < 8:
        await step.sleep("1h")
        await step.restart_with(turn=turn, said=said)
    return said


async def test_code_without_end_goes_on_from_life_to_life() -> None:
    made.clear()
    trial = await endless.trial()
    assert trial.value() == [f"said {turn}" for turn in range(8)]
    assert len(set(made)) == 8, "the same call of another life is another call"


@pytest.mark.parametrize("kept", range(4))
def test_a_life_that_dies_before_its_end_is_gone_on_with(kept: int) -> None:
    stage = Stage(endless)
    assert stage.execute(lose_after=kept) is None
    stage.execute()
    stage.clock.sleep(3_600)
    outcome = stage.execute()
    assert isinstance(outcome, StepSuspended)
    assert (outcome.restarts, [write.field for write in outcome.writes]) == (True, ["turn", "said"])
    assert len({entry.position for entry in stage.sent}) == 4


def outcome_of(workflow: "Workflow[object]", **inputs: object) -> StepFailed:
    outcome = Stage(workflow, **inputs).execute()
    assert isinstance(outcome, StepFailed), outcome
    return outcome


def test_what_cannot_begin_anew_is_told() -> None:
    @durable(restarts=True)
    async def wrong(step: StepContext, what: str) -> None:
        async def inner() -> None:
            await step.restart_with(what="x")

        if what == "gather":
            await step.gather(inner())
        await step.restart_with(**{what: 1})

    assert "inside of a gather" in outcome_of(wrong, what="gather").error.message
    assert "other: is not declared with restarts=" in outcome_of(wrong, what="other").error.message
    assert "what: " in outcome_of(wrong, what="what").error.message

    @durable
    async def undeclared(step: StepContext, what: str) -> None:
        await step.restart_with()

    assert "restarts=" in outcome_of(undeclared, what="x").error.message


def test_code_that_begins_anew_before_calls_of_its_journal_went_another_way() -> None:
    ways = ["call", "restart"]

    @durable(restarts=True)
    async def changed(step: StepContext, what: str) -> None:
        if ways.pop(0) == "call":
            await step.run("model", model, 1)
            await step.sleep("1h")
        await step.restart_with(what="x")

    stage = Stage(changed, what="a")
    stage.execute()
    outcome = stage.execute()
    assert isinstance(outcome, StepFailed)
    assert outcome.error.code == "journal_diverged"


class Talk(State):
    """Of a flow."""

    who: str
    messages: Annotated[list[str], Append] = []  # noqa: RUF012  # pydantic copies defaults
    summary: str | None = None


async def test_a_step_in_a_flow_begins_anew_with_a_field_that_is_kept_by_element() -> None:
    workflow = Workflow("talk", state=Talk, returns=("messages", "summary"))

    @workflow.step(writes=lambda s: s.summary, restarts=lambda s: s.messages, journal=True)
    async def talk(who: str, messages: list[str], step: StepContext) -> str:
        if len(messages) < 3:
            await step.restart_with(messages=[*messages, f"{who} {len(messages)}"])
        return f"{len(messages)} messages"

    workflow.flow(talk)
    assert await workflow.try_out(who="ann") == {"messages": ["ann 0", "ann 1", "ann 2"], "summary": "3 messages"}


def test_a_field_that_it_does_not_read_is_nothing_to_begin_with() -> None:
    workflow = Workflow("other", state=Talk)
    with pytest.raises(DefinitionError, match="does not read it"):

        @workflow.step(writes=lambda s: s.summary, restarts=lambda s: s.messages, journal=True)
        async def blind(who: str, step: StepContext) -> str:
            return who


async def test_a_restart_that_raises_is_no_restart() -> None:
    @durable(restarts=True)
    async def bad(step: StepContext, number: int) -> None:
        await step.restart_with(number="many")

    with pytest.raises(RunFailed, match="number: "):
        await bad.try_out(number=1)


def test_results_are_no_restarts() -> None:
    @durable
    async def plain(step: StepContext) -> int:
        return 1

    assert b"restarts" not in plain.definition().document
    assert isinstance(Stage(plain).execute(), StepSucceeded)
