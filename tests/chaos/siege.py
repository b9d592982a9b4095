"""A siege: the moves of a seeded plan against a cluster, engines and workers under load, then quiet, then the judge.

One thread polls the load and drives all moves that are under way; a move begins when those it meets are free. What the
seed decides is the order of the moves and their details; when they meet what, the machine decides.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.chaos import verdict
from tests.chaos.attacks import Attacks, Steps
from tests.chaos.camp import PARTITIONS, Camp
from tests.chaos.load import Load
from tests.chaos.plan import EARLY, LATE, Move
from tests.chaos.processes import Victim
from tests.chaos.report import Outcome
from tests.chaos.spoiling import Spoiling
from tests.chaos.weather import Weather

from logkeel.errors import ClientStuck, ConsumerFenced, LogkeelError, LogUnavailable

LOW: Final = 60
RUNS_PER_SECOND: Final = 12.0
MOST_OF_A_ROLE: Final = 2
LONG_S: Final = 15.0
"""A move that waits for several at once waits no longer than this before it keeps them free for itself."""

LEAST_SPACING_S: Final = 0.7
"""Moves that are late do not come all at once."""

STARTING_S: Final = 60.0
START_S: Final = 90.0
END_S: Final = 240.0
LATEST: Final = 1.4
"""A siege that takes longer than this times its minutes ends early, with a fault."""

BROKERS: Final = "brokers"


@dataclass(eq=False)
class _Wish:
    """A move that has not begun: `whom` are the groups of names that it could meet."""

    whom: Sequence[Sequence[str]]
    begin: Callable[[Sequence[str]], Steps]
    since_s: float = field(default_factory=time.monotonic)


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
        self._waiting: list[_Wish] = []
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
            if move.kind in LATE:
                self._drain(minutes)
            self._turns(lambda number=number: time.monotonic() - self._began_s >= number * spacing_s)  # type: ignore[misc]
            self._waiting.append(self._wish(move))
            self._pause(LEAST_SPACING_S)
        self._drain(minutes)
        self._weather.heal()
        self._wait(lambda: self._load.unfinished == 0, "runs stay unfinished", END_S, more=False)
        self._end()
        self._judge()
        self.outcome.seconds = time.monotonic() - self._began_s
        return self.outcome

    # Moves

    def _wish(self, move: Move) -> _Wish:
        """Whom the move may meet, in the order of preference, and how it begins."""
        attacks, weather, spoiling, camp = self._attacks, self._weather, self._spoiling, self._camp
        single: Mapping[str, Callable[[Victim, Move], Steps]] = {
            "kill engine": attacks.kill_engine,
            "kill worker": attacks.kill_worker,
            "freeze engine": attacks.freeze,
            "freeze worker": attacks.freeze,
            "restart engine": attacks.restart,
            "restart worker": attacks.restart,
            "corrupt a store": attacks.corrupt,
            "delete a state directory": attacks.delete,
            "fill a disk": attacks.fill_disk,
        }
        network = {
            "cut a proxy": "cut",
            "delay at a proxy": "delay",
            "lose answers at a proxy": "drop_answers",
            "refuse at a proxy": "refuse",
        }
        kind = move.kind
        if kind in single:
            some = camp.workers if kind.endswith("worker") else camp.engines
            ordered = [some[(move.target + step) % len(some)] for step in range(len(some))]
            return _Wish([[each.name] for each in ordered], lambda whom: single[kind](self._named(whom[0]), move))
        if kind in network:
            # Together with a broker that is away these would leave no majority to talk to.
            whom = [BROKERS] if network[kind] in ("drop_answers", "refuse") else []
            return _Wish([whom], lambda _: weather.disturb(network[kind], move))
        engines, workers = [each.name for each in camp.engines], [each.name for each in camp.workers]
        leaving = [each for each in camp.victims if not each.name.endswith(str(move.target))]
        names = camp.settings.names
        return {
            "end in doubt": _Wish([[]], lambda _: weather.doubt(move)),
            "kill broker": _Wish([[BROKERS]], lambda _: weather.kill_broker(move.target + 1, move)),
            "rolling restart": _Wish([[BROKERS]], lambda _: weather.roll(move)),
            "scale 3 to 1 to 3": _Wish([[each.name for each in leaving]], lambda _: attacks.scale(leaving, move)),
            EARLY[0]: _Wish([engines], lambda _: spoiling.expire_offsets(camp.engines, names.engine_group, move)),
            EARLY[1]: _Wish(
                [workers], lambda _: spoiling.expire_offsets(camp.workers, names.worker_group("default"), move)
            ),
            LATE[0]: _Wish([[*engines, BROKERS]], lambda _: spoiling.truncate(move)),
            LATE[1]: _Wish([[*engines, BROKERS]], lambda _: spoiling.recreate(move)),
        }[kind]

    def _named(self, name: str) -> Victim:
        return next(each for each in self._camp.victims if each.name == name)

    def _fulfil(self) -> None:
        """Begin what can begin. What has waited for long keeps the others from whom it waits for."""
        kept: set[str] = set()
        for wish in list(self._waiting):
            whom = next((each for each in wish.whom if self._may_take(each, kept)), None)
            if whom is not None:
                self._waiting.remove(wish)
                self._under_way.append(_UnderWay(wish.begin(whom), frozenset(whom)))
            elif time.monotonic() - wish.since_s > LONG_S and len(wish.whom) == 1:
                kept.update(wish.whom[0])

    def _may_take(self, whom: Sequence[str], kept: set[str]) -> bool:
        """Whether they are free; of three engines and three workers, a move that meets one leaves one alone."""
        busy = self._busy
        if set(whom) & (busy | kept):
            return False
        role = whom[0].partition("-")[0] if len(whom) == 1 else ""
        return sum(name.startswith(f"{role}-") for name in busy) < MOST_OF_A_ROLE

    def _drain(self, minutes: float) -> None:
        """Until nothing waits and nothing is under way."""
        while self._waiting or self._under_way:
            self._turn()
            if time.monotonic() - self._began_s > LATEST * 60 * minutes and self._waiting:
                self.outcome.faults.append(f"{len(self._waiting)} moves were not made in time")
                self._waiting.clear()

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
        self._fulfil()
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
        """Some ends are as they should be: fenced (P11), stuck in the client, a start at which no broker answered."""
        code, said = victim.handle.returncode if victim.handle else None, victim.tail()
        young = time.monotonic() - victim.started_s < STARTING_S
        if code == ConsumerFenced.exit_code and f"{ConsumerFenced.code}: " in said:
            self.outcome.done["members that left, fenced"] += 1
            self._tell(f"{victim.name} left, fenced")
        elif code == ClientStuck.exit_code and f"{ClientStuck.code}: " in said:
            self.outcome.done["processes that were stuck in the client"] += 1
            self._tell(f"{victim.name} was stuck in the client: {said[-1_200:]}")
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
        for what, where in (("commits in doubt", "transaction in_doubt"), ("producers retired", "producer retired")):
            outcome.done[what] = sum(len(re.findall(rf'"where": ?"{where}"', text)) for text in said)
