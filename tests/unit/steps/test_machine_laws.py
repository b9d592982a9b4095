"""Laws of the step machine, driven by a small world that keeps commits and acknowledgements as a log would.

The world runs one process at a time, crashes it anywhere, and starts the next one from the committed offsets. It counts
starts, so that what the machine promises can be held against what happened.
"""

from collections import Counter
from collections.abc import Iterable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.unit.steps.commands import SOURCE, command

from logkeel.records import Effect
from logkeel.steps.machine import Action, Holder, Key, MachineSettings, StepMachine, key_of, parse_mark
from logkeel.steps.machine import messages as m

EFFECTFUL: tuple[Effect, ...] = ("ONCE", "CHECKED")
EFFECTS: tuple[Effect, ...] = (*EFFECTFUL, "NONE", "IDEMPOTENT", "KEYED")


class World(RuleBasedStateMachine):
    """A partition, its committed offset, and the process that owns it."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[Effect] = []
        self.committed: tuple[int, str] = (0, "started=-1")
        self.now_ms = 0
        self.lives = 0
        self.acknowledged: set[int] = set()
        self.started: Counter[int] = Counter()
        self.asked: set[int] = set()
        self.released: set[int] = set()
        self.unacknowledged: list[tuple[Key, bool]] = []
        self.running: dict[Key, bool] = {}
        self.commits: list[m.Commit] = []
        self.paused = False
        self.owned = False
        self._boot()

    def _boot(self) -> None:
        self.lives += 1
        holder = Holder("worker-00", str(self.lives))
        self.it = StepMachine(MachineSettings(holder, concurrency=3, buffered=4, commit_every_ms=50))
        self.running, self.unacknowledged, self.commits = {}, [], []
        self._assign()

    def _assign(self) -> None:
        self.owned = True
        self.do(self.it.handle(m.Assigned(SOURCE, self.committed, 0, len(self.log))))

    def number(self, key: Key) -> int:
        return int(key.run_id.removeprefix("run-"))

    def do(self, actions: Iterable[Action]) -> None:
        for action in actions:
            self.one(action)

    def one(self, action: Action) -> None:
        match action:
            case m.Commit():
                self.commits.append(action)
            case m.StartStep():
                self.start(action)
            case m.SendReclaimed():
                self.asked.add(self.number(key_of(action.command.identity)))
                self.unacknowledged.append((key_of(action.command.identity), True))
            case m.SendReleased():
                self.released.add(self.number(key_of(action.command.identity)))
                self.unacknowledged.append((key_of(action.command.identity), True))
            case m.SendHeartbeat():
                self.unacknowledged.append((key_of(action.command.identity), False))
            case m.Pause():
                self.paused = True
            case m.Resume(positions):
                self.paused = False
                self.position = positions[0][1]
            case m.CancelStep() | m.DrainFinished() | m.SendLetter():
                pass

    def start(self, action: m.StartStep) -> None:
        key = key_of(action.command.identity)
        self.started[action.offset] += 1
        self.running[key] = True
        if action.command.effect in EFFECTFUL:
            mark = parse_mark(self.committed[1])
            assert mark is not None
            assert mark.started >= action.offset, "an effectful command was started without a committed claim"
        assert self.started[action.offset] == 1, "a command was started twice, with no zombie about"

    @rule(effects=st.lists(st.sampled_from(EFFECTS), min_size=1, max_size=6))
    def produce(self, effects: list[Effect]) -> None:
        self.log.extend(effects)

    @precondition(lambda self: self.owned and not self.paused)
    @rule(count=st.integers(1, 5))
    def read(self, count: int) -> None:
        for offset in range(self.position, min(self.position + count, len(self.log))):
            self.do(self.it.handle(m.CommandArrived(SOURCE, offset, command(offset, effect=self.log[offset]))))
            self.position = offset + 1

    @precondition(lambda self: self.owned and len(self.log) > self.position)
    @rule(data=st.data())
    def hear_of_a_commit(self, data: st.DataObject) -> None:
        """The engine of the same process tells of any command that is not read yet, in any order, and again."""
        offset = data.draw(st.integers(self.position, len(self.log) - 1))
        self.do(self.it.handle(m.CommandCommitted(SOURCE, offset, command(offset, effect=self.log[offset]))))

    @rule(by_ms=st.sampled_from([1, 50, 1_000]))
    def tick(self, by_ms: int) -> None:
        self.now_ms += by_ms
        self.do(self.it.handle(m.TimeAdvanced(self.now_ms)))

    @precondition(lambda self: self.commits)
    @rule(outcome=st.sampled_from(["done", "failed", "in doubt"]))
    def commit(self, outcome: str) -> None:
        commit = self.commits.pop(0)
        if outcome != "failed" and self.owned:
            self.committed = commit.offsets[0][1:]
        self.do(self.it.handle(m.Committed(commit) if outcome == "done" else m.CommitFailed(commit)))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), expired=st.booleans())
    def report(self, data: st.DataObject, *, expired: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.running)))
        del self.running[key]
        if expired and self.log[self.number(key)] in EFFECTFUL:
            self.started[self.number(key)] -= 1
            self.do(self.it.handle(m.ClaimExpired(key)))
            return
        self.unacknowledged.append((key, True))
        self.do(self.it.handle(m.Reported(key)))

    @precondition(lambda self: self.unacknowledged)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.unacknowledged) - 1))
        key, final = self.unacknowledged.pop(index)
        self.acknowledged.add(self.number(key))
        self.do(self.it.handle(m.Acknowledged(key, final)))

    @precondition(lambda self: self.owned and not self.commits)
    @rule(clean=st.booleans())
    def revoke_and_return(self, *, clean: bool) -> None:
        if clean:
            self.do(self.it.handle(m.Revoking((SOURCE,))))
            for commit in self.it.final_marks():
                assert isinstance(commit, m.Commit)
                self.committed = commit.offsets[0][1:]
        self.do(self.it.handle(m.Revoked((SOURCE,))))
        self._assign()

    @rule()
    def crash(self) -> None:
        self._boot()

    @invariant()
    def the_low_water_passes_acknowledged_commands_only(self) -> None:
        assert set(range(self.committed[0])) <= self.acknowledged

    @invariant()
    def no_more_run_than_there_are_slots(self) -> None:
        assert len(self.running) <= 3

    def teardown(self) -> None:
        """Nothing is dropped: left alone, every command ends started, asked about or released, and acknowledged."""
        for _ in range(20 * (len(self.log) + 5)):
            self.settle()
        everything = set(range(len(self.log)))
        assert everything == self.acknowledged
        assert everything <= {offset for offset, times in self.started.items() if times} | self.asked | self.released
        assert self.committed[0] == len(self.log)

    def settle(self) -> None:
        if not self.paused:
            self.read(5)
        self.tick(50)
        while self.commits:
            self.commit("done")
        for key in sorted(self.running):
            del self.running[key]
            self.unacknowledged.append((key, True))
            self.do(self.it.handle(m.Reported(key)))
        for key, final in self.unacknowledged:
            self.acknowledged.add(self.number(key))
            self.do(self.it.handle(m.Acknowledged(key, final)))
        self.unacknowledged = []


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
