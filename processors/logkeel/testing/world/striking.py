"""Faults as data, and their application to a world.

A strike is bound to the n-th effect of all processes, before or after it, or to a time. Both are plain values, so that
a seed's plan can be printed, and shrunk by leaving strikes out.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

from logkeel.errors import StoreUnavailable
from logkeel.exactly_once.producers import RETRY_S
from logkeel.simulation import EffectName, Fault, ProcessDied

if TYPE_CHECKING:
    from logkeel.testing.world.processes import Process
    from logkeel.testing.world.world import World

EffectKind = Literal["crash", "freeze", "slow"] | Fault
TimedKind = Literal[
    "kill_engine",
    "kill_worker",
    "outage",
    "jump_clock",
    "disk_full",
    "disk_damaged",
    "disk_lost",
    "power_failure",
    "clean_logs",
    "join_engine",
    "join_worker",
    "drain_worker",
    "stop_workers",
    "stop_engines",
    "expire_offsets",
    "stranger",
    "expel",
    "cut_off_engine",
    "cut_off_worker",
    "coordinator_lost",
    "roll",
]
StrikeKind = EffectKind | TimedKind
ROLLS_ON_MS = 500.0
"""How long a restarted process works before the next one of a rolling restart is stopped."""

FAULTS: frozenset[str] = frozenset(get_args(Fault))


@dataclass(frozen=True, slots=True)
class EffectStrike:
    """At effect number `at` (from 1, over all processes), `before` or `after` it; `of`: of the effects of this name.

    `amount_ms`: how long a process stays dead, frozen, or in its call. A planned fault hits the next call it concerns.
    """

    kind: EffectKind
    at: int
    when: Literal["before", "after"] = "before"
    amount_ms: float = 1_000.0
    of: EffectName | None = None


@dataclass(frozen=True, slots=True)
class TimedStrike:
    """At a time in ms since the world began. `target` chooses among those concerned, `amount_ms` says how long."""

    kind: TimedKind
    at_ms: float
    target: int = 0
    amount_ms: float = 1_000.0


Strike = EffectStrike | TimedStrike


def crashes_everywhere(effects: int, *, back_in_ms: float = 100.0) -> Iterator[EffectStrike]:
    """A crash before and after each of so many effects: one schedule each, nothing drawn, nothing left out."""
    for at in range(1, effects + 1):
        yield EffectStrike("crash", at, "before", back_in_ms)
        yield EffectStrike("crash", at, "after", back_in_ms)


class EffectStriker:
    """Stands at the effects of one process. Implements `logkeel.simulation.Probe`."""

    def __init__(self, world: "World", process: "Process") -> None:
        self._world = world
        self._process = process
        self._numbers: tuple[tuple[EffectName | None, int], ...] = ()

    def before(self, effect: EffectName) -> None:
        world = self._world
        world.effects += 1
        number = world.effects_of[effect] = world.effects_of.get(effect, 0) + 1
        self._numbers = ((None, world.effects), (effect, number))
        process = self._process
        world.trace.note(world.cluster.clock.elapsed_ms, process.name, effect)
        if effect == "committed":
            process.asks_committed()
        if process.struck or world.effect_strikes:
            self._strike(effect, "before")

    def after(self, effect: EffectName) -> None:
        if self._process.struck or self._world.effect_strikes:
            self._strike(effect, "after")

    def _strike(self, effect: EffectName, when: Literal["before", "after"]) -> None:
        strikes = self._world.effect_strikes
        for of, number in self._numbers:
            self._process.struck += strikes.pop((of, number, when), ())
        if not self._process.struck:
            return
        # A process that runs a step is inside of an event loop: it is stopped at its next effect outside of it.
        inside = asyncio._get_running_loop() is not None
        for strike in list(self._process.struck):
            if not inside or strike.kind not in ("freeze", "slow"):
                self._process.struck.remove(strike)
                self._apply(strike, effect)

    def _apply(self, strike: EffectStrike, effect: EffectName) -> None:
        world, process = self._world, self._process
        world.note_strike(strike.kind, process.name, f"{strike.when} {effect}, {strike.amount_ms:.0f} ms")
        if strike.kind in FAULTS:
            world.cluster.faults.plan(strike.kind)  # type: ignore[arg-type]  # narrowed by the line above
        elif strike.kind == "crash":
            process.kill(back_in_ms=strike.amount_ms)
            raise ProcessDied(f"{process.name} at {effect}")
        elif strike.kind == "freeze":
            world.freeze(process, strike.amount_ms)
        else:
            process.stalls += 1
            world.wait(process, strike.amount_ms)


def strike_now(world: "World", strike: TimedStrike) -> None:
    """Let a timed strike happen."""
    world.note_strike(strike.kind, "world", f"target {strike.target}, {strike.amount_ms:.0f} ms")
    _TIMED[strike.kind](world, strike)


def _kill_engine(world: "World", strike: TimedStrike) -> None:
    if (engine := world.pick_engine(strike.target)) is not None:
        engine.kill(back_in_ms=strike.amount_ms)


def _kill_worker(world: "World", strike: TimedStrike) -> None:
    if (worker := world.pick_worker(strike.target)) is not None:
        worker.kill(back_in_ms=strike.amount_ms)


def _outage(world: "World", strike: TimedStrike) -> None:
    if not world.cluster.is_down:
        world.cluster.stop()
        world.later(strike.amount_ms, world.cluster.start)


def _jump_clock(world: "World", strike: TimedStrike) -> None:
    processes = [*world.engines, *world.workers]
    processes[strike.target % len(processes)].clock.jump(strike.amount_ms)
    world.clock_jumps += 1


def _disk_full(world: "World", strike: TimedStrike) -> None:
    if (engine := world.pick_engine(strike.target)) is None:
        return
    stores = engine.stores
    stores.fail_writes = StoreUnavailable("the disk is full")

    def free() -> None:
        stores.fail_writes = None

    world.later(strike.amount_ms, free)


def _disk_damaged(world: "World", strike: TimedStrike) -> None:
    if (engine := world.pick_engine(strike.target)) is not None:
        engine.stores.damage()


def _disk_lost(world: "World", strike: TimedStrike) -> None:
    if (engine := world.pick_engine(strike.target)) is not None:
        engine.kill(back_in_ms=strike.amount_ms)
        engine.stores.lose()


def _power_failure(world: "World", strike: TimedStrike) -> None:
    if (engine := world.pick_engine(strike.target)) is not None:
        engine.kill(back_in_ms=strike.amount_ms)
        engine.stores.lose_newest(1 + strike.target % 7)


def _clean_logs(world: "World", strike: TimedStrike) -> None:
    world.clean()


def _join_engine(world: "World", strike: TimedStrike) -> None:
    engine = world.add_engine()
    world.later(strike.amount_ms, engine.leave)


def _join_worker(world: "World", strike: TimedStrike) -> None:
    worker = world.add_worker()
    world.later(strike.amount_ms, worker.leave)


def _drain_worker(world: "World", strike: TimedStrike) -> None:
    if (worker := world.pick_worker(strike.target)) is not None:
        worker.leave(back_in_ms=strike.amount_ms)


def _stop_workers(world: "World", strike: TimedStrike) -> None:
    for worker in world.workers:
        worker.kill(back_in_ms=strike.amount_ms)


def _stop_engines(world: "World", strike: TimedStrike) -> None:
    for engine in world.engines:
        engine.kill(back_in_ms=strike.amount_ms)


def _expire_offsets(world: "World", strike: TimedStrike) -> None:
    """The group of the workers, or of the engines, is empty for as long as the broker keeps offsets."""
    processes: list[Process] = [*world.workers] if strike.target % 2 else [*world.engines]
    silence_ms = world.settings.session_timeout_ms + 1_000.0
    for process in processes:
        process.kill(back_in_ms=silence_ms + strike.amount_ms)
    group = world.names.worker_group() if strike.target % 2 else world.names.engine_group
    world.later(silence_ms, lambda: world.forget_offsets(group))


def _stranger(world: "World", strike: TimedStrike) -> None:
    world.add_stranger(strike.amount_ms, first=bool(strike.target % 2))


def _expel(world: "World", strike: TimedStrike) -> None:
    """A process that lives is counted out of its group."""
    living = [each for each in world.processes if each.is_alive and not each.is_frozen and not each.is_gone]
    if living and not world.cluster.is_down:
        process = living[strike.target % len(living)]
        world.trace.note(world.elapsed_ms, process.name, "EXPELLED")
        process.expulsions += 1
        if process.client is not None:
            process.client.be_expelled()


def _cut_off_engine(world: "World", strike: TimedStrike) -> None:
    """No packet passes between a process and the broker for a while; it lives, and its steps go on."""
    if (engine := world.pick_engine(strike.target)) is not None:
        engine.cut_off(strike.amount_ms)


def _cut_off_worker(world: "World", strike: TimedStrike) -> None:
    if (worker := world.pick_worker(strike.target)) is not None:
        worker.cut_off(strike.amount_ms)


def _coordinator_lost(world: "World", strike: TimedStrike) -> None:
    """Of an engine's transactions, while everything else of its network is well: both producers break, and fresh ones

    are not initialised for a while. Records come all the same.
    """
    if (engine := world.pick_engine(strike.target)) is None or engine.client is None:
        return
    attempts = 1 + int(strike.amount_ms / (1_000 * RETRY_S))
    for producer in engine.client.producers:
        producer.disconnected()
        for _ in range(attempts):
            world.cluster.faults.plan("init_times_out", producer.transactional_id)


def _roll(world: "World", strike: TimedStrike) -> None:
    """A rolling restart: one place after the other, the engine and the worker of one at the same time, in order."""
    after_ms = 0.0
    for number in range(max(len(world.engines), len(world.workers))):
        place = [*world.engines[number : number + 1], *world.workers[number : number + 1]]
        world.later(after_ms, partial(_restart, place, strike.amount_ms))
        after_ms += strike.amount_ms + ROLLS_ON_MS


def _restart(place: "list[Process]", back_in_ms: float) -> None:
    for process in place:
        if not process.is_gone:
            process.leave(back_in_ms=back_in_ms)


_TIMED: dict[str, Callable[["World", TimedStrike], None]] = {
    "kill_engine": _kill_engine,
    "kill_worker": _kill_worker,
    "outage": _outage,
    "jump_clock": _jump_clock,
    "disk_full": _disk_full,
    "disk_damaged": _disk_damaged,
    "disk_lost": _disk_lost,
    "power_failure": _power_failure,
    "clean_logs": _clean_logs,
    "join_engine": _join_engine,
    "join_worker": _join_worker,
    "drain_worker": _drain_worker,
    "stop_workers": _stop_workers,
    "stop_engines": _stop_engines,
    "expire_offsets": _expire_offsets,
    "stranger": _stranger,
    "expel": _expel,
    "cut_off_engine": _cut_off_engine,
    "cut_off_worker": _cut_off_worker,
    "coordinator_lost": _coordinator_lost,
    "roll": _roll,
}
