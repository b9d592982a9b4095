"""Laws of budgets that runs share, over any order of claims, releases and time: of one line, and of a run's claims."""

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.budgets.budgeted import budgeted, of_run, shared
from tests.unit.budgets.test_budget_laws import AT_MOST, EFFECTS, MOVES, OUTCOMES, told
from tests.unit.runs.scripts import flow_of, started, step_block

from logkeel.definitions import ParallelBlock, RetryPolicy
from logkeel.records import AcquireLimit, CancelRun, LimitAnswered, ReleaseLimit
from logkeel.runs.core import requests
from logkeel.runs.core.actions import AcquireSlot, DispatchStep, ReleaseSlot
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.answers import answer
from logkeel.runs.core.budget_line import BudgetLine
from logkeel.runs.core.budgeting import go_on
from logkeel.runs.core.limit_line import AskerName, Served
from logkeel.runs.core.limiting import answered

T0 = 1_000_000


@dataclass
class Counted:
    """A shared budget, and what a bystander counts of it. Claims of an asker follow each other."""

    limit: int
    per_ms: int | None
    or_fail: bool
    line: BudgetLine = field(default_factory=BudgetLine)
    now_ms: int = T0
    numbers: Counter[str] = field(default_factory=Counter)
    open: dict[str, tuple[int, int]] = field(default_factory=dict)
    holding: dict[str, int] = field(default_factory=dict)
    used: list[tuple[int, int]] = field(default_factory=list)

    def acquire(self, who: str, amount: int) -> None:
        if who not in self.open:
            self.numbers[who] += 1
            self.open[who] = (self.numbers[who], min(amount, self.limit))
        number, amount = self.open[who]
        self._hear(self.line.acquire(self._question(who, number, amount), self.now_ms))

    def release(self, who: str, used: int | None, *, again: bool) -> None:
        if who not in self.open:
            return
        number, amount = self.open.pop(who)
        said = None if used is None else min(used, amount)
        if who in self.holding:
            del self.holding[who]
            self.used.append((self.now_ms, amount if said is None else said))
        word = ReleaseLimit(
            kind="budget", name="n", key="", run_id=who, incarnation="i", path="p", number=number, used=said
        )
        for _ in range(1 + again):
            self._hear(self.line.release(word, self.now_ms))

    def passes(self, by_ms: int) -> None:
        self.now_ms += by_ms
        due_ms = self.line.head.due_ms
        if due_ms is not None and due_ms <= self.now_ms:
            self._hear(self.line.on_timer(self.now_ms))

    def spent(self) -> int:
        """What counts now, however it was told."""
        return sum(amount for at_ms, amount in self.used if self.per_ms is None or at_ms + self.per_ms > self.now_ms)

    def _hear(self, served: list[Served]) -> None:
        for name, asker, error in served:
            who = name.run_id
            if error is not None:
                assert self.or_fail
                assert self.spent() + asker.amount > self.limit, "what is refused has no room whoever gives back"
                del self.open[who]
                continue
            self.holding[who] = asker.amount
        assert self.spent() + sum(self.holding.values()) <= self.limit, "never above the budget, in no window"
        assert self.line.head.in_use == sum(self.holding.values())
        waiting = self.open.keys() - self.holding.keys()
        if waiting and not self.holding:
            assert self.line.head.due_ms is not None, "who waits for time has a timer"

    def _question(self, who: str, number: int, amount: int) -> AcquireLimit:
        return AcquireLimit(
            kind="budget", name="n", key="", limit=self.limit, per_ms=self.per_ms, run_id=who, incarnation="i",
            path="p", number=number, home_partition=0, amount=amount, or_fail=self.or_fail,
        )  # fmt: skip


LINE_MOVES = st.lists(
    st.tuples(
        st.sampled_from(("acquire", "acquire", "release", "release twice", "lost", "time")),
        st.sampled_from("abcdef"),
        st.integers(0, 400),
    ),
    max_size=60,
)


@given(st.integers(1, 300), st.none() | st.integers(1, 1_000), st.booleans(), LINE_MOVES)
def test_a_shared_budget_is_never_exceeded_settles_once_and_serves_everybody(
    limit: int, per_ms: int | None, or_fail: bool, moves: list[tuple[str, str, int]]
) -> None:
    counted = Counted(limit, per_ms, or_fail or per_ms is None)
    for move, who, amount in moves:
        match move:
            case "acquire":
                counted.acquire(who, amount)
            case "time":
                counted.passes(amount)
            case _:
                counted.release(who, None if move == "lost" else amount, again=move == "release twice")
    for _ in range(20):
        while counted.holding:
            counted.release(next(iter(counted.holding)), 0, again=False)
        counted.passes(per_ms or 0)
    assert not counted.open, "nobody starves"
    assert not counted.line.askers
    assert not counted.line.waiting
    if per_ms is not None:
        assert counted.line.is_forgotten
        assert not counted.line.charges
    else:
        assert counted.line.head.spent == counted.spent()


def test_a_newer_claim_puts_an_older_one_out_that_counts_in_full() -> None:
    line = BudgetLine()
    question = AcquireLimit(
        kind="budget", name="n", key="", limit=100, run_id="r", incarnation="i", path="p", number=3, home_partition=0,
        amount=40, or_fail=True,
    )  # fmt: skip
    assert [error for _, _, error in line.acquire(question, T0)] == [None]
    assert [error for _, _, error in line.acquire(replace(question, number=9), T0)] == [None]
    assert (line.head.spent, line.head.in_use) == (40, 40)
    assert line.acquire(question, T0) == [], "the older one comes late"
    assert line.askers.keys() == {AskerName("r", "i", "p")}


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_what_a_run_claims_it_gives_back_once_with_what_its_history_says_it_used(data: st.DataObject) -> None:
    fork = ParallelBlock(id="fork", branches=tuple(step_block(name) for name in "abc"))
    budgets = [shared(1_000), *([of_run(data.draw(st.integers(50, 200)))] if data.draw(st.booleans()) else [])]
    uses = {name: {"tokens": most} for name, most in AT_MOST.items()}
    effects = {name: data.draw(st.sampled_from(EFFECTS)) for name in "abc"}
    retry = RetryPolicy(max_attempts=3, initial_ms=1)
    turn = started(budgeted(flow_of(fork), budgets, uses, effects=effects, retry=retry))
    state, asked, released = turn.state, list[LimitAnswered](), list[tuple[str, int, int | None]]()
    settled = 0
    for number in range(data.draw(st.integers(0, 25)) + 1):
        for action in turn.actions:
            if isinstance(action, AcquireSlot):
                use = action.use
                asked.append(
                    LimitAnswered(
                        run_id="r",
                        incarnation="0-0-0",
                        path=action.path,
                        number=action.number,
                        kind=use.kind,
                        name=use.name,
                        key=use.key,
                    )
                )
            elif isinstance(action, ReleaseSlot):
                released.append((action.path, action.number, action.used))
            elif isinstance(action, DispatchStep):
                assert state.claims[action.path].is_whole or not state.running, "nothing is sent without its share"
        settled += sum(e.amounts.get("tokens", 0) for e in turn.events if e.kind != "step_dispatched")
        assert sum(used or 0 for _, _, used in released) == settled, "what is settled is told, at once"
        turn = Activation(state, turn.plan, turn.now_ms + 1_000 * number)
        open_paths = sorted(state.steps)
        move = data.draw(st.sampled_from(["grant", "grant", *OUTCOMES, *MOVES]))
        if move == "grant" or not open_paths:
            answered(turn, data.draw(st.sampled_from(asked)))
        elif move in OUTCOMES:
            path = data.draw(st.sampled_from(open_paths))
            answer(turn, told(state, path, data.draw(st.none() | st.integers(0, 60)), move))
        else:
            MOVES[move](turn, data.draw(st.sampled_from(open_paths)))
        go_on(turn)
    requests.cancel(turn, CancelRun(run_id="r"), "q")
    released += [(each.path, each.number, each.used) for each in turn.actions if isinstance(each, ReleaseSlot)]
    asked += [
        LimitAnswered(
            run_id="r", incarnation="0-0-0", path=each.path, number=each.number, kind="budget", name="", key=""
        )
        for each in turn.actions
        if isinstance(each, AcquireSlot)
    ]
    assert Counter((path, number) for path, number, _ in released) == Counter((x.path, x.number) for x in asked)
    assert not state.claims
