"""Children that inherit a share of their parent's budget (0034): reserved with the start, settled with the end."""

from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.budgets.budgeted import done, of_run
from tests.unit.journals.scripts import entry_sent, suspended
from tests.unit.runs.scripts import failed, flow_of, started, step_block, text
from tests.unit.uses.families import MOST, Family, One, kid, plan_of

from logkeel.definitions import Handler, ParallelBlock, RescueBlock, WithinBlock
from logkeel.projection.projection import fold
from logkeel.records import CancelRun, ChildCall, JournalEntry, RetryRun
from logkeel.runs.core import requests, retrying, waking
from logkeel.runs.core.answers import answer
from logkeel.runs.core.budgets import run_budgets
from logkeel.runs.core.child_budgets import share_of
from logkeel.runs.core.redeciding import redecide

a, b, c = (step_block(name) for name in "abc")
LEAF = plan_of(flow_of(a))


def finish(one: One, path: str, **used: int) -> list[str]:
    """A step of it has returned."""
    answer(one.next(), done(one.state, path, **used))
    return one.over()


def test_a_child_gets_what_is_left_and_gives_back_what_it_did_not_use() -> None:
    family = Family(plan_of(flow_of(a, kid(), b), of_run(100)), {"leaf": LEAF})
    finish(family.root, "a", tokens=10)
    assert family.root.account() == (10, 90)
    family.settle()
    (child,) = family.kids()
    assert child.limit() == 90
    assert child.account() == (0, MOST)
    finish(child, "a", tokens=25)
    family.settle()
    assert family.root.account() == (35, MOST), "what it used counts, and b may be sent"
    finish(family.root, "b", tokens=5)
    assert family.root.state.head.status == "succeeded"
    view = fold(family.root.history).accounts["tokens"]
    assert (view.spent, view.reserved) == (40, {})
    found = redecide(family.root.history, family.root.plan)
    assert (found.divergence, found.state) == (None, family.root.state)


def test_its_author_says_how_much() -> None:
    family = Family(plan_of(flow_of(kid(uses={"tokens": 60})), of_run(100)), {"leaf": LEAF})
    assert family.root.account() == (0, 60)
    family.settle()
    assert family.kids()[0].limit() == 60


def test_children_side_by_side_divide_what_is_left() -> None:
    both = ParallelBlock(id="both", branches=(kid("one"), kid("two")))
    family = Family(plan_of(flow_of(both), of_run(100)), {"leaf": LEAF})
    family.settle()
    assert [each.limit() for each in family.kids()] == [50, 25]


def test_grandchildren_get_of_the_childs_share() -> None:
    middle = plan_of(flow_of(a, kid("grandkid")))
    family = Family(plan_of(flow_of(kid(workflow="middle")), of_run(100)), {"leaf": LEAF, "middle": middle})
    family.settle()
    finish(family.kids()[0], "a", tokens=30)
    family.settle()
    grandchild = family.kids()[1]
    assert grandchild.limit() == 70
    finish(grandchild, "a", tokens=40)
    family.settle()
    assert family.root.account() == (70, 0)
    assert family.root.state.head.status == "succeeded"


def test_a_child_that_finds_too_little_left_fails_and_its_parent_may_catch_it() -> None:
    guarded = RescueBlock(id="rescue", body=kid(), handlers=(Handler(on="child_failed", block=step_block("d")),))
    family = Family(plan_of(flow_of(guarded), of_run(50)), {"leaf": plan_of(flow_of(a, b))})
    family.settle()
    finish(family.kids()[0], "a", tokens=40)
    error = family.kids()[0].state.head.error
    assert error is not None
    assert error.code == "budget_exhausted"
    family.settle()
    assert family.root.history[-1].step == "d"
    assert family.root.account() == (40, 0)


def test_where_humans_are_asked_they_are_asked_in_the_child() -> None:
    plan = plan_of(flow_of(kid()), replace(of_run(50), on_exhausted="ask"))
    family = Family(plan, {"leaf": plan_of(flow_of(a, b))})
    family.settle()
    child = family.kids()[0]
    finish(child, "a", tokens=40)
    assert child.state.waits["budget:tokens"].kind == "question"
    assert [each.on_exhausted for each in run_budgets(child.state.info, child.plan)] == ["ask"]


def test_a_child_whose_share_others_have_reserved_waits_for_what_they_settle() -> None:
    both = ParallelBlock(id="both", branches=(a, kid(uses={"tokens": 80})))
    family = Family(plan_of(flow_of(both), of_run(100)), {"leaf": LEAF})
    assert family.root.state.held == {"both/kid": family.root.state.head.revision}
    assert fold(family.root.history).waits["both/kid"].kind == "limit"
    finish(family.root, "both/a", tokens=5)
    assert family.root.account() == (5, 80)
    family.settle()
    assert family.kids()[0].limit() == 80


def test_a_child_that_may_never_begin_fails() -> None:
    family = Family(plan_of(flow_of(a, kid(uses={"tokens": 80})), of_run(100)), {"leaf": LEAF})
    finish(family.root, "a", tokens=40)
    assert family.root.state.head.error is not None
    assert family.root.state.head.error.code == "budget_exhausted"


def test_the_end_of_a_child_counts_once_however_often_it_is_told() -> None:
    family = Family(plan_of(flow_of(kid(), b), of_run(100)), {"leaf": LEAF})
    family.settle()
    finish(family.kids()[0], "a", tokens=30)
    assert family.carry(twice=True)
    assert family.root.account() == (30, MOST)


def test_a_child_that_is_given_up_counts_with_what_it_tells_at_its_end() -> None:
    within = WithinBlock(id="within", timeout_ms=500, body=kid(), on_timeout=b)
    family = Family(plan_of(flow_of(within), of_run(100)), {"leaf": LEAF})
    family.settle()
    child, root = family.kids()[0], family.root
    waking.wait_due(root.next(), "within", root.state.waits["within"].number)
    assert root.over()[-1] == "step_held", "what the child may use yet is not for others"
    assert root.account() == (0, 100)
    family.settle()
    assert child.state.head.status == "cancelled"
    assert "child_settled" in [event.kind for event in root.history]
    assert root.account() == (MOST, MOST), "its step was cut off: it counts in full; then b is sent"
    assert fold(root.history).accounts["tokens"].reserved == {"within/b": MOST}
    found = redecide(root.history, root.plan)
    assert (found.divergence, found.state) == (None, root.state)


def test_a_parent_that_ends_counts_what_its_children_may_use_yet() -> None:
    middle = plan_of(flow_of(kid("grandkid", uses={"tokens": 60})))
    family = Family(plan_of(flow_of(kid(workflow="middle")), of_run(100)), {"leaf": LEAF, "middle": middle})
    family.settle()
    child = family.kids()[0]
    requests.cancel(child.next(), CancelRun(run_id=child.run_id), "q")
    child.over()
    assert child.account() == (60, 0)
    assert fold(child.history).accounts["tokens"].spent == 60
    family.settle()
    assert family.root.account() == (60, 0)


def test_a_detached_child_counts_with_what_its_author_says_and_else_has_none() -> None:
    family = Family(plan_of(flow_of(kid(detach=True, uses={"tokens": 60}), b), of_run(100)), {"leaf": LEAF})
    assert family.root.account() == (60, MOST)
    family.settle()
    assert family.kids()[0].limit() == 60
    assert fold(family.root.history).accounts["tokens"].spent == 60
    family = Family(plan_of(flow_of(kid(detach=True), b), of_run(100)), {"leaf": LEAF})
    family.settle()
    assert (family.kids()[0].limit(), family.root.account()) == (None, (0, MOST))


def call(position: str, **uses: int) -> JournalEntry:
    """Code asks for a child run."""
    child = ChildCall(workflow="leaf", version="1", uses=uses)
    writes = (text("topic", "kafka"),)
    return JournalEntry(
        name="kid", ordinal=0, state="intent", position=position, waits_for="child", child=child, writes=writes
    )


def test_children_of_code_get_a_part_each_and_settle_the_same() -> None:
    family = Family(plan_of(flow_of(c), of_run(100), durable="c"), {"leaf": LEAF})
    root = family.root
    assert root.account() == (0, MOST)
    answer(root.next(), entry_sent(root.state, call("0"), "c"))
    root.over()
    answer(root.next(), entry_sent(root.state, call("1", tokens=45), "c"))
    root.over()
    family.settle()
    assert [each.limit() for each in family.kids()] == [15, 45]
    assert root.account() == (0, MOST + 45), "with its part the first one could do nothing, and has ended"
    answer(root.next(), entry_sent(root.state, call("2", tokens=30), "c"))
    assert root.over() == ["step_journaled"], "all is reserved: it waits"
    finish(family.kids()[1], "a", tokens=5)
    family.settle()
    assert [each.limit() for each in family.kids()] == [15, 45, 30], "it was started with what was settled"
    assert root.account() == (5, MOST)
    answer(root.next(), suspended(root.state, "0", path="c"))
    assert root.over() == ["step_suspended", "step_dispatched"]


def test_shares_are_no_more_than_there_is() -> None:
    turn = started(plan_of(flow_of(a), of_run(100)))
    assert share_of(turn.state, turn.plan, {}, 3) == {"tokens": 20}
    assert share_of(turn.state, turn.plan, {}, 0) == {}


@pytest.mark.parametrize("inherited", [True, False])
def test_what_a_step_of_a_child_reports_without_saying_so_before_counts_too(inherited: bool) -> None:
    silent: Any = plan_of(flow_of(step_block("d")))
    family = Family(plan_of(flow_of(kid()), *([of_run(100)] if inherited else [])), {"leaf": silent})
    family.settle()
    finish(family.kids()[0], "d", tokens=7)
    family.settle()
    assert family.root.account() == ((7, 0) if inherited else (0, 0))


def test_a_child_that_is_told_to_go_on_has_what_it_got_when_it_was_started() -> None:
    """Its share was settled with its end, or counts in full since its parent's; nothing is reserved for it again."""
    family = Family(plan_of(flow_of(a, kid()), of_run(100)), {"leaf": LEAF})
    finish(family.root, "a", tokens=10)
    family.settle()
    child = family.kids()[0]
    requests.cancel(child.next(), CancelRun(run_id=child.run_id), "q")
    child.over()
    family.settle()
    assert family.root.state.head.status == "failed"
    spent, reserved = family.root.account()
    assert (spent > 10, reserved) == (True, 0), "settled with its end"
    retrying.retry(family.root.next(), RetryRun(run_id=family.root.run_id), "again")
    assert family.root.over() == ["run_retried", "child_started"]
    told = family.root.history[-1]
    assert (told.attributes["again"], told.amounts) == ("true", {})
    assert family.root.account() == (spent, 0)


def test_a_child_of_code_that_is_told_to_go_on_has_what_it_got_as_well() -> None:
    family = Family(plan_of(flow_of(c), of_run(200), durable="c"), {"leaf": LEAF})
    root = family.root
    answer(root.next(), entry_sent(root.state, call("0", tokens=45), "c"))
    root.over()
    family.settle()
    assert family.kids()[0].limit() == 45
    answer(root.next(), failed(root.state, "c", "fatal"))
    root.over()
    family.settle()
    spent, reserved = root.account()
    assert (spent >= 45, reserved) == (True, 0), "it counts in full, as its parent has ended"
    retrying.retry(root.next(), RetryRun(run_id=root.run_id), "again")
    assert root.over() == ["run_retried", "step_dispatched"]
    before = root.account()
    answer(root.next(), entry_sent(root.state, call("0", tokens=45), "c"))
    assert root.over() == ["step_journaled", "child_started"]
    told = root.history[-1]
    assert (told.attributes["again"], told.amounts) == ("true", {})
    assert root.account() == before
