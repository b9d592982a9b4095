"""Inner workflows inside of each other, beside each other, and in every kind of block: each with its own state."""

from tests.unit.runs.flows import TOPIC, Flow, inner, plan_with
from tests.unit.runs.scripts import flow_of, step_block

from logkeel.definitions import BranchBlock, Case, LeaveBlock, LoopBlock, ParallelBlock

a, b = step_block("a"), step_block("b")
DEEP = inner("deep", a, inputs=(TOPIC,), returns="a", writes="letter")


def scopes(flow: Flow) -> set[str]:
    """States that there are."""
    return {scope for scope, _ in flow.state.fields}


def test_one_inside_of_another_returns_what_it_has_made_step_by_step() -> None:
    flow = Flow(plan_with(flow_of(inner("outer", flow_of(DEEP, b), inputs=(TOPIC,)))))
    assert scopes(flow) == {"", "outer#inner", "outer/deep#inner"}
    flow.succeed("outer/deep/a")
    assert scopes(flow) == {"", "outer#inner"}
    assert flow.value("letter") is None, "it has not come out yet"
    flow.succeed("outer/b")
    assert flow.status == "succeeded"
    payload = flow.value("letter")
    assert getattr(payload, "data", None) == b'"by outer/deep/a"'
    flow.check()


def test_the_same_one_twice_and_at_the_same_time() -> None:
    once, twice = DEEP, inner("again", a, inputs=(TOPIC,), returns="a", writes="a")
    flow = Flow(plan_with(flow_of(ParallelBlock(id="both", branches=(once, twice)), once)))
    assert flow.open_steps == ["both/again/a", "both/deep/a"]
    flow.succeed("both/deep/a")
    flow.succeed("both/again/a")
    assert flow.open_steps == ["deep/a"]
    flow.check()
    flow.succeed("deep/a")
    assert getattr(flow.value("letter"), "data", None) == b'"by deep/a"'
    assert getattr(flow.value("a"), "data", None) == b'"by both/again/a"'
    flow.check()


def test_branches_and_leaves_inside_look_at_the_inner_fields() -> None:
    choice = BranchBlock(id="choice", field="verdict", cases=(Case(value="yes", block=b),))
    leave = LeaveBlock(id="leave", field="verdict", value="yes")
    body = LoopBlock(id="loop", body=flow_of(a, choice, leave), max_rounds=3)
    flow = Flow(plan_with(flow_of(step_block("s"), inner("sub", body, inputs=(TOPIC,)))))
    flow.succeed("s", verdict="yes")
    flow.succeed("sub/loop[1]/a", verdict="no")
    assert flow.open_steps == ["sub/loop[2]/a"], "the outer verdict is none of its business"
    flow.succeed("sub/loop[2]/a", verdict="yes")
    flow.succeed("sub/loop[2]/choice/b")
    assert flow.status == "succeeded"
    assert flow.value("verdict") == "yes"
    flow.check()
