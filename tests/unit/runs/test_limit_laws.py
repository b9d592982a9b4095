"""Laws of limits, over any order of claims, releases, repetitions and time: of one line, and of a run's claims."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.runs.limited import at_once, limited, per
from tests.unit.runs.scripts import failed, flow_of, reclaimed, started, step_block, succeeded

from logkeel.definitions import ParallelBlock, RetryPolicy
from logkeel.records import (
    AcquireLimit,
    CancelRun,
    LimitAnswered,
    LimitKind,
    PauseRun,
    ReleaseLimit,
    ResolveStep,
    ResumeRun,
    StepRefused,
)
from logkeel.runs.core import pausing, requests, waking
from logkeel.runs.core.actions import AcquireSlot, DispatchStep, ReleaseSlot
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.answers import answer
from logkeel.runs.core.limit_line import Line, Served
from logkeel.runs.core.limiting import answered
from logkeel.runs.core.replay import replay

T0 = 1_000_000


@dataclass
class Counted:
    """A line, and what a bystander counts of it. Claims of an asker follow each other, as those of a step do."""

    kind: LimitKind
    limit: int
    per_ms: int | None = None
    line: Line = field(default_factory=Line)
    now_ms: int = T0
    numbers: Counter[str] = field(default_factory=Counter)
    open: dict[str, int] = field(default_factory=dict)
    holding: set[str] = field(default_factory=set)
    order: list[tuple[str, int]] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)

    def acquire(self, who: str, *, late: bool = False) -> None:
        if late:
            # Of a rate the line forgets whom it has served: told again, it lets one more start go by unused.
            if not self.numbers[who] or (self.per_ms is not None and who not in self.open):
                return
            self._hear(self.line.acquire(self._question(who, self.numbers[who] - 1), self.now_ms))
            return
        if who not in self.open:
            self.numbers[who] += 1
            self.open[who] = self.numbers[who]
            self.order.append((who, self.numbers[who]))
        self._hear(self.line.acquire(self._question(who, self.open[who]), self.now_ms))

    def release(self, who: str, *, late: bool = False) -> None:
        number = self.numbers[who] - 1 if late else self.open.get(who)
        if number is None:
            return
        if not late:
            del self.open[who]
            self.holding.discard(who)
            if (who, number) in self.order:
                self.order.remove((who, number))
        self._hear(self.line.release(self._word(who, number), self.now_ms))

    def passes(self, by_ms: int) -> None:
        self.now_ms += by_ms
        due_ms = self.line.head.due_ms
        if due_ms is not None and due_ms <= self.now_ms:
            self._hear(self.line.on_timer(self.now_ms))

    def _hear(self, served: list[Served]) -> None:
        for name, asker, _ in served:
            who = name.run_id
            if who in self.holding and self.open.get(who) == asker.number:
                continue  # told once more
            assert self.order[0] == (who, asker.number), "nobody is served before who came first"
            self.order.pop(0)
            if self.per_ms is None:
                self.holding.add(who)
                assert len(self.holding) <= self.limit, "never above the limit"
            else:
                del self.open[who]
                self.starts.append(self.now_ms)
                before = self.starts[-self.limit - 1 :]
                assert len(before) <= self.limit or before[-1] - before[0] >= self.per_ms, "in no window"
        self._check()

    def _check(self) -> None:
        assert self.line.head.in_use == len(self.holding)
        if self.order and self.per_ms is None:
            assert len(self.holding) == self.limit, "nobody waits for a slot that is free"
        if self.order and self.per_ms is not None:
            assert self.line.head.due_ms is not None, "who waits for time has a timer"

    def _question(self, who: str, number: int) -> AcquireLimit:
        return AcquireLimit(
            kind=self.kind, name="n", key="", limit=self.limit, per_ms=self.per_ms, run_id=who, incarnation="i",
            path="p", number=number, home_partition=0,
        )  # fmt: skip

    def _word(self, who: str, number: int) -> ReleaseLimit:
        return ReleaseLimit(
            kind=self.kind, name="n", key="", run_id=who, incarnation="i", path="p", number=number
        )  # fmt: skip


MOVES = st.lists(
    st.tuples(
        st.sampled_from(("acquire", "acquire", "release", "acquire late", "release late", "time")),
        st.sampled_from("abcdef"),
        st.integers(0, 400),
    ),
    max_size=60,
)


def play(counted: Counted, moves: list[tuple[str, str, int]]) -> None:
    for move, who, by_ms in moves:
        match move.split():
            case ["acquire", *late]:
                counted.acquire(who, late=bool(late))
            case ["release", *late]:
                counted.release(who, late=bool(late))
            case _:
                counted.passes(by_ms)


@given(st.integers(1, 3), MOVES)
def test_a_line_is_never_above_its_limit_serves_in_order_and_ends_empty(
    limit: int, moves: list[tuple[str, str, int]]
) -> None:
    counted = Counted("concurrency", limit)
    play(counted, moves)
    while counted.open:
        counted.release(next(iter(counted.open)))
    assert counted.line.is_forgotten
    assert not counted.line.askers
    assert not counted.line.waiting


@given(st.integers(1, 3), st.integers(1, 1_000), MOVES)
def test_a_rate_is_never_above_its_limit_and_everybody_gets_their_turn(
    limit: int, per_ms: int, moves: list[tuple[str, str, int]]
) -> None:
    counted = Counted("rate", limit, per_ms)
    play(counted, moves)
    for _ in range(len(counted.order) + 3):
        counted.passes(per_ms)
    assert not counted.order, "nobody starves"
    assert counted.line.is_forgotten
    assert not counted.line.times


@given(st.lists(st.integers(-5_000, 5_000), max_size=20))
def test_a_clock_that_goes_back_lets_nobody_through(jumps: list[int]) -> None:
    line = Line()
    now_ms, last_ms, starts = T0, 0, list[int]()
    for number, by_ms in enumerate(jumps, 1):
        now_ms += by_ms
        question = AcquireLimit(
            kind="rate", name="n", key="", limit=1, per_ms=1_000, run_id=f"r{number}", incarnation="i", path="p",
            number=1, home_partition=0,
        )  # fmt: skip
        last_ms = max(last_ms, now_ms)
        starts += [last_ms for _ in line.acquire(question, now_ms)]
    assert all(later - earlier >= 1_000 for earlier, later in pairwise(starts))


PLAN = limited(
    flow_of(
        ParallelBlock(id="f", branches=(step_block("a"), flow_of(step_block("b"), step_block("c"))), wait="first"),
        ParallelBlock(id="g", branches=(step_block("d"), step_block("e"))),
    ),
    {
        "a": [at_once(1), per(5, 1_000)],
        "b": [at_once(2, key="tenant"), at_once(1)],
        "d": [at_once(1, "other")],
        "e": [per(1, 10, key="tenant")],
    },
    runs=[at_once(3, "runs:work")],
    retry=RetryPolicy(max_attempts=2),
    effects={"a": "CHECKED", "b": "ONCE", "d": "KEYED"},
)
NAMES = (
    "grant",
    "grant",
    "grant",
    "stale",
    "succeed",
    "fail",
    "lost",
    "refuse",
    "due",
    "pause",
    "cancel",
    "doubt",
    "retry",
)


class Run:
    """A run whose limits are played by the test; what it asks for, and gives back."""

    def __init__(self) -> None:
        turn = started(PLAN)
        self.state, self.now_ms = turn.state, turn.now_ms
        self.history = list(turn.events)
        self.asked: list[LimitAnswered] = []
        self.known: Counter[tuple[str, int, tuple[str, str, str]]] = Counter()
        self._keep(turn)

    def move(self, name: str, at: int) -> None:
        self.now_ms += 1_000
        turn = Activation(self.state, PLAN, self.now_ms)
        paths = sorted(self.state.steps)
        path = paths[at % len(paths)] if paths else None
        if name in ("grant", "stale"):
            self._grant(turn, at, stale=name == "stale")
        elif name == "pause":
            if self.state.head.paused_at_ms is None:
                pausing.pause(turn, PauseRun(run_id="r"), "q")
            else:
                pausing.resume(turn, ResumeRun(run_id="r"), "q")
        elif name == "cancel":
            if at % 7 == 0:
                requests.cancel(turn, CancelRun(run_id="r"), "q")
        elif path is not None:
            self._step(turn, name, path)
        self.history += turn.events
        self._keep(turn)

    def _step(self, turn: Activation, name: str, path: str) -> None:
        match name:
            case "succeed":
                answer(turn, succeeded(self.state, path))
            case "fail":
                answer(turn, failed(self.state, path))
            case "doubt":
                answer(turn, failed(self.state, path, "timeout", in_doubt=True))
            case "lost":
                answer(turn, reclaimed(self.state, path, holder_dead=True))
            case "refuse":
                identity = succeeded(self.state, path).identity
                answer(turn, StepRefused(identity=identity, holder="w", reason="unknown"))
            case "due":
                waking.step_due(turn, path, self.state.steps[path].dispatch)
            case _:
                requests.resolve(turn, ResolveStep(run_id="r", path=path, decision="retry"), "q", ())

    def _grant(self, turn: Activation, at: int, *, stale: bool) -> None:
        if self.asked:
            message = self.asked[at % len(self.asked)]
            if not stale:
                waiting = [each for each in self.asked if self._waits(each)]
                message = waiting[at % len(waiting)] if waiting else message
            place = (message.kind, message.name, message.key)
            if not answered(turn, message) and message.kind != "rate":
                self.known[message.path, message.number, place] = 0

    def _waits(self, message: LimitAnswered) -> bool:
        claim = self.state.claims.get(message.path)
        place = (message.kind, message.name, message.key)
        return (
            claim is not None
            and claim.number == message.number
            and not claim.is_whole
            and claim.limits[claim.held].place == place
        )

    def _keep(self, turn: Activation) -> None:
        for action in turn.actions:
            if isinstance(action, AcquireSlot):
                use = action.use
                self.known[action.path, action.number, use.place] += 1
                self.asked.append(
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
                self.known[action.path, action.number, action.use.place] -= 1
            elif isinstance(action, DispatchStep):
                claim = self.state.claims.get(action.path)
                limits = PLAN.steps[action.path].definition.limits
                assert not limits or (claim is not None and claim.is_whole), "nothing is sent without its slots"
        assert self.state.head.claims == len(self.state.claims)
        assert not self.state.freed
        for path, step in self.state.steps.items():
            claim = self.state.claims.get(path)
            out = step.phase in ("dispatched", "started")
            assert claim is None or out or not claim.is_whole, f"{path} is {step.phase}, and holds slots"
        assert replay(self.history, PLAN) == self.state


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 50)), max_size=40))
def test_what_a_run_has_asked_for_it_gives_back_once(moves: list[tuple[str, int]]) -> None:
    run = Run()
    for name, at in moves:
        run.move(name, at)
    run.move("cancel", 0)
    assert not run.state.running
    assert not run.state.claims
    left = {name: count for name, count in run.known.items() if count}
    assert all(count == 1 and place[0] == "rate" for (_, _, place), count in left.items()), left
