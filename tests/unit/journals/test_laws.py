"""Laws of journals: whatever workers send, in any order, twice, late or as zombies."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.journals.scripts import Life, approval, call, entry_sent, journaled_plan, question, suspended, wait
from tests.unit.runs.scripts import failed, heartbeat, reclaimed, released, succeeded, text

from logkeel.records import JournalEntry, ResolveStep, SignalRun
from logkeel.runs.core import questions, requests, waking
from logkeel.runs.core.actions import ClearTimer, DispatchStep, SetTimer
from logkeel.runs.core.answers import answer
from logkeel.runs.core.journal_timers import place_of_timer, timer_path

POSITIONS = ("0", "1", "2.0.0", "2.1.0", "10")
PATHS = ("a", "b")
OUTCOMES = ("done", "failed")
TAKEN = ("step_journaled", "step_resumed", "step_resolved", "question_answered")


class World(Life):
    """Two steps, one after the other, the timers of waits, and every outcome that the engine has taken in."""

    def __init__(self) -> None:
        super().__init__(journaled_plan(*PATHS))
        self.timers: set[tuple[int, str]] = set()
        self.accepted: dict[tuple[str, str], JournalEntry] = {}

    def move(self, name: str, position: str, *, stale: bool, again: bool) -> None:
        for _ in range(1 + again):
            path = next((path for path, step in self.state.steps.items() if step.is_open), "a")
            dispatch = self.state.steps[path].dispatch
            MOVES[name](self, path, position, max(1, dispatch - stale))
            self.check()

    def answer(self, message: object) -> None:
        answer(self.next(), message)  # type: ignore[arg-type]  # any of them

    def check(self) -> None:
        for action in self.turn.actions:
            match action:
                case SetTimer(kind="journal", due_ms=due_ms, path=path):
                    self.timers.add((due_ms, path))
                case ClearTimer(kind="journal", due_ms=due_ms, path=path):
                    self.timers.discard((due_ms, path))
                case DispatchStep(path=path, journal=journal):
                    assert {(path, entry.position): entry for entry in journal} == {
                        key: entry for key, entry in self.state.journal.items() if key[0] == path
                    }
                case _:
                    pass
        for event in self.turn.events:
            if event.journal is not None and event.kind in TAKEN:
                key = ((event.path or "").partition("?")[0], event.journal.position)
                assert key not in self.accepted, "an outcome was taken for another one"
                if event.journal.state in OUTCOMES:
                    self.accepted[key] = event.journal
        self.kept()
        done = {path for path, step in self.state.steps.items() if step.phase == "done"}
        self.accepted = {key: entry for key, entry in self.accepted.items() if key[0] not in done}
        # What was taken in stays until the step has succeeded: no call of it is made again.
        assert self.accepted.items() <= dict(self.state.journal.items()).items()
        waits = {key: wait for key, wait in self.state.journal_waits.items() if self.state.steps[key[0]].is_open}
        expected = {
            (wait.due_ms, timer_path(*key))
            for key, wait in waits.items()
            if wait.due_ms is not None and self.state.steps[key[0]].phase != "waiting"
        }
        assert expected <= self.timers
        if not self.state.running:
            assert not self.timers
        for (path, _), entry in self.state.journal.items():
            pending = entry.waits_for is not None and entry.state == "intent"
            assert ((path, entry.position) in self.state.journal_waits) == pending


def _resolve(world: World, path: str, decision: str) -> None:
    writes = (text("result" if world.state.steps[path].doubt else path, "x"),) if decision == "did" else ()
    requests.resolve(world.next(), ResolveStep(run_id="r", path=path, decision=decision, writes=writes), "q", writes)


def _doubt(world: World, path: str, position: str, dispatch: int) -> None:
    message = failed(world.state, path, "in_doubt", in_doubt=True, dispatch=dispatch)
    world.answer(
        type(message)(**{name: getattr(message, name) for name in message.__struct_fields__} | {"position": position})
    )


Move = Callable[[World, str, str, int], None]
MOVES: dict[str, Move] = {
    "intent": lambda w, p, at, d: w.answer(entry_sent(w.state, call(at, "intent", effect="ONCE"), p, dispatch=d)),
    "done": lambda w, p, at, d: w.answer(entry_sent(w.state, call(at), p, dispatch=d)),
    "failed": lambda w, p, at, d: w.answer(entry_sent(w.state, call(at, "failed"), p, dispatch=d)),
    "sleep": lambda w, p, at, d: w.answer(
        entry_sent(w.state, wait("sleep", at, due_ms=w.now_ms + 5_000), p, dispatch=d)
    ),
    "wait": lambda w, p, at, d: w.answer(entry_sent(w.state, wait("signal", at), p, dispatch=d)),
    "ask": lambda w, p, at, d: w.answer(entry_sent(w.state, question(at, due_ms=w.now_ms + 9_000), p, dispatch=d)),
    "answer": lambda w, p, at, d: questions.answer(w.next(), approval(f"{p}?{at}"), "q"),
    "delegate": lambda w, p, at, d: questions.answer(w.next(), approval(f"{p}?{at}", "delegate"), "q"),
    "suspend": lambda w, p, at, d: w.answer(suspended(w.state, at, path=p, dispatch=d)),
    "signal": lambda w, p, at, d: requests.signal(w.next(), SignalRun(run_id="r", name="go"), "q"),
    "due": lambda w, p, at, d: waking.journal_wait_due(w.next(), *place_of_timer(timer_path(p, at))),
    "beat": lambda w, p, at, d: w.answer(heartbeat(w.state, p)),
    "lost": lambda w, p, at, d: w.answer(reclaimed(w.state, p, holder_dead=True)),
    "given back": lambda w, p, at, d: w.answer(released(w.state, p, was_started=True)),
    "step failed": lambda w, p, at, d: w.answer(failed(w.state, p, dispatch=d)),
    "retry due": lambda w, p, at, d: waking.step_due(w.next(), p, d),
    "doubt": _doubt,
    "did": lambda w, p, at, d: _resolve(w, p, "did"),
    "did not": lambda w, p, at, d: _resolve(w, p, "did_not"),
    "succeed": lambda w, p, at, d: w.answer(succeeded(w.state, p, dispatch=d)),
}


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_whatever_workers_say_the_history_is_the_state_and_no_outcome_is_lost(data: st.DataObject) -> None:
    world = World()
    moves = st.tuples(st.sampled_from(sorted(MOVES)), st.sampled_from(POSITIONS), st.booleans(), st.booleans())
    for name, position, stale, again in data.draw(st.lists(moves, max_size=25)):
        world.move(name, position, stale=stale, again=again)
