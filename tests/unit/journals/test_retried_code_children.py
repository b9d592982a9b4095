"""Child runs of durable code whose run is retried: they are told to go on, or started if they never began."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.journals.scripts import Life, call, entry_sent, journaled_plan, suspended
from tests.unit.journals.test_code_children import asked_for, begun, end, given_up, kid
from tests.unit.journals.test_retried_code import has_failed, retried, with_entries
from tests.unit.runs.flows import Flow, plan_with
from tests.unit.runs.scripts import flow_of, step_block, succeeded
from tests.unit.runs.test_forking import forked

from logkeel.definitions import EachBlock
from logkeel.projection.projection import fold
from logkeel.records import CancelRun, ChildCompleted, ErrorInfo, RetryRun, StartRun, StepAnswer
from logkeel.runs.core import child_ends, requests, retrying
from logkeel.runs.core.actions import Reject, StartChild
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.answers import answer
from logkeel.runs.core.children import MAX_DESCENDANTS
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.redeciding import redecide
from logkeel.runs.core.replay import replay

BOOM = ErrorInfo(code="boom", kind="fatal", message="it broke")


def ended(life: Life, request: StartRun, status: str = "succeeded", **details: Any) -> list[str]:
    """Word of a child comes; the kinds of the events it led to."""
    word = end(request, status, error=None if status == "succeeded" else BOOM)
    child_ends.ended(life.next(), replace(word, **details))
    return life.kept()


def waits_again(life: Life, position: str = "0") -> StartRun:
    """The code comes by its child again; what is asked for."""
    answer(life.next(), entry_sent(life.state, kid(position)))
    assert life.kept() == ["step_journaled", "child_started"]
    (request,) = asked_for(life)
    return request


def is_told_to_go_on(again: StartRun, first: StartRun) -> bool:
    """Whether this is the same child, in another wait for it."""
    assert again.parent is not None
    assert first.parent is not None
    assert again.run_id == first.run_id
    assert again.request_id != first.request_id
    assert (again.parent.path, again.parent.incarnation) == (first.parent.path, first.parent.incarnation)
    assert again.parent.number > first.parent.number
    return again.parent.again


def test_a_child_that_the_code_failed_at_is_told_to_go_on_and_its_result_counts() -> None:
    life, (first,) = begun(call("0"), kid("1"))
    ended(life, first, "failed")
    has_failed(life)
    assert retried(life) == ["0"]
    again = waits_again(life, "1")
    assert is_told_to_go_on(again, first)
    assert life.turn.events[-1].attributes["again"] == "true"
    assert ended(life, first, "failed") == [], "the former life's word comes once more"
    answer(life.next(), suspended(life.state, "1"))
    life.kept()
    assert ended(life, again) == ["child_ended", "step_dispatched"]
    answer(life.next(), succeeded(life.state, "a"))
    assert life.kept() == ["step_succeeded", "run_completed"]
    assert redecide(life.history, life.plan).divergence is None


@pytest.mark.parametrize("how", ["failed", "cancelled"])
def test_a_child_that_was_cancelled_with_the_code_that_waited_is_told_to_go_on(how: str) -> None:
    life, (first,) = begun(kid())
    reserved = life.state.head.descendants
    if how == "failed":
        has_failed(life)
        assert retried(life) == []
    else:
        # As a child itself, whose parent has cancelled it, and is retried.
        assert first.parent is not None
        above = replace(first.parent, run_id="above", max_descendants=MAX_DESCENDANTS)
        life.state.info = replace(life.state.info, parent=above)
        requests.cancel(life.next(), CancelRun(run_id="r", requested_by="above"), "q")
        assert given_up(life) == [first.run_id]
        life.history += life.turn.events
        retrying.retry(life.next(), RetryRun(run_id="r"), "q", above)
        life.history += life.turn.events
        assert [event.kind for event in life.turn.events] == ["run_retried", "step_dispatched"]
    assert life.state.head.descendants == 0, "it is free until the child is told to go on"
    child_ends.ended(life.next(), end(first, "cancelled"))
    assert life.turn.events == [], "nobody waits for that"
    answer(life.next(), entry_sent(life.state, kid()))
    (again,) = asked_for(life)
    assert is_told_to_go_on(again, first)
    assert life.state.head.descendants == reserved
    assert not life.state.steps["a"].begun


def test_it_is_cancelled_and_told_to_go_on_as_often_as_the_run_fails() -> None:
    life, (former,) = begun(kid())
    for _ in range(3):
        has_failed(life)
        assert retried(life) == []
        again = waits_again(life)
        assert is_told_to_go_on(again, former)
        former = again
    ended(life, former)
    assert life.state.journal["a", "0"].state == "done"


def test_a_child_that_was_never_begun_is_started() -> None:
    """Its start was refused; or the run was one too many."""
    life, (first,) = begun(kid())
    ended(life, first, "failed", child_incarnation=None)
    assert life.history[-1].attributes["refused"] == "true"
    has_failed(life)
    assert retried(life) == []
    again = waits_again(life)
    assert (again.run_id, is_told_to_go_on(again, first)) == (first.run_id, False)
    assert redecide(life.history, life.plan).divergence is None
    document = replace(journaled_plan().document, max_descendants=0)
    life, started = begun(kid(), plan=Plan(document, "digest"))
    assert started == []
    has_failed(life)
    assert retried(life) == []
    assert not life.state.steps["a"].begun


def test_what_had_begun_is_known_although_it_could_not_answer() -> None:
    """P29: its rows are gone, so it is never begun anew, however often it is asked for."""
    life, (first,) = begun(kid())
    ended(life, first, "failed")
    for _ in range(2):
        has_failed(life)
        retried(life)
        again = waits_again(life)
        assert is_told_to_go_on(again, first)
        ended(life, again, "failed", child_incarnation="-")
    assert life.state.journal["a", "0"].state == "failed"


def test_children_that_are_done_stay_done_and_what_the_code_has_caught_stays_caught() -> None:
    life, (one, two) = begun(kid("0.0.0"), kid("0.1.0"))
    ended(life, one)
    ended(life, two, "failed")
    answer(life.next(), entry_sent(life.state, call("1", "failed")))
    life.kept()
    has_failed(life)
    assert retried(life) == ["0.0.0", "0.1.0"]
    assert not life.state.steps["a"].begun
    life, (one, two) = begun(kid("0.0.0"), kid("0.1.0"))
    ended(life, one)
    ended(life, two, "failed")
    has_failed(life)
    assert retried(life) == ["0.0.0"]
    assert is_told_to_go_on(waits_again(life, "0.1.0"), two)


def test_who_goes_on_by_itself_is_not_waited_for_again() -> None:
    life, _ = begun(kid(abandon=True))
    has_failed(life)
    retrying.retry(life.next(), RetryRun(run_id="r"), "q")
    assert [action.code for action in life.turn.actions if isinstance(action, Reject)] == ["child_has_ended"]
    life, (first,) = begun(kid(abandon=True))
    ended(life, first, "failed")
    has_failed(life)
    assert retried(life) == []
    answer(life.next(), entry_sent(life.state, kid(abandon=True)))
    life.kept()
    assert is_told_to_go_on(asked_for(life)[0], first), "it has ended, and told so"


def test_code_that_takes_another_way_starts_another_child_there() -> None:
    life, (first,) = begun(kid())
    ended(life, first, "failed")
    has_failed(life)
    retried(life)
    other = replace(kid(), child=replace(kid().child, workflow="another"))  # type: ignore[type-var]  # it has one
    answer(life.next(), entry_sent(life.state, other))
    life.kept()
    (request,) = asked_for(life)
    assert request.parent is not None
    assert (request.run_id == first.run_id, request.parent.again) == (False, False)


def test_a_fork_of_a_run_that_was_retried_starts_a_child_of_its_own() -> None:
    life, (first,) = begun(kid())
    ended(life, first, "failed")
    has_failed(life)
    retried(life)
    turn = forked(life.history, life.plan)
    assert isinstance(turn, Activation)
    assert not turn.state.steps["a"].begun
    sent = entry_sent(turn.state, kid())
    info = turn.state.info
    answer(turn, replace(sent, identity=replace(sent.identity, run_id=info.run_id, incarnation=info.incarnation)))
    (request,) = [action.request for action in turn.actions if isinstance(action, StartChild)]
    assert request.parent is not None
    assert (request.run_id == first.run_id, request.parent.again) == (False, False)


def test_a_call_that_is_done_behind_a_child_is_never_made_again() -> None:
    life = with_entries(call("0.0.0"), kid("0.1.0"), call("0.0.1", "failed"))
    has_failed(life)
    assert retried(life) == ["0.0.0"]


def say(flow: Flow, message: StepAnswer | ChildCompleted) -> list[StartRun]:
    """What a worker or a child's engine says; which children are asked for."""
    turn = Activation(flow.state, flow.plan, flow.now_ms)
    if isinstance(message, ChildCompleted):
        child_ends.ended(turn, message)
    else:
        answer(turn, message)
    flow.history += turn.events
    assert replay(flow.history, flow.plan) == flow.state
    return [action.request for action in turn.actions if isinstance(action, StartChild)]


def of_elements(*docs: str) -> Flow:
    """Durable code for each of these."""
    block = EachBlock(id="docs", items="docs", item="doc", body=step_block("a"), failed="failed")
    document = plan_with(flow_of(block)).document
    steps = tuple(replace(step, journaled=True) for step in document.steps)
    return Flow(Plan(replace(document, steps=steps), "digest"), docs)


def test_children_of_code_in_failed_elements_go_on_with_those() -> None:
    """One element fails at its child; of the other one the child is cut off. The run succeeds, and is retried."""
    flow = of_elements("x", "y")
    paths = ("docs[0]/a", "docs[1]/a")
    first = [say(flow, entry_sent(flow.state, kid(), path))[0] for path in paths]
    say(flow, end(first[0], "failed", error=BOOM))
    for path in paths:
        flow.fail(path)
    assert flow.status == "succeeded"
    assert flow.given_up == [first[1].run_id]
    assert flow.retry() is None
    assert flow.open_steps == [*paths]
    assert replay(flow.history, flow.plan) == flow.state
    assert not fold(flow.history).waits
    again = [say(flow, entry_sent(flow.state, kid(), path))[0] for path in paths]
    assert all(is_told_to_go_on(each, former) for each, former in zip(again, first, strict=True))
    for path, request in zip(paths, again, strict=True):
        say(flow, end(request))
        flow.succeed(path)
    assert flow.status == "succeeded"
    assert not flow.elements("failed")
    assert redecide(flow.history, flow.plan).divergence is None


def test_elements_whose_children_go_on_by_themselves_stay_failed() -> None:
    flow = of_elements("x")
    say(flow, entry_sent(flow.state, kid(abandon=True), "docs[0]/a"))
    flow.fail("docs[0]/a")
    rejected = flow.retry()
    assert rejected is not None
    assert rejected.code == "elements_have_failed"


LANES = ("0.0.0", "0.1.0", "0.2.0")


class Family(Life):
    """Code with children side by side, which end in any way; whoever was started is a run of its own, once."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: dict[str, list[StartRun]] = {}
        self.refused: Counter[str] = Counter()

    def go_on(self) -> None:
        """The code comes by the calls that its journal does not have."""
        for position in LANES:
            if ("a", position) not in self.state.journal:
                answer(self.next(), entry_sent(self.state, kid(position)))
                for request in asked_for(self):
                    self.asked.setdefault(position, []).append(request)
                self.kept()

    def hear(self, position: str, status: str, *, begun: bool, late: bool) -> None:
        """Word of the child there, perhaps of a former life of it."""
        known = self.asked[position]
        request = known[0 if late else -1]
        assert request.parent is not None
        never = not begun and not request.parent.again and status != "succeeded"
        kinds = ended(self, request, status, **({"child_incarnation": None} if never else {}))
        self.refused[position] += never and "child_ended" in kinds

    def check(self) -> None:
        """Of every child at most one start is not the word to go on, but for those that were refused."""
        for position, requests_sent in self.asked.items():
            assert len({request.run_id for request in requests_sent}) == 1
            assert len({request.request_id for request in requests_sent}) == len(requests_sent)
            starts = [request for request in requests_sent if request.parent is not None and not request.parent.again]
            assert len(starts) <= 1 + self.refused[position]
        assert 0 <= self.state.head.descendants <= MAX_DESCENDANTS
        done = [event.path for event in self.history if event.kind == "child_ended" and event.status == "succeeded"]
        assert len(done) == len(set(done)), "what has succeeded is never waited for again"


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_however_often_code_fails_each_child_is_one_run_and_the_end_is_the_same(
    data: st.DataObject,
) -> None:
    family = Family()
    family.go_on()
    word = st.tuples(
        st.sampled_from(LANES), st.sampled_from(("succeeded", "failed", "timed_out")), st.booleans(), st.booleans()
    )
    for move in data.draw(st.lists(st.one_of(word, st.just("fails"), st.just("goes on")), max_size=25)):
        if isinstance(move, tuple):
            position, status, is_begun, late = move
            family.hear(position, status, begun=is_begun, late=late)
        elif move == "goes on":
            family.go_on()
        else:
            has_failed(family)
            retried(family)
        family.check()
    if family.state.steps["a"].is_open and any(entry.state == "failed" for _, entry in family.state.journal.of("a")):
        has_failed(family)
        retried(family)
    family.go_on()
    for position in LANES:
        family.hear(position, "succeeded", begun=True, late=False)
    family.check()
    assert [(at, entry.state) for at, entry in sorted(family.state.journal.of("a"))] == [(at, "done") for at in LANES]
    answer(family.next(), succeeded(family.state, "a"))
    assert family.kept() == ["step_succeeded", "run_completed"]
    found = redecide(family.history, family.plan)
    assert found.divergence is None, found.divergence
