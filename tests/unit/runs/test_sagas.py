"""Sagas: what is undone, when, in which order, and what follows then."""

import pytest
from msgspec.structs import replace
from tests.unit.runs.sagas import SagaFlow, plan_with_sagas, saga_of
from tests.unit.runs.scripts import flow_of, step_block

from logkeel.definitions import (
    Block,
    BranchBlock,
    Case,
    ChildBlock,
    Handler,
    HumanBlock,
    LeaveBlock,
    LimitDefinition,
    LoopBlock,
    ParallelBlock,
    RescueBlock,
    WithinBlock,
)
from logkeel.records import ResolveStep
from logkeel.runs.core import requests
from logkeel.runs.core.plan import Plan

a, b, c, d = (step_block(name) for name in "abcd")
HOUR_MS = 3_600_000


def run(*blocks: Block) -> SagaFlow:
    """A run of these blocks that has begun."""
    return SagaFlow(flow_of(*blocks))


def rescued(body: Block) -> RescueBlock:
    """Caught by `d`."""
    return RescueBlock(id="rescue", body=body, handlers=(Handler(on="*", block=d),))


def surely_fails(flow: SagaFlow, path: str) -> None:
    """Both attempts had no effect."""
    for _ in range(2):
        flow.fail(path, "not_done")
        flow.check()
        if flow.timers:
            flow.fire_next()


def test_a_saga_that_succeeds_undoes_nothing_and_keeps_nothing() -> None:
    flow = run(saga_of(flow_of(a, b)), c)
    flow.succeed("saga/a")
    flow.succeed("saga/b")
    assert flow.open_steps == ["c"]
    flow.check()
    assert not [scope for scope, _ in flow.state.fields if scope]
    flow.succeed("c")
    assert flow.status == "succeeded"
    assert flow.undone == []


def test_a_failure_undoes_what_was_done_the_newest_first_and_then_ends_the_run() -> None:
    flow = run(saga_of(flow_of(a, b, c)))
    flow.succeed("saga/a")
    flow.succeed("saga/b")
    flow.fail("saga/c")
    assert flow.open_steps == ["saga/c/undo"], "it may have had its effect"
    assert flow.undo_all() == ["saga/c/undo", "saga/b/undo", "saga/a/undo"]
    assert flow.status == "failed"
    assert flow.state.head.error is not None
    assert flow.state.head.error.code == "boom"
    flow.check()


def test_a_failure_that_surely_had_no_effect_is_not_undone() -> None:
    flow = run(saga_of(flow_of(a, b)))
    flow.succeed("saga/a")
    surely_fails(flow, "saga/b")
    assert flow.undo_all() == ["saga/a/undo"]
    assert flow.status == "failed"
    early = run(saga_of(flow_of(a, b)))
    surely_fails(early, "saga/a")
    assert (early.status, early.undone) == ("failed", [])
    early.check()


def test_the_failure_goes_on_to_a_rescue_around_the_saga() -> None:
    flow = run(rescued(saga_of(flow_of(a, b))), c)
    flow.succeed("rescue/saga/a")
    flow.fail("rescue/saga/b")
    assert flow.undo_all() == ["rescue/saga/b/undo", "rescue/saga/a/undo"]
    assert flow.open_steps == ["rescue/d"]
    flow.check()


def test_a_rescue_inside_of_the_saga_undoes_nothing_yet() -> None:
    flow = run(saga_of(flow_of(a, RescueBlock(id="inner", body=b, handlers=(Handler(on="*", block=c),)), d)))
    flow.succeed("saga/a")
    flow.fail("saga/inner/b")
    assert flow.open_steps == ["saga/inner/c"]
    flow.succeed("saga/inner/c")
    flow.fail("saga/d")
    assert flow.undo_all() == ["saga/d/undo", "saga/inner/c/undo", "saga/inner/b/undo", "saga/a/undo"]
    assert flow.status == "failed"


@pytest.mark.parametrize(("policy", "undone"), [("undo", ["saga/b/undo", "saga/a/undo"]), ("leave", [])])
def test_a_cancel_undoes_unless_it_is_to_leave_things(policy: str, undone: list[str]) -> None:
    flow = run(saga_of(flow_of(a, b), on_cancel=policy))
    flow.succeed("saga/a")
    flow.cancel()
    if policy == "undo":
        assert flow.open_steps == ["saga/b"], "what is under way ends first"
        flow.succeed("saga/b")
    assert flow.undo_all() == undone
    assert flow.status == "cancelled"
    flow.check()


def test_a_cancel_takes_over_what_is_being_undone_and_a_second_one_changes_nothing() -> None:
    flow = run(saga_of(flow_of(a, b)))
    flow.succeed("saga/a")
    flow.fail("saga/b")
    flow.cancel()
    flow.cancel()
    assert flow.undo_all() == ["saga/b/undo", "saga/a/undo"]
    assert flow.status == "cancelled"
    flow.check()


def test_what_is_under_way_in_a_branch_ends_and_is_undone() -> None:
    flow = run(saga_of(ParallelBlock(id="fork", branches=(flow_of(a, d), b, c))))
    flow.succeed("saga/fork/a")
    flow.fail("saga/fork/b")
    assert flow.open_steps == ["saga/fork/c", "saga/fork/d"]
    assert flow.revoked == []
    flow.check()
    flow.succeed("saga/fork/d")
    flow.fail("saga/fork/c")
    assert flow.undo_all() == [f"saga/fork/{name}/undo" for name in "cdba"]
    assert flow.status == "failed"
    flow.check()


@pytest.mark.parametrize("way", ["lose", "reclaim"])
def test_nothing_is_sent_again_once_the_saga_has_failed(way: str) -> None:
    flow = run(saga_of(ParallelBlock(id="fork", branches=(a, b))))
    flow.fail("saga/fork/b")
    getattr(flow, way)("saga/fork/a")
    assert flow.revoked == ["saga/fork/a"]
    assert flow.undo_all() == ["saga/fork/a/undo", "saga/fork/b/undo"]
    flow.check()


def test_a_step_in_doubt_is_undone_and_nobody_is_asked_any_more() -> None:
    flow = SagaFlow(flow_of(saga_of(ParallelBlock(id="fork", branches=(a, b)))), effects={"a": "ONCE"})
    flow.reclaim("saga/fork/a")
    assert flow.phase("saga/fork/a") == "in_doubt"
    flow.fail("saga/fork/b")
    assert flow.undo_all() == ["saga/fork/a/undo", "saga/fork/b/undo"]
    flow.check()


def test_each_round_is_undone_with_what_it_wrote_then() -> None:
    body = flow_of(a, LeaveBlock(id="leave", field="verdict", value="yes"))
    flow = run(saga_of(flow_of(LoopBlock(id="loop", body=body, max_rounds=3), b)))
    flow.succeed("saga/loop[1]/a", verdict="no")
    flow.succeed("saga/loop[2]/a", verdict="yes")
    flow.fail("saga/b", "fatal")
    assert flow.undo() == "saga/b/undo"
    assert flow.inputs("saga/loop[2]/a/undo") == {"topic": "kafka", "a": "by saga/loop[2]/a"}
    assert flow.undo() == "saga/loop[2]/a/undo"
    assert flow.inputs("saga/loop[1]/a/undo") == {"topic": "kafka", "a": "by saga/loop[1]/a"}
    assert flow.undo() == "saga/loop[1]/a/undo"
    assert flow.status == "failed"
    flow.check()


def test_what_a_step_in_doubt_would_have_written_is_not_known() -> None:
    flow = run(LoopBlock(id="loop", body=flow_of(saga_of(a), c), max_rounds=3))
    flow.succeed("loop[1]/saga/a")
    flow.succeed("loop[1]/c")
    flow.fail("loop[2]/saga/a")
    assert flow.inputs("loop[2]/saga/a/undo") == {"topic": "kafka"}, "not what the first round wrote"
    assert flow.undo_all() == ["loop[2]/saga/a/undo"], "the saga of the first round has succeeded"
    assert flow.status == "failed"
    flow.check()


def test_an_undo_step_is_tried_again_and_then_a_human_decides() -> None:
    flow = run(saga_of(flow_of(a, b)))
    flow.succeed("saga/a")
    surely_fails(flow, "saga/b")
    flow.fail("saga/a/undo", "retryable")
    flow.check()
    flow.fire_next()
    flow.fail("saga/a/undo", "retryable")
    assert flow.phase("saga/a/undo") == "in_doubt"
    assert flow.status == "running"
    assert "could not be undone" in (flow.history[-1].reason or "")
    flow.check()
    flow.resolve("saga/a/undo", "retry")
    assert flow.phase("saga/a/undo") == "dispatched"
    flow.fail("saga/a/undo", "fatal")
    flow.resolve("saga/a/undo", "did")
    assert flow.status == "failed"
    flow.check()


def test_a_time_out_of_a_block_undoes_the_sagas_in_it() -> None:
    question = HumanBlock(id="ask", question="?", writes="decision")
    flow = run(WithinBlock(id="hour", timeout_ms=HOUR_MS, body=saga_of(flow_of(a, question)), on_timeout=c))
    flow.succeed("hour/saga/a")
    flow.fire_next()
    assert flow.waits == ["hour", "hour#undo", "hour/saga"], "nobody is asked any more"
    flow.check()
    assert flow.undo_all() == ["hour/saga/a/undo"]
    assert flow.open_steps == ["hour/c"]
    flow.check()


def test_a_saga_that_is_cut_off_with_nothing_to_undo_keeps_nothing() -> None:
    flow = run(WithinBlock(id="hour", timeout_ms=HOUR_MS, body=saga_of(flow_of(a, b)), on_timeout=c))
    flow.fail("hour/saga/a", "not_done")
    assert flow.phase("hour/saga/a") == "waiting"
    flow.fire(max(flow.timers, key=lambda timer: timer[1]))
    assert (flow.open_steps, flow.undone) == (["hour/c"], [])
    flow.succeed("hour/c")
    assert not [scope for scope, _ in flow.state.fields if scope]
    flow.check()


def test_branches_that_are_not_waited_for_are_undone() -> None:
    flow = run(ParallelBlock(id="race", branches=(saga_of(flow_of(a, b)), c), wait="first"), d)
    flow.succeed("race/saga/a")
    flow.succeed("race/c")
    flow.succeed("race/saga/b")
    assert flow.undo_all() == ["race/saga/b/undo", "race/saga/a/undo"]
    assert flow.open_steps == ["d"]
    assert flow.value("c") is not None
    assert flow.value("a") is None
    flow.check()


def test_a_loop_that_is_left_out_of_a_saga_keeps_what_was_done() -> None:
    body = saga_of(flow_of(a, LeaveBlock(id="leave", field="verdict", value="yes"), b))
    flow = run(LoopBlock(id="loop", body=body, max_rounds=2), c)
    flow.succeed("loop[1]/saga/a", verdict="yes")
    assert (flow.open_steps, flow.undone, flow.waits) == (["c"], [], [])
    flow.check()


def test_two_sagas_beside_each_other_are_undone_one_step_at_a_time_at_the_end() -> None:
    first, second = saga_of(flow_of(a, b), block_id="one"), saga_of(flow_of(c, d), block_id="two")
    flow = run(ParallelBlock(id="both", branches=(first, second)))
    flow.succeed("both/one/a")
    flow.succeed("both/two/c")
    flow.fail("both/one/b")
    assert flow.open_steps == ["both/one/b/undo", "both/two/d"], "the other one does not know yet"
    flow.undo()
    flow.undo()
    assert flow.open_steps == ["both/two/d"], "now the run is to fail, and the other one as well"
    flow.check()
    flow.succeed("both/two/d")
    assert flow.undo_all() == ["both/two/d/undo", "both/two/c/undo"]
    assert flow.status == "failed"
    flow.check()


def test_an_undoing_that_is_under_way_belongs_to_what_fails_around_it() -> None:
    flow = run(rescued(ParallelBlock(id="both", branches=(saga_of(flow_of(a, b)), c))))
    flow.succeed("rescue/both/saga/a")
    flow.fail("rescue/both/saga/b")
    flow.fail("rescue/both/c")
    assert flow.waits == ["rescue#undo", "rescue/both/saga"]
    flow.check()
    assert flow.undo_all() == ["rescue/both/saga/b/undo", "rescue/both/saga/a/undo"]
    assert flow.open_steps == ["rescue/d"]
    flow.check()


def test_a_saga_in_a_saga_is_undone_with_the_outer_one_although_it_succeeded() -> None:
    flow = run(saga_of(flow_of(a, saga_of(b, block_id="inner"), c)))
    flow.succeed("saga/a")
    flow.succeed("saga/inner/b")
    flow.fail("saga/c")
    assert flow.undo_all() == ["saga/c/undo", "saga/inner/b/undo", "saga/a/undo"]
    flow.check()


def test_a_run_whose_time_is_over_while_it_undoes_ends_as_it_was_to_end() -> None:
    flow = run(saga_of(flow_of(a, BranchBlock(id="way", field="verdict", cases=(Case(value="yes", block=b),)), c)))
    flow.succeed("saga/a", verdict="yes")
    flow.succeed("saga/way/b")
    flow.time_is_over()
    assert flow.open_steps == ["saga/c"]
    flow.time_is_over()
    flow.succeed("saga/c")
    assert flow.undo_all() == ["saga/c/undo", "saga/way/b/undo", "saga/a/undo"]
    assert flow.status == "timed_out"
    flow.check()


def test_a_paused_run_undoes_when_it_goes_on() -> None:
    flow = run(saga_of(flow_of(a, b)))
    flow.succeed("saga/a")
    flow.pause()
    flow.fail("saga/b")
    assert flow.open_steps == []
    flow.check()
    flow.resume()
    assert flow.undo_all() == ["saga/b/undo", "saga/a/undo"]
    assert flow.status == "failed"


def test_a_decision_about_an_undo_step_that_waits_for_nobody_is_refused() -> None:
    flow = run(saga_of(flow_of(a, b)))
    request = ResolveStep(run_id="r", path="saga/a/undo", decision="did")
    turn = flow._turn(lambda turn: requests.resolve(turn, request, "q", ()))
    assert not turn.events


def test_a_child_that_runs_is_cancelled_and_one_that_has_ended_is_not_undone() -> None:
    kid = ChildBlock(id="kid", workflow="other", version="7", returns="letter", writes="letter")
    running = run(saga_of(flow_of(a, ParallelBlock(id="both", branches=(kid, b)))))
    running.succeed("saga/a")
    surely_fails(running, "saga/both/b")
    assert running.given_up == [running.started[0].run_id]
    assert running.undo_all() == ["saga/a/undo"]
    running.check()
    ended = run(saga_of(flow_of(a, kid, b)))
    ended.succeed("saga/a")
    ended.end_child("saga/kid")
    surely_fails(ended, "saga/b")
    assert (ended.given_up, ended.undo_all(), ended.status) == ([], ["saga/a/undo"], "failed")
    ended.check()


def test_a_child_that_fails_undoes_the_saga_around_it() -> None:
    kid = ChildBlock(id="kid", workflow="other", version="7")
    flow = run(rescued(saga_of(flow_of(a, kid))), c)
    flow.succeed("rescue/saga/a")
    flow.end_child("rescue/saga/kid", "failed")
    assert flow.undo_all() == ["rescue/saga/a/undo"]
    assert flow.open_steps == ["rescue/d"]
    flow.check()


def test_a_step_that_waits_for_a_slot_waits_no_more_when_its_saga_is_undone() -> None:
    plan = plan_with_sagas(saga_of(flow_of(a, ParallelBlock(id="both", branches=(b, c)))))
    limit = LimitDefinition(kind="concurrency", name="gpt", limit=1)
    steps = tuple(replace(each, limits=(limit,)) if each.name == "c" else each for each in plan.document.steps)
    flow = SagaFlow(plan.document.flow, plan=Plan(replace(plan.document, steps=steps), "digest"))
    flow.succeed("saga/a")
    assert [*flow.state.claims] == ["saga/both/c"]
    surely_fails(flow, "saga/both/b")
    assert (len(flow.state.claims), flow.state.head.claims) == (0, 0)
    assert flow.undo_all() == ["saga/a/undo"]
    assert flow.status == "failed"
    flow.check()
