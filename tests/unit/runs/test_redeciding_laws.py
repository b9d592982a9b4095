"""Whatever a run went through, the code that decided it decides it so again; and nearly all of it is compared."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.journals.test_laws import MOVES as JOURNAL_MOVES
from tests.unit.journals.test_laws import POSITIONS
from tests.unit.journals.test_laws import World as JournalWorld
from tests.unit.runs.flows import Flow
from tests.unit.runs.test_block_laws import MOVES, happen, plans
from tests.unit.runs.test_conversations import talk
from tests.unit.runs.test_core_laws import MOVES as STEP_MOVES
from tests.unit.runs.test_core_laws import World
from tests.unit.runs.test_core_laws import plans as step_plans
from tests.unit.runs.test_forking import code, forked
from tests.unit.runs.test_limit_laws import NAMES as LIMIT_MOVES
from tests.unit.runs.test_limit_laws import PLAN as LIMITED
from tests.unit.runs.test_limit_laws import Run as LimitedRun
from tests.unit.runs.test_saga_laws import LAST_MOVES, flows, runs, settle
from tests.unit.runs.test_saga_laws import MOVES as SAGA_MOVES
from tests.unit.runs.test_saga_laws import happen as happen_to_sagas
from tests.unit.runs.test_turns import Speech, branches
from tests.unit.runs.test_turns import happen as happen_to_a_turn

from logkeel.definitions import Block
from logkeel.records import RunEvent
from logkeel.runs.core.actions import Reject
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.redeciding import OF_ANOTHER_RUN, Redecided, redecide
from logkeel.runs.core.state import RunState


class Counted:
    """Turns over all examples of a law: how many were compared, and which were not."""

    def __init__(self) -> None:
        self.compared = 0
        self.not_compared: Counter[str] = Counter()

    def agrees(self, history: list[RunEvent], plan: Plan, before: RunState | None = None) -> Redecided:
        """The history is decided alike, and leaves the same state."""
        found = redecide(history, plan, before=before)
        assert found.divergence is None, found.divergence
        self.compared += found.compared
        self.not_compared.update(found.not_compared)
        return found


@contextmanager
def counted(floor: float) -> Iterator[Counted]:
    """At least this share of all turns was compared."""
    turns = Counted()
    yield turns
    total = turns.compared + turns.not_compared.total()
    assert turns.compared >= floor * total, f"{turns.compared} of {total} compared; not: {turns.not_compared}"
    assert total > 500


def test_runs_of_blocks() -> None:
    with counted(1.0) as turns:

        @settings(max_examples=400, deadline=None)
        @given(plan=plans(), data=st.data())
        def law(plan: Plan, data: st.DataObject) -> None:
            flow = Flow(plan)
            for _ in range(data.draw(st.integers(5, 30))):
                if flow.state.running:
                    happen(flow, data.draw(st.sampled_from(MOVES)), data)
            if data.draw(st.integers(0, 4)) == 0:
                flow.cancel()
            assert turns.agrees(flow.history, plan).state == flow.state

        law()


def test_runs_of_steps_whose_workers_are_lost_late_and_in_doubt() -> None:
    with counted(0.95) as turns:

        @settings(max_examples=300, deadline=None)
        @given(plan=step_plans(), data=st.data())
        def law(plan: Plan, data: st.DataObject) -> None:
            world = World(plan)
            for _ in range(data.draw(st.integers(3, 15))):
                path = data.draw(st.sampled_from(sorted(world.state.steps)))
                world.move(data.draw(st.sampled_from(STEP_MOVES)), path, stale=data.draw(st.booleans()))
            assert turns.agrees(world.history, plan).state == world.state

        law()
        # What showed progress is in the history as a digest.
        assert turns.not_compared.keys() <= {"step_started"}


def test_sagas() -> None:
    with counted(1.0) as turns:

        @settings(max_examples=400, deadline=None)
        @given(flow=flows(), data=st.data())
        def law(flow: Block, data: st.DataObject) -> None:
            run = runs(flow, data)
            last = data.draw(st.sampled_from(LAST_MOVES))
            for move in data.draw(st.lists(st.sampled_from(SAGA_MOVES), max_size=14)):
                if run.state.running:
                    happen_to_sagas(run, move, data)
            if run.state.running and last == "cancel":
                run.cancel()
            elif run.state.running and last == "time is over":
                run.time_is_over()
            settle(run)
            assert turns.agrees(run.history, run.plan).state == run.state

        law()


def test_journals() -> None:
    with counted(1.0) as turns:

        @settings(max_examples=300, deadline=None)
        @given(data=st.data())
        def law(data: st.DataObject) -> None:
            world = JournalWorld()
            moves = st.tuples(
                st.sampled_from(sorted(JOURNAL_MOVES)), st.sampled_from(POSITIONS), st.booleans(), st.booleans()
            )
            for name, position, stale, again in data.draw(st.lists(moves, min_size=5, max_size=30)):
                world.move(name, position, stale=stale, again=again)
            assert turns.agrees(world.history, world.plan).state == world.state

        law()


def test_limits() -> None:
    with counted(1.0) as turns:

        @settings(max_examples=200, deadline=None)
        @given(st.lists(st.tuples(st.sampled_from(LIMIT_MOVES), st.integers(0, 50)), min_size=5, max_size=40))
        def law(moves: list[tuple[str, int]]) -> None:
            run = LimitedRun()
            for name, at in moves:
                run.move(name, at)
            assert turns.agrees(run.history, LIMITED).state == run.state

        law()


def test_turns_of_conversations() -> None:
    with counted(1.0) as turns:

        @settings(max_examples=150, deadline=None)
        @given(data=st.data(), count=st.integers(1, 4), plan=st.sampled_from((talk(), branches())))
        def law(data: st.DataObject, count: int, plan: Plan) -> None:
            speech = Speech(plan)
            for _ in range(count):
                before = speech.before
                speech.begin()
                while speech.state.running:
                    happen_to_a_turn(speech, data)
                speech.end()
                assert turns.agrees(speech.history, plan, before).state == speech.before

        law()


def test_forks_from_their_beginning_on() -> None:
    turns = Counted()

    @settings(max_examples=200, deadline=None)
    @given(plan=plans(), data=st.data())
    def law(plan: Plan, data: st.DataObject) -> None:
        flow = Flow(plan)
        for move in data.draw(st.lists(st.sampled_from(MOVES), max_size=10)):
            if flow.state.running:
                happen(flow, move, data)
        turn = forked(flow.history, plan)
        if isinstance(turn, Reject):
            assert code(turn) == "nothing_to_do"
            return
        found = turns.agrees(turn.events, plan)
        assert found.compared == 1
        assert found.state == turn.state

    law()
    assert turns.not_compared.keys() == {OF_ANOTHER_RUN}


def test_the_floor_is_held_by_a_count() -> None:
    with pytest.raises(AssertionError, match="0 of 2000 compared"), counted(0.5) as turns:
        turns.not_compared["step_started"] += 2_000
