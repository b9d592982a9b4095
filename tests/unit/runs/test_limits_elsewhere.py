"""Limits where a run is forked, or undoes what it did: nobody holds what is another run's, or asks for what is over."""

from typing import TypeVar

from msgspec.structs import replace
from tests.unit.runs.limited import at_once, limited
from tests.unit.runs.sagas import plan_with_sagas, saga_of
from tests.unit.runs.scripts import failed, flow_of, started, step_block, succeeded
from tests.unit.runs.test_forking import begun

from logkeel.definitions import ParallelBlock
from logkeel.records import LimitAnswered, RunEvent, StepAnswer
from logkeel.runs.core.actions import AcquireSlot, DispatchStep, ReleaseSlot
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.answers import answer
from logkeel.runs.core.limiting import answered
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.replay import replay

T = TypeVar("T")
a, b = step_block("a"), step_block("b")


class Story:
    """One run, whose limits the test plays."""

    def __init__(self, plan: Plan, turn: Activation) -> None:
        self.plan, self.state, self.turn = plan, turn.state, turn
        self.history: list[RunEvent] = list(turn.events)

    def grant(self, path: str) -> None:
        """Every slot that is asked for at this path."""
        while (claim := self.state.claims.get(path)) is not None and not claim.is_whole:
            use = claim.limits[claim.held]
            self._play()
            word = LimitAnswered(
                run_id=self.state.info.run_id,
                incarnation=self.state.info.incarnation,
                path=path,
                number=claim.number,
                kind=use.kind,
                name=use.name,
                key=use.key,
            )
            assert answered(self.turn, word)
            self.history += self.turn.events

    def hear(self, message: StepAnswer) -> None:
        """A worker's answer."""
        self._play()
        answer(self.turn, message)
        self.history += self.turn.events

    def _play(self) -> None:
        self.turn = Activation(self.state, self.plan, self.turn.now_ms + 1_000)

    def of(self, kind: type[T]) -> list[T]:
        """What the last turn does of this kind."""
        return [action for action in self.turn.actions if isinstance(action, kind)]


def test_a_fork_asks_for_its_own_slots_and_gives_nothing_back_that_is_the_others() -> None:
    plan = limited(flow_of(a, b), {"a": [at_once(1)], "b": [at_once(1)]})
    one = Story(plan, started(plan))
    one.grant("a")
    one.hear(succeeded(one.state, "a"))
    for cut, waits in ((len(one.history), "b"), (2, "a")):
        fork = Story(plan, begun(one.history[:cut], plan))
        assert not fork.of(ReleaseSlot)
        assert [action.path for action in fork.of(AcquireSlot)] == [waits]
        assert not fork.of(DispatchStep), "it has no slot of its own yet"
        fork.grant(waits)
        assert [action.path for action in fork.of(DispatchStep)] == [waits]
        assert replay(fork.history, plan) == fork.state


def test_what_is_undone_waits_for_no_slot_any_more() -> None:
    """A branch that waits for its slot when the other one fails never gets it while the saga is being undone."""
    fork = ParallelBlock(id="f", branches=(flow_of(a, step_block("x")), b))
    document = plan_with_sagas(saga_of(fork)).document
    steps = tuple(replace(each, limits=(at_once(1),)) if each.name == "b" else each for each in document.steps)
    plan = Plan(replace(document, steps=steps), "digest")
    one = Story(plan, started(plan))
    path = "saga/f/b"
    assert path in one.state.claims
    one.hear(succeeded(one.state, "saga/f/a"))
    one.hear(failed(one.state, "saga/f/x", "fatal"))
    assert path not in one.state.claims
    assert [action.path for action in one.of(ReleaseSlot)] == [path]
    assert one.state.running, "it undoes what was done"
    assert replay(one.history, plan) == one.state
