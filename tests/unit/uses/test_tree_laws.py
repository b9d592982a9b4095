"""Laws of a tree of runs with one budget: whatever ends, is lost, cancelled or told twice, it is never exceeded."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.budgets.budgeted import done, of_run
from tests.unit.runs.scripts import failed, flow_of, reclaimed, step_block
from tests.unit.uses.families import MOST, Family, One, kid, plan_of

from logkeel.definitions import Handler, ParallelBlock, RescueBlock
from logkeel.records import CancelRun
from logkeel.runs.core import requests
from logkeel.runs.core.answers import answer
from logkeel.runs.core.redeciding import redecide

a, b, c = (step_block(name) for name in "abc")
OF_CHILDREN = ("child_ended", "child_settled", "run_completed")
RESERVES = ("step_dispatched", "child_started")


def caught(block: object) -> RescueBlock:
    """Whatever happens to it, the run goes on."""
    nothing = step_block("d")
    return RescueBlock(id="rescue", body=block, handlers=(Handler(on="*", block=nothing),))  # type: ignore[arg-type]  # any block


def act(family: Family, data: st.DataObject) -> None:
    """Something happens somewhere."""
    one: One = data.draw(st.sampled_from([each for each in family.runs.values() if each.state.running]))
    move = data.draw(st.sampled_from(["done", "done", "failed", "lost", "carry", "carry", "twice", "cancel"]))
    paths = sorted(p for p, step in one.state.steps.items() if step.is_open and step.phase != "waiting")
    if move in ("carry", "twice"):
        family.carry(twice=move == "twice")
        return
    if move == "cancel":
        if one is family.root:
            return
        requests.cancel(one.next(), CancelRun(run_id=one.run_id), "q")
        one.over()
        return
    if not paths:
        return
    path = data.draw(st.sampled_from(paths))
    most = {} if one.state.steps[path].step == "d" else {"tokens": data.draw(st.integers(0, MOST))}
    if move == "done":
        answer(one.next(), done(one.state, path, **(most if data.draw(st.booleans()) else {})))
    elif move == "failed":
        answer(one.next(), failed(one.state, path, "fatal"))
    else:
        answer(one.next(), reclaimed(one.state, path, holder_dead=True))
    one.over()


def own(one: One) -> int:
    """What steps of this run have used."""
    others = (*RESERVES, *OF_CHILDREN)
    return sum(event.amounts.get("tokens", 0) for event in one.history if event.kind not in others)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_tree_never_uses_more_than_its_root_has_and_shares_add_up(data: st.DataObject) -> None:
    limit = data.draw(st.integers(60, 300))
    uses: dict[str, Any] = data.draw(st.sampled_from([{}, {"uses": {"tokens": 50}}]))
    detached: dict[str, Any] = data.draw(st.sampled_from([{}, {"detach": True, "uses": {"tokens": 45}}]))
    middle = plan_of(flow_of(a, caught(kid("low", **uses))))
    branches = (a, caught(kid("one", "middle")), kid("two", "middle", **detached))
    family = Family(
        plan_of(flow_of(caught(ParallelBlock(id="all", branches=branches)), b), of_run(limit)),
        {"middle": middle, "leaf": plan_of(flow_of(a, b))},
    )
    for _ in range(data.draw(st.integers(0, 40))):
        if not any(each.state.running for each in family.runs.values()):
            break
        act(family, data)
        for one in family.runs.values():
            spent, reserved = one.account()
            allowed = limit if one is family.root else one.limit()
            assert spent + reserved <= (limit if allowed is None else allowed)
        assert sum(map(own, family.runs.values())) <= limit, "the tree has never used more"
    if family.root.state.running:
        requests.cancel(family.root.next(), CancelRun(run_id="r"), "q")
        family.root.over()
    family.settle()
    for one in family.runs.values():
        if not one.state.running:
            assert one.account()[1] == 0, "nothing stays reserved"
        found = redecide(one.history, one.plan)
        assert (found.divergence, found.state) == (None, one.state)
