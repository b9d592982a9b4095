"""The world outside of Kafka, as the steps of a simulation see it: notes what happened, decides how steps behave.

What a step does in one execution (how long it takes, whether it raises, before or after its effect) is drawn from the
seed, the run, the path and the dispatch, so it does not depend on the order of anything.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from logkeel.errors import NotDone
from logkeel.simulation import ProcessDied
from logkeel.testing.world import World
from logkeel.workflow import StepContext

TIMEOUT_MS = 6_000
LOST_MS = 100.0
"""A worker that a step killed is back so soon."""

JOURNAL = "JOURNAL"
"""In place of the effect of a step whose calls have effects."""

CALM_DISPATCH = 4
"""From this dispatch on a step is quick and does not fail: every run ends."""


@dataclass(eq=False, slots=True)
class Line:
    """One entry of the ledger. `stalls`: how often its process had been stopped by then."""

    what: Literal["begin", "effect", "end", "check"]
    run_id: str
    incarnation: str
    path: str
    effect: str
    key: str
    dispatch: int
    process: str
    life: int
    stalls: int
    at_ms: float
    began_stalls: int


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What one execution does."""

    before_ms: float
    after_ms: float
    raises: Literal["never", "before", "after", "not_done"] = "never"


class InCall:
    """A journaled call of a step, as a place of its own."""

    def __init__(self, step: StepContext, name: str) -> None:
        self.run_id, self.incarnation, self.dispatch = step.run_id, step.incarnation, step.dispatch
        self.idempotency_key = step.idempotency_key
        self.path = call_path(step.path, name)


def call_path(path: str, name: str) -> str:
    """The place of a journaled call."""
    return f"{path}!{name}"


Acting = StepContext | InCall
"""Who does something outside."""


class StepBroke(Exception):
    """What a step raises when it is to fail."""


class Outside:
    """The stage of one simulation. `STAGE` is the one that steps of this module play on. `opened`: how often somebody

    has seen to what a run had failed at. `killed_by_steps`: workers, as they sign, that a step of a run has killed.
    """

    def __init__(self, world: World, seed: int, *, trouble: float) -> None:
        self.world = world
        self.lines: list[Line] = []
        self._seed = seed
        self._trouble = trouble
        self._happened: set[str] = set()
        self._inside: dict[tuple[str, str], set[tuple[str, int]]] = {}
        self._lost: set[tuple[str, str, str]] = set()
        self.killed_by_steps: set[str] = set()
        self._opened: set[tuple[str, str, str]] = set()
        self.opened: Counter[str] = Counter()

    def behaviour(self, step: Acting) -> Behaviour:
        """How this execution goes; a journaled call is tried several times in one."""
        tried = step.dispatch
        seed = f"{self._seed}/{step.run_id}/{step.path}/{step.dispatch}"
        if isinstance(step, InCall):
            place = (step.run_id, step.path)
            tried = 1 + sum(line.what == "begin" and (line.run_id, line.path) == place for line in self.lines)
            seed += f"/{tried}"
        draw = Random(seed)
        quick = Behaviour(draw.uniform(0, 30), draw.uniform(0, 20))
        if tried >= CALM_DISPATCH or draw.random() > self._trouble:
            return quick
        match draw.choice(("slow", "slow", "before", "after", "not_done", "hangs")):
            case "slow":
                return Behaviour(draw.uniform(100, 4_000), draw.uniform(0, 1_500))
            case "hangs":
                return Behaviour(2.0 * TIMEOUT_MS, 0)
            case "before":
                return Behaviour(quick.before_ms, 0, "before")
            case "after":
                return Behaviour(quick.before_ms, quick.after_ms, "after")
            case _:
                return Behaviour(quick.before_ms, 0, "not_done")

    def begins(self, step: StepContext) -> None:
        """Note that durable code is entered; what it does, its calls note."""
        self._note("begin", step, JOURNAL, self._stalls())

    async def act(self, step: Acting, effect: str, *, has_effect: bool = True, long: bool = False) -> None:
        """Begin, take time, have the effect, take time, end. `long`: it takes seconds, but for a late dispatch."""
        behaviour, began = self.behaviour(step), self._stalls()
        if long and step.dispatch < CALM_DISPATCH and behaviour.raises == "never":
            draw = Random(f"{self._seed}/{step.run_id}/{step.path}/{step.dispatch}/long")
            behaviour = replace(behaviour, before_ms=max(behaviour.before_ms, draw.uniform(1_200, 4_000)))
        self._note("begin", step, effect, began)
        acting = self.world.acting
        mine = (acting.name, acting.life) if acting is not None else ("", 0)
        inside = self._inside.setdefault((step.run_id, step.path), set())
        inside.add(mine)
        try:
            await self._play(step, effect, behaviour, began, has_effect=has_effect)
        finally:
            inside.discard(mine)

    async def lose_worker(self, step: Acting, *, after_ms: float, once: str = "") -> None:
        """Let the worker die here, after a time; `once`: only the first execution that comes so far loses it."""
        place = (step.run_id, step.path, once)
        if once and place in self._lost:
            return
        self._lost.add(place)
        await asyncio.sleep(after_ms / 1_000)
        worker = self.world.acting
        if worker is not None:
            self.killed_by_steps |= {each.holder for each in self.world.workers if each is worker}
            worker.kill(back_in_ms=LOST_MS)
            raise ProcessDied(f"{worker.name} in {step.path}")

    def hangs(self, opener: str) -> bool:
        """Whether this opener hangs: perhaps at the first opening in the life of a worker, and then never again."""
        worker = self.world.acting
        place = (worker.name, str(worker.life), opener) if worker is not None else ("", "", opener)
        if place in self._opened:
            return False
        self._opened.add(place)
        return Random("/".join((str(self._seed), *place))).random() < self._trouble

    def is_inside(self, run_id: str, path: str) -> bool:
        """Whether a process that neither died nor stands still is in this step."""
        living = {(each.name, each.life) for each in self.world.workers if each.is_alive and not each.is_frozen}
        return bool(self._inside.get((run_id, path), set()) & living)

    async def _play(self, step: Acting, effect: str, behaviour: Behaviour, began: int, *, has_effect: bool) -> None:
        await asyncio.sleep(behaviour.before_ms / 1_000)
        if behaviour.raises == "before":
            raise StepBroke("before its effect")
        if behaviour.raises == "not_done":
            raise NotDone("its effect surely did not happen")
        if has_effect:
            self._happened.add(step.idempotency_key)
            self._note("effect", step, effect, began)
        await asyncio.sleep(behaviour.after_ms / 1_000)
        if behaviour.raises == "after":
            raise StepBroke("after its effect")
        self._note("end", step, effect, began)

    def happened(self, step: Acting) -> bool:
        """Whether the effect of a step has happened, whoever did it."""
        self._note("check", step, "CHECKED", self._stalls())
        return step.idempotency_key in self._happened

    def _stalls(self) -> int:
        return self.world.acting.stalls if self.world.acting is not None else 0

    def _note(
        self, what: Literal["begin", "effect", "end", "check"], step: Acting, effect: str, began_stalls: int
    ) -> None:
        process = self.world.acting
        line = Line(
            what=what,
            run_id=step.run_id,
            incarnation=step.incarnation,
            path=step.path,
            effect=effect,
            key=step.idempotency_key,
            dispatch=step.dispatch,
            process=process.name if process is not None else "",
            life=process.life if process is not None else 0,
            stalls=self._stalls(),
            at_ms=self.world.elapsed_ms,
            began_stalls=began_stalls,
        )
        self.lines.append(line)
        self.world.trace.note(line.at_ms, line.process, what.upper(), f"{step.run_id} {step.path} #{step.dispatch}")


class _Stage:
    """Where steps find the outside of the simulation that runs now. One at a time, on one thread."""

    def __init__(self) -> None:
        self._outside: Outside | None = None

    def set(self, outside: Outside) -> None:
        """From now on."""
        self._outside = outside

    @property
    def outside(self) -> Outside:
        """The present one."""
        if self._outside is None:
            raise RuntimeError("no simulation runs")
        return self._outside


STAGE = _Stage()
