"""Failed elements of each blocks, retried: only they run again, as many at a time as may, and the flow goes on."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.projection.test_waits import assert_waits_agree
from tests.unit.runs.flows import ADDED, Flow, plan_with
from tests.unit.runs.sagas import SagaFlow, saga_of
from tests.unit.runs.scripts import flow_of, step_block, succeeded

from logkeel.definitions import (
    Block,
    ChildBlock,
    EachBlock,
    Handler,
    HumanBlock,
    LoopBlock,
    ParallelBlock,
    RescueBlock,
    SleepBlock,
    WithinBlock,
)
from logkeel.projection.projection import fold
from logkeel.records import RunEvent, StepSucceeded
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.answers import answer
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.redeciding import redecide

HOUR_MS = 3_600_000
a, b, c = (step_block(name) for name in "abc")


def each(body: Block = a, **details: Any) -> EachBlock:
    """The body for every document; its field `a` is collected, errors are too."""
    known: dict[str, Any] = {"id": "docs", "items": "docs", "value": "a", "collect": "results", "failed": "failed"}
    return EachBlock(body=body, item="doc", **{**known, "concurrency": 2, **details})


def run(*blocks: Block, docs: tuple[str, ...] = ("x", "y", "z")) -> Flow:
    """A run of these blocks that has begun."""
    return Flow(plan_with(flow_of(*blocks)), docs)


def work(flow: Flow, *failing: str) -> None:
    """Every open step succeeds, but those that are called so fail for good."""
    while flow.open_steps:
        path = flow.open_steps[0]
        if path in failing:
            flow.fail(path)
        else:
            flow.succeed(path)
        checked(flow)


def checked(flow: Flow) -> None:
    """History is state, and the view agrees."""
    flow.check()
    assert_waits_agree(fold(flow.history), flow.state)
    found = redecide(flow.history, flow.plan)
    assert found.divergence is None, found.divergence
    assert not found.not_compared


def retried(flow: Flow) -> list[RunEvent]:
    """Retries the run; what was dispatched at once."""
    before = len(flow.history)
    assert flow.retry() is None
    checked(flow)
    return flow.history[before:]


def refused(flow: Flow) -> str:
    """The code of the refusal."""
    rejected = flow.retry()
    assert rejected is not None
    assert "logkeel run fork" in rejected.reason, rejected.reason
    return rejected.code


def done(flow: Flow) -> list[str | None]:
    """Steps, in the order in which they succeeded."""
    return [event.path for event in flow.history if event.kind == "step_succeeded"]


def test_failed_elements_of_the_last_block_are_retried_although_the_run_succeeded() -> None:
    flow = run(each())
    work(flow, "docs[0]/a", "docs[2]/a")
    assert flow.status == "succeeded"
    assert [key for key, _ in flow.elements("failed")] == ["0", "2"]
    retried(flow)
    assert flow.open_steps == ["docs[0]/a", "docs[2]/a"]
    assert not flow.elements("failed"), "whoever is tried again has not failed"
    work(flow)
    assert (flow.status, flow.completions, flow.state.head.retries) == ("succeeded", 2, 1)
    assert [key for key, _ in flow.elements("results")] == ["0", "1", "2"], "in the order of the elements"
    assert sorted(map(str, done(flow))) == [f"docs[{number}]/a" for number in range(3)], "each once"
    assert flow.retry() is not None


def test_the_state_is_in_the_end_as_if_nothing_had_failed() -> None:
    flow, smooth = run(each(), docs=tuple("abcdef")), run(each(), docs=tuple("abcdef"))
    work(smooth)
    work(flow, "docs[1]/a", "docs[4]/a", "docs[5]/a")
    retried(flow)
    work(flow, "docs[4]/a")
    retried(flow)
    work(flow)
    for field in ("results", "failed"):
        assert flow.elements(field) == smooth.elements(field)


def test_no_more_begin_again_than_may_be_open() -> None:
    flow = run(each(concurrency=2), docs=tuple("abcde"))
    work(flow, *(f"docs[{number}]/a" for number in range(5)))
    retried(flow)
    assert flow.open_steps == ["docs[0]/a", "docs[1]/a"]
    assert [key for key, _ in flow.elements("failed")] == ["2", "3", "4"], "their errors stand until they begin again"
    flow.fail("docs[1]/a")
    checked(flow)
    assert flow.open_steps == ["docs[0]/a", "docs[2]/a"]
    work(flow)
    assert [key for key, _ in flow.elements("failed")] == ["1"]


def test_a_run_that_ends_before_all_have_begun_again_goes_on_with_the_others() -> None:
    flow = run(ParallelBlock(id="both", branches=(each(concurrency=1), b)))
    work_on = ("both/docs[0]/a", "both/docs[1]/a")
    for path in work_on:
        flow.fail(path)
    flow.fail("both/b")
    assert flow.status == "failed"
    retried(flow)
    assert flow.open_steps == ["both/b", "both/docs[2]/a"], "what was open has the place"
    flow.fail("both/b")
    assert flow.status == "failed"
    checked(flow)
    retried(flow)
    work(flow)
    assert flow.status == "succeeded"
    assert not flow.elements("failed")
    assert len(done(flow)) == 4


def test_a_run_that_failed_since_too_many_had_goes_on_with_those_and_the_rest() -> None:
    flow = run(each(max_failures=1), c, docs=tuple("abcde"))
    flow.fail("docs[0]/a")
    flow.fail("docs[1]/a")
    assert flow.status == "failed"
    checked(flow)
    events = retried(flow)
    assert flow.revoked == ["docs[2]/a"]
    assert flow.open_steps == ["docs[0]/a", "docs[2]/a"], "one of them was cut off, and has its place still"
    assert [event.path for event in events if event.kind == "step_dispatched"] == ["docs[2]/a", "docs[0]/a"]
    work(flow)
    assert flow.status == "succeeded"
    assert done(flow)[-1] == "c"
    assert len(flow.elements("results")) == 5


def test_what_is_done_in_an_element_stays_done_and_what_it_wrote_is_there() -> None:
    flow = run(each(flow_of(a, b), value="b"), docs=("x", "y"))
    flow.succeed("docs[0]/a", writes=ADDED[1:])
    flow.fail("docs[0]/b")
    work(flow)
    assert flow.status == "succeeded"
    retried(flow)
    assert flow.open_steps == ["docs[0]/b"]
    assert flow.state.fields["docs[0]#element", "a"].payload is not None
    work(flow)
    assert flow.value("total") == 1, "a number that got out counts once"
    assert [text for _, text in flow.elements("results")] == [f'"by docs[{number}]/b"' for number in range(2)]


def test_what_runs_beside_the_failure_in_the_element_runs_again_too() -> None:
    nap = SleepBlock(id="nap", duration_ms=9 * HOUR_MS)
    ask = HumanBlock(id="ok", question="?", writes="decision", timeout_ms=HOUR_MS)
    late = WithinBlock(id="hour", timeout_ms=HOUR_MS, body=c)
    flow = run(each(ParallelBlock(id="all", branches=(a, b, nap, ask, late))), docs=("x", "y"))
    slept_until_ms = flow.state.waits["docs[0]/all/nap"].due_ms
    flow.succeed("docs[0]/all/a")
    flow.now_ms += HOUR_MS // 4
    flow.fail("docs[0]/all/b")
    checked(flow)
    assert {path.split("]")[0] for path in (*flow.waits, *flow.open_steps)} == {"docs[1"}
    flow.now_ms += 5 * HOUR_MS
    flow.fail("docs[1]/all/a")
    assert flow.status == "succeeded"
    flow.now_ms += HOUR_MS
    retried(flow)
    assert [path for path in flow.open_steps if "[0]" in path] == ["docs[0]/all/b", "docs[0]/all/hour/c"]
    waits = flow.state.waits
    assert waits["docs[0]/all/nap"].due_ms == slept_until_ms, "a sleep ends when it was to end"
    assert waits["docs[0]/all/ok"].due_ms == flow.now_ms + HOUR_MS, "it is asked anew"
    assert waits["docs[0]/all/hour"].due_ms == flow.now_ms + HOUR_MS * 3 // 4, "the time in between does not count"


def test_what_follows_was_done_without_them_so_it_is_refused() -> None:
    flow = run(each(), c)
    work(flow, "docs[1]/a")
    assert flow.status == "succeeded"
    assert refused(flow) == "flow_has_gone_on"
    checked(flow)


def test_a_run_that_failed_behind_the_block_goes_on_there() -> None:
    flow = run(each(), c)
    work(flow, "docs[1]/a", "c")
    assert flow.status == "failed"
    retried(flow)
    assert flow.open_steps == ["c"]
    assert [key for key, _ in flow.elements("failed")] == ["1"]
    work(flow)
    assert flow.status == "succeeded"


@pytest.mark.parametrize(
    "body",
    [
        LoopBlock(id="loop", body=a, max_rounds=1, on_exhausted="fail"),
        WithinBlock(id="hour", timeout_ms=HOUR_MS, body=SleepBlock(id="nap", duration_ms=9 * HOUR_MS)),
    ],
)
@pytest.mark.parametrize("most", [None, 0])
def test_elements_that_failed_at_nothing_that_could_be_tried_again_stay_failed(body: Block, most: int | None) -> None:
    flow = run(each(body, max_failures=most), docs=("x",))
    for path in flow.open_steps:
        flow.succeed(path)
    if flow.timers:
        flow.fire_next()
    assert flow.status == ("succeeded" if most is None else "failed")
    assert refused(flow) == "elements_have_failed"
    checked(flow)


def test_children_of_elements_are_told_to_go_on() -> None:
    kid = ChildBlock(id="kid", workflow="other", version="1", returns="letter", writes="letter")
    flow = run(each(ParallelBlock(id="all", branches=(kid, a))), docs=("x", "y"))
    flow.end_child("docs[0]/all/kid", "failed")
    flow.fail("docs[1]/all/a")
    assert flow.status == "succeeded"
    retried(flow)
    assert flow.waits == ["docs[0]/all/kid", "docs[1]/all/kid"]
    assert [each.parent is not None and each.parent.again for each in flow.started] == [False, False, True, True]
    assert {each.run_id for each in flow.started[:2]} == {each.run_id for each in flow.started[2:]}
    for path in ("docs[0]/all/kid", "docs[1]/all/kid"):
        flow.end_child(path)
    work(flow)
    assert flow.status == "succeeded"
    assert not flow.elements("failed")
    checked(flow)


def test_elements_of_which_some_can_go_on_and_too_many_cannot_are_refused() -> None:
    body = LoopBlock(id="loop", body=a, max_rounds=1, on_exhausted="fail")
    flow = run(each(body, max_failures=0, concurrency=3))
    flow.succeed("docs[0]/loop[1]/a")
    assert flow.status == "failed"
    assert refused(flow) == "elements_have_failed"


def test_what_was_undone_in_an_element_is_not_taken_up_again() -> None:
    flow = SagaFlow(flow_of(each(saga_of(flow_of(a, b)))))
    while flow.open_steps:
        path = flow.open_steps[0]
        if path.endswith("]/saga/b"):
            flow.fail(path)
            flow.undo_all()
        else:
            flow.succeed(path)
    assert flow.status == "succeeded"
    assert refused(flow) == "elements_have_failed"
    flow.check()


def test_elements_in_elements_go_on_where_they_failed() -> None:
    inside = each(a, id="inner", max_failures=0, collect=None, value=None, failed=None)
    flow = run(each(inside, collect=None, value=None, concurrency=1), docs=("x", "y"))
    flow.succeed("docs[0]/inner[0]/a")
    flow.fail("docs[0]/inner[1]/a")
    checked(flow)
    work(flow)
    assert [key for key, _ in flow.elements("failed")] == ["0"]
    assert flow.status == "succeeded"
    retried(flow)
    assert flow.open_steps == ["docs[0]/inner[1]/a"]
    work(flow, "docs[0]/inner[1]/a")
    retried(flow)
    work(flow)
    assert flow.status == "succeeded"
    assert len(done(flow)) == 4
    assert not flow.elements("failed")


def test_what_a_rescue_has_caught_stays_caught() -> None:
    body = RescueBlock(id="catch", body=each(max_failures=0), handlers=(Handler(on="*", block=b),))
    flow = run(body, c)
    flow.fail("catch/docs[0]/a")
    assert flow.open_steps == ["catch/b"]
    assert not flow.state.failed_elements
    flow.succeed("catch/b")
    flow.fail("c")
    retried(flow)
    assert flow.open_steps == ["c"]


def test_a_paused_run_holds_elements_back_and_a_retry_ends_the_pause() -> None:
    flow = run(each(), docs=("x", "y"))
    work(flow, "docs[0]/a", "docs[1]/a")
    retried(flow)
    flow.pause()
    flow.fail("docs[0]/a")
    checked(flow)
    flow.resume()
    checked(flow)
    work(flow)
    retried(flow)
    work(flow)
    assert not flow.elements("failed")


@pytest.mark.parametrize("is_late", [True, False])
def test_an_effect_in_an_element_that_was_cut_off_is_not_repeated_blindly(is_late: bool) -> None:
    """P35: also if its success was told when the element had failed, while the run went on."""
    flow = Flow(once(run(each(ParallelBlock(id="all", branches=(a, b)))).plan, "b"), ("x", "y"))
    late = succeeded(flow.state, "docs[0]/all/b")
    flow.fail("docs[0]/all/a")
    assert flow.open_steps == ["docs[1]/all/a", "docs[1]/all/b"]
    if is_late:
        say(flow, late)
        assert flow.history[-1].kind == "answer_ignored"
    work(flow)
    retried(flow)
    assert phase(flow, "docs[0]/all/b") == "in_doubt"
    assert phase(flow, "docs[0]/all/a") == "dispatched"
    say(flow, late)
    assert phase(flow, "docs[0]/all/b") == "done", "no newer command was sent, so the result counts"


def phase(flow: Flow, path: str) -> str:
    """Of a step."""
    return flow.state.steps[path].phase


def once(plan: Plan, name: str) -> Plan:
    """The same with a step that must not be repeated."""
    steps = (
        msgspec.structs.replace(each, effect="ONCE") if each.name == name else each for each in plan.document.steps
    )
    return Plan(msgspec.structs.replace(plan.document, steps=tuple(steps)), "digest")


def say(flow: Flow, message: StepSucceeded) -> None:
    """A worker's word."""
    turn = Activation(flow.state, flow.plan, flow.now_ms)
    answer(turn, message)
    flow.history += turn.events


BODIES = (
    a,
    flow_of(a, b, c),
    ParallelBlock(id="all", branches=(flow_of(a, b), c)),
    RescueBlock(id="catch", body=a, handlers=(Handler(on="timeout", block=b),)),
    each(a, id="inner", max_failures=0, concurrency=1, collect=None, value=None, failed=None),
)


@settings(max_examples=150, deadline=None)
@given(
    body=st.sampled_from(BODIES),
    most=st.sampled_from((None, 0, 1)),
    concurrency=st.integers(1, 3),
    words=st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=60),
)
def test_however_often_elements_fail_each_step_is_done_once_and_the_end_is_the_same(
    body: Block, most: int | None, concurrency: int, words: list[tuple[int, bool]]
) -> None:
    """A law: retried until nothing has failed, the state is that of a run in which nothing ever did."""
    block = each(body, max_failures=most, concurrency=concurrency)
    flow, smooth = run(block), run(block)
    work(smooth)
    for at, fails in words:
        if not flow.state.running and flow.retry() is not None:
            break
        path = flow.open_steps[at % len(flow.open_steps)]
        (flow.fail if fails else flow.succeed)(path)
        checked(flow)
    work(flow)
    while flow.elements("failed") or flow.status == "failed":
        assert flow.retry() is None
        work(flow)
    assert flow.status == "succeeded"
    assert len(done(flow)) == len({*done(flow)})
    assert {*done(flow)} == {*done(smooth)}
    for field in ("results", "failed"):
        assert flow.elements(field) == smooth.elements(field)
