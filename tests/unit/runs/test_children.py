"""Child runs in the core: how they begin, what their ends lead to, and how many there may be."""

import pytest
from msgspec import UNSET
from msgspec.structs import replace
from tests.unit.runs.flows import DOCS, HELLO, TOPIC, Flow, child_end, plan_with
from tests.unit.runs.scripts import T0, flow_of, step_block, text

from logkeel.definitions import (
    Block,
    ChildBlock,
    EachBlock,
    Handler,
    LoopBlock,
    ParallelBlock,
    RescueBlock,
    WithinBlock,
)
from logkeel.records import Parent, StartRun
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.children import MAX_DEPTH, MAX_DESCENDANTS, limits_of
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.starting import info_of, start
from logkeel.runs.core.state import RunState

a, b, c = (step_block(name) for name in "abc")


def child(name: str = "kid", **details: object) -> ChildBlock:
    """A child whose `letter` becomes that of the parent."""
    known: dict[str, object] = {"inputs": (TOPIC,), "returns": "letter", "writes": "letter"}
    return ChildBlock(id=name, workflow="other", version="7", **{**known, **details})  # type: ignore[arg-type]  # by keyword


def run(*blocks: Block, **limits: int) -> Flow:
    """A run of these blocks, one after the other, that has begun."""
    plan = plan_with(flow_of(*blocks))
    return Flow(Plan(replace(plan.document, **limits), "digest"))


def test_a_child_is_asked_for_with_what_it_begins_with_and_its_result_is_written() -> None:
    flow = run(child(inputs=(TOPIC, DOCS)), b)
    (request,) = flow.started
    assert (request.workflow, request.version, request.run_id) == ("other", "7", flow.state.waits["kid"].name)
    assert [(each.field, each.operation) for each in request.inputs] == [
        ("topic", "replace"),
        ("docs", "replace"),
        *[("docs", "append")] * 3,
    ]
    assert request.origin is not None
    assert request.parent == Parent(
        run_id="r",
        incarnation="0-0-0",
        path="kid",
        number=request.origin.revision,
        depth=1,
        max_depth=MAX_DEPTH,
        max_descendants=MAX_DESCENDANTS - 1,
    )
    assert (flow.open_steps, flow.waits) == ([], ["kid"])
    flow.check()
    flow.end_child("kid")
    assert flow.value("letter") == HELLO
    assert flow.open_steps == ["b"]
    flow.check()


def test_the_run_id_follows_from_parent_and_path() -> None:
    both = ParallelBlock(id="both", branches=(child("one"), child("two")))
    first, again = run(both), run(both)
    assert [each.run_id for each in first.started] == [each.run_id for each in again.started]
    assert len({each.run_id for each in first.started}) == 2


@pytest.mark.parametrize(("status", "kind"), [("failed", "fatal"), ("cancelled", "fatal"), ("timed_out", "timeout")])
def test_a_child_that_does_not_succeed_is_a_failure_that_can_be_caught(status: str, kind: str) -> None:
    flow = run(RescueBlock(id="rescue", body=child(), handlers=(Handler(on="child_failed", block=c),)))
    flow.end_child("rescue/kid", status)
    assert flow.open_steps == ["rescue/c"]
    ended = next(event for event in flow.history if event.kind == "child_ended")
    assert ended.error is not None
    assert (ended.status, ended.error.code, ended.error.kind) == (status, "child_failed", kind)
    flow.check()
    alone = run(child())
    alone.end_child("kid", status)
    assert alone.status == "failed"
    assert alone.given_up == []
    alone.check()


def test_word_of_a_child_counts_once_and_only_while_it_is_awaited() -> None:
    flow = run(child(), child("next"))
    first = flow.end_child("kid")
    seen = len(flow.history)
    flow.hear(first)
    flow.hear(replace(first, path="next"))
    flow.hear(replace(child_end(flow.state.waits["next"], "next"), incarnation="9-9-9"))
    flow.hear(replace(first, path="nowhere"))
    assert len(flow.history) == seen
    assert flow.waits == ["next"]
    flow.check()


def test_a_cancelled_run_cancels_its_children_but_those_that_are_abandoned_or_detached() -> None:
    kids = (child("kept", on_cancel="abandon"), child("gone"), flow_of(child("free", detach=True, writes=None), a))
    flow = run(ParallelBlock(id="all", branches=kids))
    gone = flow.state.waits["all/gone"]
    assert flow.open_steps == ["all/a"]
    late = child_end(gone, "all/gone")
    flow.cancel()
    assert flow.given_up == [gone.name]
    flow.check()
    seen = len(flow.history)
    flow.hear(late)
    assert len(flow.history) == seen


def test_a_child_that_is_too_late_is_cancelled() -> None:
    flow = run(WithinBlock(id="hour", timeout_ms=3_600_000, body=child(), on_timeout=b))
    name = flow.state.waits["hour/kid"].name
    flow.fire_next()
    assert flow.given_up == [name]
    assert flow.open_steps == ["hour/b"]
    flow.check()


def test_a_child_in_each_round_is_another_run() -> None:
    flow = run(LoopBlock(id="loop", body=child(), max_rounds=2, on_exhausted="continue"))
    flow.end_child("loop[1]/kid")
    flow.end_child("loop[2]/kid")
    assert flow.status == "succeeded"
    assert len({each.run_id for each in flow.started}) == 2
    flow.check()


def test_while_a_run_is_paused_it_starts_no_child() -> None:
    flow = run(a, child(), b)
    flow.pause()
    flow.succeed("a")
    assert flow.started == []
    flow.check()
    flow.resume()
    assert flow.waits == ["kid"]
    assert not flow.state.held
    flow.check()


def test_a_share_that_is_not_used_comes_back() -> None:
    flow = run(child(), child("next"), max_descendants=10)
    assert flow.started[0].parent is not None
    assert flow.started[0].parent.max_descendants == 9
    before = flow.state.head.descendants
    flow.end_child("kid", descendants=4)
    assert (before, flow.state.head.descendants) == (10, 10), "the next one has what the first has left"
    assert flow.started[1].parent is not None
    assert flow.started[1].parent.max_descendants == 4
    flow.check()


def test_siblings_share_what_there_may_be_and_leaves_get_none() -> None:
    many = EachBlock(id="docs", items="docs", body=child(), item="doc", concurrency=3)
    flow = run(many, max_descendants=30)
    shares = [each.parent.max_descendants for each in flow.started if each.parent]
    assert shares == [9, 6, 4]
    assert sum(shares) + len(shares) == flow.state.head.descendants <= 30
    leaves = run(EachBlock(id="docs", items="docs", body=child(leaf=True), item="doc", concurrency=3))
    assert leaves.state.head.descendants == 3


def test_one_child_too_many_is_a_failure_that_can_be_caught() -> None:
    caught = RescueBlock(id="r", body=child("two"), handlers=(_on("too_many_descendants"),))
    flow = run(child("one", leaf=True), caught, max_descendants=1)
    flow.end_child("one")
    assert flow.open_steps == ["r/c"]
    flow.check()


def _on(code: str) -> Handler:
    return Handler(on=code, block=c)


def test_the_depth_is_limited_by_whoever_is_strictest_above() -> None:
    plan = plan_with(flow_of(RescueBlock(id="r", body=child(), handlers=(_on("child_too_deep"),))))
    parent = Parent(run_id="p", incarnation="1", path="x", number=3, depth=2, max_depth=2, max_descendants=5)
    request = StartRun(workflow="work", run_id="r", inputs=(text("topic", "kafka"),), parent=parent)
    info = info_of(request, plan, run_id="r", request_id="q", incarnation="0-0-0", now_ms=T0)
    for limit in (UNSET, 9, 0):
        assert limits_of(info, replace(plan.document, max_depth=limit)) == (2, 2, 5)
    assert limits_of(replace(info, parent=None), replace(plan.document, max_depth=1)) == (0, 1, MAX_DESCENDANTS)
    turn = Activation(RunState(info), plan, T0)
    start(turn, request, request.inputs)
    assert [path for path, step in turn.state.steps.items() if step.is_open] == ["r/c"]


def test_an_input_that_no_start_can_carry_is_a_failure() -> None:
    body = child(inputs=(TOPIC, DOCS))
    plan = plan_with(RescueBlock(id="r", body=body, handlers=(_on("child_input_too_large"),)))
    assert Flow(plan, docs=["x" * 200_000] * 4).waits == ["r/kid"]
    flow = Flow(plan, docs=["x" * 200_000] * 5)
    assert flow.open_steps == ["r/c"]
    flow.check()
