"""A siege: the moves of a seeded plan against a cluster, engines and workers under load, then quiet, then the judge.

One thread polls the load and drives all moves that are under way; a move begins when those it meets are free. What the
seed decides is the order of the moves and their details; when they meet what, the machine decides.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.chaos import verdict
from tests.chaos.attacks import Attacks, Steps
from tests.chaos.camp import PARTITIONS, Camp
from tests.chaos.load import Load
from tests.chaos.plan import LATE, Move
from tests.chaos.processes import Victim
from tests.chaos.report import Outcome
from tests.chaos.spoiling import Spoiling
from tests.chaos.weather import Weather

from logkeel.errors import ConsumerFenced, LogkeelError, LogUnavailable

LOW: Final = 60
RUNS_PER_SECOND: Final = 12.0
MOST_AT_ONCE: Final = 4
LEAST_SPACING_S: Final = 0.7
"""Moves that are late do not come all at once."""

STARTING_S: Final = 60.0
START_S: Final = 90.0
END_S: Final = 240.0
LATEST: Final = 1.4
"""A siege that takes longer than this times its minutes ends early, with a fault."""

BROKERS: Final = "brokers"


@dataclass(eq=False)
class _UnderWay:
    steps: Steps
    whom: frozenset[str]
    due_s: float = 0.0


class Siege:
    """One siege of one camp."""

    def __init__(self, camp: Camp, say: Callable[[str], None]) -> None:
        self.outcome = Outcome()
        self._camp, self._say = camp, say
        self._began_s = time.monotonic()
        done, faults = self.outcome.done, self.outcome.faults
        self._attacks = Attacks(camp, done, faults, tell=self._tell, calm=lambda: BROKERS not in self._busy)
        self._weather = Weather(camp, done, faults, self._tell)
        self._spoiling = Spoiling(camp, done, faults, self._tell)
        self._under_way: list[_UnderWay] = []
        self._allowance = 0.0
        self._polled_s = time.monotonic()

    @property
    def _load(self) -> Load:
        return self._camp.load

    def run(self, moves: list[Move], minutes: float) -> Outcome:
        """Everything, from the first start to the verdict."""
        for victim in self._camp.victims:
            victim.start()
        self._wait(lambda: len(self._load.completions) > LOW, "no run completes", START_S)
        self._began_s = time.monotonic()
        spacing_s = 60 * minutes / len(moves)
        for number, move in enumerate(moves):
            self._turns(lambda number=number: time.monotonic() - self._began_s >= number * spacing_s)  # type: ignore[misc]
            self._begin(move)
            self._pause(LEAST_SPACING_S)
            if time.monotonic() - self._began_s > LATEST * 60 * minutes:
                self.outcome.faults.append(f"{len(moves) - number - 1} moves were not made in time")
                break
        self._turns(lambda: not self._under_way)
        self._weather.heal()
        self._wait(lambda: self._load.unfinished == 0, "runs stay unfinished", END_S, more=False)
        self._end()
        self._judge()
        self.outcome.seconds = time.monotonic() - self._began_s
        return self.outcome

    # Moves

    def _begin(self, move: Move) -> None:
        """Wait until whom it meets is free, and begin."""
        attacks, weather, spoiling = self._attacks, self._weather, self._spoiling
        single: Mapping[str, tuple[str, Callable[..., Steps]]] = {
            "kill engine": ("engine", attacks.kill_engine),
            "kill worker": ("worker", attacks.kill_worker),
            "freeze engine": ("engine", attacks.freeze),
            "freeze worker": ("worker", attacks.freeze),
            "restart engine": ("engine", attacks.restart),
            "restart worker": ("worker", attacks.restart),
            "corrupt a store": ("engine", attacks.corrupt),
            "delete a state directory": ("engine", attacks.delete),
            "fill a disk": ("engine", attacks.fill_disk),
        }
        network = {
            "cut a proxy": "cut",
            "delay at a proxy": "delay",
            "lose answers at a proxy": "drop_answers",
            "refuse at a proxy": "refuse",
        }
        engines = [f"engine-{slot}" for slot in range(3)]
        workers = [f"worker-{slot}" for slot in range(3)]
        if move.kind in single:
            role, attack = single[move.kind]
            name = self._free_one(role, move.target)
            victim = next(each for each in self._camp.victims if each.name == name)
            self._go(attack(victim, move), {name})
        elif move.kind in network:
            what = network[move.kind]
            # Together with a broker that is away these would leave no majority to talk to.
            whom = {BROKERS} if what in ("drop_answers", "refuse") else set()
            self._when_free(whom, lambda: weather.disturb(what, move))
        elif move.kind == "end in doubt":
            self._go(weather.doubt(move), set())
        elif move.kind == "kill broker":
            self._when_free({BROKERS}, lambda: weather.kill_broker(move.target + 1, move))
        elif move.kind == "rolling restart":
            self._when_free({BROKERS}, lambda: weather.roll(move))
        elif move.kind == "scale 3 to 1 to 3":
            leaving = [victim for victim in self._camp.victims if not victim.name.endswith(str(move.target))]
            self._when_free({each.name for each in leaving}, lambda: attacks.scale(leaving, move))
        elif move.kind == "expire offsets of engines":
            group = self._camp.settings.names.engine_group
            self._when_free({*engines}, lambda: spoiling.expire_offsets(self._camp.engines, group, move))
        elif move.kind == "expire offsets of workers":
            group = self._camp.settings.names.worker_group("default")
            self._when_free({*workers}, lambda: spoiling.expire_offsets(self._camp.workers, group, move))
        elif move.kind in LATE:
            spoil = spoiling.truncate if move.kind == LATE[0] else spoiling.recreate
            self._when_free({*engines, BROKERS}, lambda: spoil(move))
        else:
            raise AssertionError(f"no such move: {move.kind}")

    def _free_one(self, role: str, target: int) -> str:
        """The one that the plan names, else another one; waits until one is free."""
        names = [f"{role}-{(target + step) % 3}" for step in range(3)]
        self._turns(lambda: len(self._under_way) < MOST_AT_ONCE and any(name not in self._busy for name in names))
        return next(name for name in names if name not in self._busy)

    def _when_free(self, whom: set[str], begin: Callable[[], Steps]) -> None:
        self._turns(lambda: not whom & self._busy)
        self._go(begin(), whom)

    def _go(self, steps: Steps, whom: set[str]) -> None:
        self._under_way.append(_UnderWay(steps, frozenset(whom)))
        self._advance()

    @property
    def _busy(self) -> frozenset[str]:
        return frozenset[str]().union(*(each.whom for each in self._under_way))

    # Time

    def _turns(self, met: Callable[[], bool]) -> None:
        while not met():
            self._turn()

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        self._turns(lambda: time.monotonic() >= until)

    def _turn(self, *, more: bool = True) -> None:
        self._advance()
        now_s = time.monotonic()
        self._allowance = min(LOW, self._allowance + (now_s - self._polled_s) * RUNS_PER_SECOND)
        self._polled_s = now_s
        if more and self._load.unfinished < 4 * LOW and self._allowance >= 1:
            self._load.request(int(self._allowance))
            self._allowance -= int(self._allowance)
        asleep = any(name.startswith("worker") for name in self._attacks.frozen)
        try:
            self._load.poll(may_answer=not asleep and not self._weather.rough)
        except LogUnavailable:
            self.outcome.done["polls without a broker"] += 1
        self._check_lives()

    def _advance(self) -> None:
        for each in list(self._under_way):
            if time.monotonic() >= each.due_s:
                try:
                    each.due_s = time.monotonic() + next(each.steps)
                except StopIteration:
                    self._under_way.remove(each)
                except LogkeelError as error:
                    self._under_way.remove(each)
                    self.outcome.faults.append(f"a move could not be made: {error!r}")
                    self._tell(f"FAULT {self.outcome.faults[-1]}")

    def _check_lives(self) -> None:
        for victim in self._camp.victims:
            if not victim.alive and victim.name not in self._busy and victim.name not in self._attacks.full:
                self._ended(victim)
                victim.start()

    def _ended(self, victim: Victim) -> None:
        """Two ends are as they should be: fenced (P11), and a start at which no broker answered."""
        code, said = victim.handle.returncode if victim.handle else None, victim.tail()
        young = time.monotonic() - victim.started_s < STARTING_S
        if code == ConsumerFenced.exit_code and f"{ConsumerFenced.code}: " in said:
            self.outcome.done["members that left, fenced"] += 1
            self._tell(f"{victim.name} left, fenced")
        elif code == LogUnavailable.exit_code and young:
            self.outcome.done["starts without a broker"] += 1
            self._tell(f"{victim.name} found no broker")
        else:
            self.outcome.faults.append(f"{victim.name} ended by itself with {code}: {said}")
            self._tell(f"FAULT {self.outcome.faults[-1]}")

    def _wait(self, met: Callable[[], bool], message: str, timeout_s: float, *, more: bool = True) -> None:
        deadline = time.monotonic() + timeout_s
        while not met():
            self._turn(more=more)
            if time.monotonic() > deadline:
                self.outcome.faults.append(f"{message}: {self._load.unfinished} unfinished")
                return

    def _tell(self, text: str) -> None:
        at_s = time.monotonic() - self._began_s
        self._say(f"{at_s:6.1f} s {self._load.unfinished:4} unfinished of {self._load.sent:6}  {text}")

    # The end

    def _end(self) -> None:
        for victim in self._camp.victims:
            if victim.alive and victim.stop() != 0:
                self.outcome.faults.append(f"{victim.name} did not leave well: {victim.tail()}")

    def _judge(self) -> None:
        camp, outcome, load = self._camp, self.outcome, self._load
        spoilt = outcome.done["stores corrupted"] > 0
        folders = [camp.tables(engine) for engine in camp.engines]
        outcome.faults += verdict.faults_of_stores(camp.changelog, folders, may_be_corrupt=spoilt)
        outcome.faults += verdict.faults_of_runs(load)
        effects, outcome.done["doubles in the window of P39"] = verdict.faults_of_effects(camp.ledger, camp.victims)
        states, outcome.done["events"] = verdict.faults_of_states(load, camp.changelog, PARTITIONS)
        outcome.faults += effects + states
        outcome.killed_at = self._attacks.killed_at
        outcome.done["runs"], outcome.done["human asked"] = load.sent, load.asked
        outcome.done["stuck runs"] = load.unfinished
        said = [engine.log.read_text(errors="replace") for engine in camp.engines]
        outcome.done["commits in doubt"] = sum(text.count('"where": "transaction in_doubt"') for text in said)
        outcome.done["producers retired"] = sum(text.count('"where": "producer retired"') for text in said)
