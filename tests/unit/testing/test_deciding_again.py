"""The judge of decisions reports what the code would decide otherwise, and nothing of what it cannot know."""

from msgspec.structs import replace
from tests.unit.runs.flows import Flow, plan_with
from tests.unit.runs.scripts import flow_of, step_block

from logkeel.testing.world.deciding_again import faults_of_decisions

a, b = (step_block(name) for name in "ab")
RUN = ("r", "0-0-0")


def test_a_decision_that_nothing_in_the_history_led_to_is_a_fault() -> None:
    flow = Flow(plan_with(flow_of(a, b)))
    flow.succeed("a")
    plans = {"digest": flow.plan}
    assert list(faults_of_decisions({RUN: flow.history}, plans)) == []
    *rest, last = flow.history
    told = [*rest, replace(last, path="elsewhere")]
    (fault,) = faults_of_decisions({RUN: told}, plans)
    assert fault == "r/0-0-0: revision 4 would be decided otherwise: path was 'elsewhere', is 'b'"


def test_histories_with_gaps_and_of_unknown_definitions_are_for_other_judges() -> None:
    flow = Flow(plan_with(flow_of(a, b)))
    flow.succeed("a")
    assert list(faults_of_decisions({RUN: flow.history[1:]}, {"digest": flow.plan})) == []
    assert list(faults_of_decisions({RUN: flow.history}, {})) == []
