"""Child runs that durable code starts: in the run core, and whole families in memory."""

from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.journals.scripts import Life, call, entry_sent, journaled_plan, suspended, wait
from tests.unit.runs.scripts import failed, reclaimed, succeeded, text
from tests.unit.runs.test_forking import forked

from logkeel.errors import CallFailed, DefinitionError, InvalidInput, RunFailed
from logkeel.projection.projection import fold
from logkeel.records import (
    CancelRun,
    ChildCall,
    ChildCompleted,
    FieldValue,
    JournalEntry,
    PauseRun,
    ResumeRun,
    StartRun,
)
from logkeel.runs.core import child_ends, pausing, requests, waking
from logkeel.runs.core.actions import CancelChild, DispatchStep, Ignored, Reject, StartChild
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.answers import answer
from logkeel.runs.core.children import MAX_DEPTH, MAX_DESCENDANTS
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.replay import replay
from logkeel.workflow import ChildOptions, State, StepContext, Workflow, child, durable

HOUR_MS = 3_600_000


def kid(position: str = "0", *, due_ms: int | None = None, **details: Any) -> JournalEntry:
    """The beginning of a wait for a child."""
    return replace(
        wait("child", position, name="other", due_ms=due_ms),
        child=ChildCall(workflow="other", version="7", **details),
        writes=(text("topic", "kafka"),),
    )


def asked_for(life: Life) -> list[StartRun]:
    return [action.request for action in life.turn.actions if isinstance(action, StartChild)]


def given_up(life: Life) -> list[str]:
    return [action.run_id for action in life.turn.actions if isinstance(action, CancelChild)]


def begun(*entries: JournalEntry, plan: Plan | None = None) -> tuple[Life, list[StartRun]]:
    """A run whose code waits for these."""
    life = Life(plan)
    started = []
    for entry in entries:
        answer(life.next(), entry_sent(life.state, entry))
        life.kept()
        started += asked_for(life)
    return life, started


def end(request: StartRun, status: str = "succeeded", **details: Any) -> ChildCompleted:
    parent = request.parent
    assert parent is not None
    return ChildCompleted(
        run_id=parent.run_id,
        incarnation=parent.incarnation,
        path=parent.path,
        number=parent.number,
        child_run_id=request.run_id or "",
        child_incarnation="1-2-3",
        status=status,  # type: ignore[arg-type]  # tests pass literals
        result=(FieldValue(field="letter", revision=3, is_control=True, control="hello"),),
        **details,
    )


def test_a_child_is_asked_for_while_its_code_waits_and_its_result_is_the_outcome() -> None:
    life, (request,) = begun(kid())
    parent = request.parent
    assert parent is not None
    assert (request.workflow, request.version, request.inputs) == ("other", "7", (text("topic", "kafka"),))
    assert (parent.path, parent.number, parent.depth, parent.max_depth) == ("a?0", 4, 1, MAX_DEPTH)
    assert parent.max_descendants == (MAX_DESCENDANTS - 1) // 4
    assert fold(life.history).children == {"a?0": request.run_id}
    answer(life.next(), suspended(life.state, "0"))
    assert life.kept() == ["step_suspended"]
    child_ends.ended(life.next(), end(request, descendants=2))
    assert life.kept() == ["child_ended", "step_dispatched"]
    (sent,) = [action for action in life.turn.actions if isinstance(action, DispatchStep)]
    outcome = sent.journal[0]
    assert (outcome.state, outcome.child and outcome.child.run_id) == ("done", request.run_id)
    assert outcome.child is not None
    assert outcome.child.result[0].control == "hello"
    assert life.state.head.descendants == 3
    assert fold(life.history).waits == {}


def test_it_is_the_same_run_however_often_it_is_asked_for() -> None:
    life, (request,) = begun(kid())
    answer(life.next(), entry_sent(life.state, kid()))
    assert life.kept() == []
    answer(life.next(), reclaimed(life.state, "a", holder_dead=True))
    life.kept()
    assert asked_for(life) == []
    answer(life.next(), entry_sent(life.state, kid(), dispatch=1))
    assert life.kept() == []
    assert begun(kid())[1][0].run_id == request.run_id
    assert len({each.run_id for each in begun(kid("0.0.0"), kid("0.1.0"))[1]}) == 2


def test_the_word_of_a_child_counts_once_and_for_its_wait_alone() -> None:
    life, (request, other) = begun(kid(), kid("1"))
    for word in (
        replace(end(request), number=99),
        replace(end(request), path="a?7"),
        replace(end(request), path="nowhere?0"),
        replace(end(request), incarnation="9-9-9"),
    ):
        child_ends.ended(life.next(), word)
        assert life.kept() == []
        assert isinstance(life.turn.actions[-1], Ignored)
    child_ends.ended(life.next(), end(request))
    assert life.kept() == ["child_ended"]
    child_ends.ended(life.next(), end(request))
    assert life.kept() == []
    # The first had ended before the worker suspended the step, and is not missed.
    answer(life.next(), suspended(life.state, "0", "1"))
    assert life.kept() == ["step_suspended", "step_dispatched"]
    answer(life.next(), succeeded(life.state, "a"))
    assert given_up(life) == [other.run_id]
    life.kept()


@pytest.mark.parametrize(("status", "kind"), [("failed", "fatal"), ("cancelled", "fatal"), ("timed_out", "timeout")])
def test_a_child_that_does_not_succeed_is_a_failed_call(status: str, kind: str) -> None:
    life, (request,) = begun(kid())
    child_ends.ended(life.next(), end(request, status))
    assert life.kept() == ["child_ended"]
    entry = life.state.journal["a", "0"]
    assert entry.error is not None
    assert (entry.state, entry.error.code, entry.error.kind) == ("failed", "child_failed", kind)


@pytest.mark.parametrize("abandon", [False, True])
@pytest.mark.parametrize("how", ["cancelled", "failed", "too late"])
def test_who_waits_no_more_cancels_its_child_unless_it_is_to_go_on(how: str, abandon: bool) -> None:
    life = Life()
    due_ms = life.now_ms + HOUR_MS
    answer(life.next(), entry_sent(life.state, kid(abandon=abandon, due_ms=due_ms)))
    (request,) = asked_for(life)
    life.kept()
    if how == "cancelled":
        requests.cancel(life.next(), CancelRun(run_id="r"), "q")
    elif how == "failed":
        answer(
            life.next(), replace(failed(life.state, "a"), error=replace(failed(life.state, "a").error, kind="fatal"))
        )
    else:
        waking.journal_wait_due(life.next(after_ms=HOUR_MS), "a", "0")
    assert given_up(life) == ([] if abandon else [request.run_id])
    life.kept()
    child_ends.ended(life.next(), end(request, "cancelled"))
    assert life.kept() == []


def test_a_child_outlives_an_attempt_that_is_repeated() -> None:
    life, (request,) = begun(kid())
    answer(life.next(), failed(life.state, "a"))
    assert life.kept() == ["step_failed", "step_retry_scheduled"]
    assert given_up(life) == []
    child_ends.ended(life.next(), end(request))
    assert life.kept() == ["child_ended"]
    waking.step_due(life.next(), "a", 1)
    assert life.kept() == ["step_dispatched"]
    assert life.state.journal["a", "0"].state == "done"


def test_a_paused_run_starts_its_children_when_it_goes_on() -> None:
    life = Life()
    pausing.pause(life.next(), PauseRun(run_id="r"), "q")
    life.kept()
    for entry in (kid("0.0.0"), kid("0.1.0")):
        answer(life.next(), entry_sent(life.state, entry))
        assert life.kept() == ["step_journaled"]
        assert asked_for(life) == []
    answer(life.next(), suspended(life.state, "0.0.0", "0.1.0"))
    life.kept()
    pausing.resume(life.next(), ResumeRun(run_id="r"), "q")
    assert life.kept() == ["run_resumed", "child_started", "child_started"]
    assert [each.parent and each.parent.path for each in asked_for(life)] == ["a?0.0.0", "a?0.1.0"]
    again = life.next()
    pausing.pause(again, PauseRun(run_id="r"), "q")
    life.kept()
    pausing.resume(life.next(), ResumeRun(run_id="r"), "q")
    assert life.kept() == ["run_resumed"]


@pytest.mark.parametrize(
    ("limits", "code"), [({"max_depth": 0}, "child_too_deep"), ({"max_descendants": 0}, "too_many_descendants")]
)
def test_the_limits_of_the_tree_hold_for_code(limits: dict[str, int], code: str) -> None:
    document = replace(journaled_plan().document, **limits)
    life, started = begun(kid(), plan=Plan(document, "digest"))
    assert started == []
    error = life.state.journal["a", "0"].error
    assert error is not None
    assert error.code == code
    answer(life.next(), suspended(life.state, "0"))
    assert life.kept() == ["step_suspended", "step_dispatched"]


def test_a_call_may_say_how_many_runs_there_may_be_below_its_child() -> None:
    document = replace(journaled_plan().document, max_descendants=10)
    _, started = begun(
        kid("0", max_descendants=4), kid("1", max_descendants=0), kid("2", max_descendants=7), kid("3"), call("4"),
        plan=Plan(document, "digest"),
    )  # fmt: skip
    assert [each.parent and each.parent.max_descendants for each in started] == [4, 0, 3]


def test_a_fork_leaves_children_of_code_to_the_run_that_has_started_them() -> None:
    life, (request,) = begun(kid())
    refused = forked(life.history, life.plan)
    assert isinstance(refused, Reject)
    assert (refused.code, "a?0" in refused.reason) == ("child_under_way", True)
    child_ends.ended(life.next(), end(request))
    life.kept()
    turn = forked(life.history, life.plan)
    assert isinstance(turn, Activation)
    assert turn.state.journal["a", "0"].state == "done"
    assert not [action for action in turn.actions if isinstance(action, StartChild)]


def test_a_fork_of_a_paused_run_starts_the_children_that_were_not_started() -> None:
    life = Life()
    pausing.pause(life.next(), PauseRun(run_id="r"), "q")
    life.kept()
    answer(life.next(), entry_sent(life.state, kid()))
    life.kept()
    turn = forked(life.history, life.plan)
    assert isinstance(turn, Activation)
    (request,) = [action.request for action in turn.actions if isinstance(action, StartChild)]
    assert request.parent is not None
    assert request.parent.run_id == "f"
    assert replay(turn.events, life.plan) == turn.state


# Whole families ------------------------------------------------------------------------------------------------------


def further_below() -> "list[Workflow[Any]]":
    return [search, summed]


@durable(children=further_below)
async def research(step: StepContext, topic: str, depth: int = 1) -> list[str]:
    names = [f"{topic}.{number}" for number in range(3)]
    found = await step.gather(*(step.child(search, {"topic": name}) for name in names))
    total = await step.child(summed, {"words": found}, options=ChildOptions(name="sum"))
    return [*found, str(total)]


@durable
async def search(step: StepContext, topic: str) -> str:
    if "bad" in topic:
        raise RuntimeError("nothing to be found")
    await step.sleep("1h")
    return topic.upper()


class Words(State):
    """What is counted."""

    words: list[str]
    total: int | None = None


summed = Workflow("summed", state=Words, returns="total")


@summed.step(writes=lambda s: s.total)
async def add_up(words: list[str]) -> int:
    return sum(map(len, words))


summed.flow(add_up)


async def test_code_starts_runs_side_by_side_and_goes_on_with_what_they_return() -> None:
    assert await research.try_out(topic="a") == ["A.0", "A.1", "A.2", "9"]
    assert set(research.children) == {"search", "summed"}


async def test_a_failed_child_can_be_caught_and_is_told_the_same_way_again() -> None:
    @durable(children=[search])
    async def careful(step: StepContext, topic: str) -> str:
        try:
            return await step.child(search, {"topic": topic})
        except CallFailed as error:
            await step.sleep("1h")
            return f"{error.details['failure_code']} of {error.details['call']}"

    assert await careful.try_out(topic="bad") == "child_failed of search"
    assert await careful.try_out(topic="good") == "GOOD"


async def test_what_the_code_may_not_start_is_told() -> None:
    @durable
    async def undeclared(step: StepContext, topic: str) -> str:
        return await step.child(search, {"topic": topic})

    with pytest.raises(RunFailed, match=r"children=\[search\]"):
        await undeclared.try_out(topic="a")

    @durable(children=[search])
    async def misfit(step: StepContext, topic: str) -> str:
        try:
            return await step.child(search, {"topics": topic})
        except InvalidInput as error:
            return error.message

    assert "topics: is no field" in await misfit.try_out(topic="a")


def itself() -> "list[Workflow[Any]]":
    return [descend]


@durable(children=itself)
async def descend(step: StepContext, depth: int) -> str:
    try:
        return await step.child(descend, {"depth": depth + 1}, options=ChildOptions(max_descendants=100))
    except CallFailed as error:
        return f"{depth}: {error.details['failure_code']}"


async def test_code_that_starts_itself_without_end_ends_at_its_depth() -> None:
    assert await descend.try_out(depth=0) == f"{MAX_DEPTH}: child_too_deep"


class Counted(State):
    """Of a flow whose child is durable code."""

    topic: str
    note: str = ""
    result: list[str] | None = None


async def test_a_block_whose_child_starts_children_by_code_lets_it_do_so() -> None:
    outer = Workflow("outer", state=Counted, returns="result")
    outer.flow(child(research, inputs={"topic": "topic"}, writes="result"))
    assert outer.starts_runs
    assert research.starts_runs
    assert not search.starts_runs
    assert await outer.try_out(topic="a") == ["A.0", "A.1", "A.2", "9"]
    assert set(outer.children) == {"research", "search", "summed"}


def test_children_that_cannot_be_are_told_at_the_definition() -> None:
    workflow = Workflow("counted", state=Counted)
    with pytest.raises(DefinitionError, match="has no journal"):

        @workflow.step(writes=lambda s: s.note, children=[search])
        async def one(topic: str) -> str:
            return topic

    other = Workflow("search", state=Counted)

    @durable(children=[search, other])
    async def two(step: StepContext) -> None:
        """Starts nothing."""

    with pytest.raises(DefinitionError, match="two workflows"):
        _ = two.children
