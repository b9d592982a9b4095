"""Laws of calls that keep to limits and budgets: whatever workers and lines say, in any order, twice, late."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.budgets.budgeted import of_run, shared
from tests.unit.journals.scripts import entry_sent
from tests.unit.runs.scripts import failed, reclaimed, released, succeeded
from tests.unit.uses.calls import CALLS, MODEL, MOST, POSITIONS, TOKENS, Calls, account, asking, outcome

from logkeel.definitions import BudgetDefinition
from logkeel.records import CancelRun, JournalEntry, PauseRun, ResumeRun, StepFailed, StepRefused
from logkeel.runs.core import pausing, requests, waking
from logkeel.runs.core.answers import answer
from logkeel.runs.core.redeciding import redecide

PURSE = 90


class World(Calls):
    """A worker that begins a try where the journal of its command says that it may; what has begun is noted."""

    def __init__(self, *budgets: BudgetDefinition, limits: bool) -> None:
        super().__init__(*budgets)
        self.limits = (MODEL, CALLS) if limits else ()
        self.begun: set[int] = set()
        self.running: dict[str, int] = {}
        self.tries: dict[str, int] = {}
        self.dispatch = 1
        self.starts: list[int] = []

    def want(self, position: str) -> None:
        """A call asks, unless the journal it has shows that it did."""
        self._heed()
        if f"{position}.s" not in self.journal and position not in self.journal and position not in self.tries:
            self.tries[position] = 0
            self.tell(self.asks(position, 0))

    def asks(self, position: str, ordinal: int, used: int | None = None) -> JournalEntry:
        """The wait of a try."""
        return asking(position, ordinal, used=used, limits=self.limits, uses={"tokens": MOST})

    def begin(self, position: str) -> None:
        """It begins, once."""
        self._heed()
        slot = self.journal.get(f"{position}.s")
        if slot is None or slot.state != "done" or self.tries.get(position, slot.ordinal) != slot.ordinal:
            return
        if position in self.running or position in self.journal or self.state.steps["a"].phase == "suspended":
            return
        if f"a?{position}.s" not in self.state.claims:
            return  # taken away, of which this worker has not heard yet: its next word counts no more
        self.tries[position] = slot.ordinal
        number = self.state.claims[f"a?{position}.s"].number
        assert number not in self.begun, "a try that was granted begins once, in one execution"
        self.begun.add(number)
        self.running[position] = number

    def end(self, position: str, used: int | None, state: str) -> None:
        """The call has its outcome, or its next try is asked for."""
        self._heed()
        if self.running.pop(position, None) is None:
            return
        if state == "again":
            self.tries[position] += 1
            self.tell(self.asks(position, self.tries[position], used))
        else:
            self.tell(outcome(position, state, used=used))

    def tell(self, entry: JournalEntry, *, dispatch: int | None = None) -> None:
        self.say(entry, dispatch=dispatch)

    def stop(self) -> None:
        """All code waits, if so."""
        self._heed()
        if not self.running:
            self.suspend()

    def _heed(self) -> None:
        step = self.state.steps.get("a")
        if step is not None and step.dispatch != self.dispatch:
            self.dispatch, self.running, self.tries = step.dispatch, {}, {}

    def check(self, limit: int) -> None:
        """Never more than allowed."""
        spent, reserved = account(self)
        assert spent + reserved <= limit
        self._heed()
        if self.limits and self.state.steps["a"].phase in ("dispatched", "started"):
            line = self.lines.get(("concurrency", "model", ""))
            alive = [n for n in self.running.values() if any(c.number == n for c in self.state.claims.values())]
            assert len(alive) <= MODEL.limit
            assert line is None or line.head.in_use <= MODEL.limit


def _step_due(world: World) -> None:
    step = world.state.steps["a"]
    waking.step_due(world.next(), "a", step.dispatch if step.due_ms is not None else 0)
    world.over()


def _request(ask: Callable[..., None], request: object) -> Callable[[World], None]:
    def move(world: World) -> None:
        ask(world.next(), request, "q")
        world.over()

    return move


def _in_doubt(world: World) -> None:
    message = failed(world.state, "a", "in_doubt", in_doubt=True)
    assert isinstance(message, StepFailed)
    answer(world.next(), message)
    world.over()


EVENTS: dict[str, Callable[[World], object]] = {
    "lost": lambda w: w.hear(reclaimed(w.state, "a", holder_dead=True)),
    "given back": lambda w: w.hear(released(w.state, "a", was_started=True)),
    "unbegun": lambda w: w.running or w.hear(released(w.state, "a", was_started=False)),
    "refused": lambda w: w.hear(StepRefused(identity=succeeded(w.state, "a").identity, holder="w", reason="no")),
    "failed": lambda w: w.hear(failed(w.state, "a")),
    "in doubt": _in_doubt,
    "due": _step_due,
    "pause": _request(pausing.pause, PauseRun(run_id="r")),
    "resume": _request(pausing.resume, ResumeRun(run_id="r")),
    "succeed": lambda w: w.running or w.hear(succeeded(w.state, "a")),
    "cancel": _request(requests.cancel, CancelRun(run_id="r")),
}
WORK = (
    "want",
    "want",
    "begin",
    "begin",
    "end",
    "stop",
    "carry",
    "carry",
    "settle",
    "settle",
    "tick",
    "zombie",
    "twice",
)


def do(world: World, data: st.DataObject) -> None:
    """One thing that may happen."""
    move = data.draw(st.sampled_from([*WORK, *WORK, *EVENTS]))
    position = data.draw(st.sampled_from(POSITIONS))
    match move:
        case "want":
            world.want(position)
        case "begin":
            world.begin(position)
        case "end":
            used = data.draw(st.none() | st.integers(0, MOST))
            world.end(position, used, data.draw(st.sampled_from(["done", "failed", "again"])))
        case "stop":
            world.stop()
        case "carry":
            world.carry(twice=data.draw(st.booleans()))
        case "settle":
            world.stop()
            world.settle()
        case "tick":
            world.next(after_ms=3_000)
            world.tick()
        case "zombie":
            entry = data.draw(st.sampled_from([world.asks(position, 0), outcome(position)]))
            world.tell(entry, dispatch=max(1, world.state.steps["a"].dispatch - 1) if world.dispatch > 1 else 99)
        case "twice":
            entries = [event.journal for event in world.history if event.kind == "step_journaled" and event.journal]
            mine = [entry for entry in entries[-3:] if world.state.steps["a"].dispatch == world.dispatch]
            for entry in mine[-1:]:
                sent = entry_sent(world.state, entry)
                if any(e.journal == entry and e.dispatch == world.dispatch for e in world.history):
                    world.hear(sent)
        case _:
            EVENTS[move](world)


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_no_try_begins_twice_and_no_limit_or_budget_is_exceeded(data: st.DataObject) -> None:
    limited = data.draw(st.booleans())
    budgets = [of_run(TOKENS)]
    if data.draw(st.booleans()):
        budgets.append(shared(PURSE, data.draw(st.none() | st.just(20_000))))
    world = World(*budgets, limits=limited)
    world._note(world.turn)
    for _ in range(data.draw(st.integers(0, 40))):
        if not world.state.running:
            break
        do(world, data)
        world.check(TOKENS)
    if world.state.running:
        EVENTS["cancel"](world)
    world.settle()
    assert not world.state.claims
    assert account(world)[1] == 0
    for (kind, _, _), line in world.lines.items():
        assert line.head.in_use == 0, f"something of a {kind} is never given back"
        assert line.head.first == line.head.next, "somebody waits for ever"
    found = redecide(world.history, world.plan)
    assert (found.divergence, found.state) == (None, world.state), "the same is decided from what the history tells"
