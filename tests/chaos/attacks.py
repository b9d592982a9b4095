"""The moves of a siege that meet engines and workers. Each is a generator: it yields how many seconds it lets pass.

Whoever a move meets is its own until the move has ended.
"""

import signal
import time
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final

from tests.chaos import damage, judge, outside
from tests.chaos.camp import Camp
from tests.chaos.engine import IN_TRANSACTION, place_of
from tests.chaos.plan import Move
from tests.chaos.processes import Victim

from logkeel.errors import LogUnavailable

Steps = Generator[float, None, None]

FREEZE_S: Final = 12.0
"""Longer than the session of 10 s."""

AIM_S: Final = 0.5
LEAVE_S: Final = 40.0
ALONE_S: Final = 15.0
FULL_S: Final = 6.0
TAIL_BYTES: Final = 1_000_000
"""Of the ledger: more than what a worker's last steps wrote."""

JUDGED: Final = 0.25
"""How many of the killed engines have their stores compared at once; all have theirs at the end."""


class Attacks:
    """Does what the plan says. `frozen` sleep or have just woken; `calm` says that no broker is away."""

    def __init__(
        self,
        camp: Camp,
        done: Counter[str],
        faults: list[str],
        *,
        tell: Callable[[str], None],
        calm: Callable[[], bool],
    ) -> None:
        self._camp, self._done, self._faults, self._tell, self._calm = camp, done, faults, tell, calm
        self.killed_at: Counter[str] = Counter()
        self.frozen: set[str] = set()
        self.full: set[str] = set()

    def kill_engine(self, victim: Victim, move: Move) -> Steps:
        """kill -9, mostly within a transaction."""
        place = Path(victim.arguments[-1])
        if move.luck < 0.8:
            goal = sorted(IN_TRANSACTION)[int(move.luck * 1000) % len(IN_TRANSACTION)]
            spin(lambda: place_of(place) == goal)
        self._killed(victim, "kills of engines")
        at = place_of(place)
        self.killed_at[at] += 1
        self._done["in a transaction"] += at in IN_TRANSACTION
        self._tell(f"{victim.name} killed {at}")
        if move.luck * 100 % 1 < JUDGED:
            yield from self._compare(victim)
        yield from self._revive(victim, move)

    def kill_worker(self, victim: Victim, move: Move) -> Steps:
        """kill -9, within steps."""
        self._killed(victim, "kills of workers")
        yield 0.0
        tail = max(0, self._camp.ledger.stat().st_size - TAIL_BYTES)
        cut = judge.begun_not_ended(outside.read(self._camp.ledger, tail), victim.pid)
        self._done["killed within steps"] += cut > 0
        self._done["steps cut"] += cut
        self._tell(f"{victim.name} killed in {cut} steps")
        yield from self._revive(victim, move)

    def freeze(self, victim: Victim, move: Move) -> Steps:
        """SIGSTOP, and SIGCONT when its session is over: a zombie."""
        self._tell(f"{victim.name} frozen for {FREEZE_S:.0f} s")
        self.frozen.add(victim.name)
        began = victim.pause()
        yield FREEZE_S + move.luck * 3
        victim.go_on(began)
        self._done["zombies"] += 1
        self._tell(f"{victim.name} wakes")
        yield 3.0
        self.frozen.discard(victim.name)

    def restart(self, victim: Victim, move: Move) -> Steps:
        """SIGTERM; it has time to leave well."""
        self._tell(f"{victim.name} is asked to leave")
        yield from self._leave(victim)
        self._done["clean restarts"] += 1
        yield 2 * move.luck
        victim.start()
        yield 1.0

    def corrupt(self, victim: Victim, move: Move) -> Steps:
        """Killed, and one of its files damaged."""
        self._killed(victim, "kills of engines")
        said = damage.corrupt(self._camp.tables(victim), move.luck)
        self._done["stores corrupted"] += 1
        self._tell(f"{victim.name} killed; {said}")
        yield from self._revive(victim, move)

    def delete(self, victim: Victim, move: Move) -> Steps:
        """Killed, and its stores deleted."""
        self._killed(victim, "kills of engines")
        self._done["state directories deleted"] += 1
        self._tell(f"{victim.name} killed; {damage.delete(self._camp.tables(victim))}")
        yield from self._revive(victim, move)

    def fill_disk(self, victim: Victim, move: Move) -> Steps:
        """No room for a while: it may leave, with a named error, and comes back when there is room."""
        disk = self._camp.disks[victim.name]
        self._tell(f"{victim.name}: {disk.name}")
        self.full.add(victim.name)
        disk.fill(victim)
        yield FULL_S + move.luck * 6
        disk.empty(victim)
        self._done[f"full disks ({disk.name})"] += 1
        yield 0.5
        if not victim.alive:
            self._done["left on a full disk"] += 1
            self._tell(f"{victim.name} had left: {victim.tail()[-200:]!r}")
            victim.start()
        yield 2.0
        self.full.discard(victim.name)

    def scale(self, victims: list[Victim], move: Move) -> Steps:
        """All but one engine and one worker leave, and come back."""
        self._tell(f"down to one: {', '.join(victim.name for victim in victims)} leave")
        for victim in victims:
            yield from self._leave(victim)
        yield ALONE_S
        self._tell("up to three")
        for victim in victims:
            victim.start()
            yield move.luck
        self._done["scaled 3 to 1 to 3"] += 1

    def _killed(self, victim: Victim, what: str) -> None:
        victim.kill()
        self._done["process kills"] += 1
        self._done[what] += 1

    def _compare(self, victim: Victim) -> Steps:
        yield 0.0
        if not self._calm():
            return
        tables = self._camp.tables(victim)
        spoilt = self._done["stores corrupted"] > 0
        try:
            checked, faults = self._camp.changelog.judge_stores(tables, may_be_corrupt=spoilt)
        except LogUnavailable:
            self._done["comparisons without a broker"] += 1
            return
        self._done["stores compared"] += checked
        self._faults += faults
        for fault in faults:
            self._tell(f"FAULT {fault}")

    def _revive(self, victim: Victim, move: Move) -> Steps:
        yield move.luck * 0.8
        victim.start()
        yield 0.5 + move.luck

    def _leave(self, victim: Victim) -> Steps:
        assert victim.handle is not None
        victim.handle.terminate()
        deadline = time.monotonic() + LEAVE_S
        while victim.alive:
            if time.monotonic() > deadline:
                self._faults.append(f"{victim.name} did not leave in {LEAVE_S:.0f} s: {victim.abort()} {victim.tail()}")
                return
            yield 0.2
        # Ended by the signal itself: it had not come as far as handling it, and had begun nothing.
        if victim.handle.returncode not in (0, -signal.SIGTERM):
            self._faults.append(f"{victim.name} left with {victim.handle.returncode}: {victim.tail()}")


def spin(met: Callable[[], bool]) -> None:
    """Wait for an aim without rest, but not for long."""
    deadline = time.monotonic() + AIM_S
    while not met() and time.monotonic() < deadline:
        pass
