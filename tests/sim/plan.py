"""A seed's plan: settings, runs with what is sent for them, and strikes. Plain values, drawn before anything happens.

Every part draws from a source of its own, so that leaving a run or a strike out (shrinking) changes nothing else.
"""

from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

from tests.sim.schedules import SchedulePlan
from tests.sim.seeds import (
    AGENTS_AT,
    CALLING_AT,
    ELDERS_AT,
    FORKED_AT,
    HARD_AT,
    HEAVY_AT,
    HEAVY_EVERY,
    LIMITED_AT,
    PATCHED_AT,
    PAUSED_AT,
    RELATED_AT,
    RETRIED_AT,
    ROCKS_EVERY,
    ROLLED_AT,
    SKEWED_AT,
    SPENDING_AT,
    TRIPS_AT,
    UNATTENDED_AT,
    is_lengthy,
)
from tests.sim.strikes import strikes_of

from logkeel.runs import RunSettings
from logkeel.testing.world import Strike, WorldSettings

MIDNIGHT_MS = 1_700_006_400_000
DAYS = RunSettings(redispatch_after_ms=6_000, sweep_every_ms=2_000)
"""Seconds in place of days, until a command that nobody was heard of is sent anew (P25)."""

SCHEDULED = 0.15
"""Of all seeds, so many have schedules."""

Scenario = Literal["usual", "weeks_pass", "away", "state_lost", "last_copy", "changelog_replaced"]
"""What comes when everything has ended: nothing, weeks and then a lost disk, weeks in which nothing runs, or a disaster

to be reported.
"""


@dataclass(frozen=True, slots=True)
class Sending:
    """One request. `same_id`: with the request id of the first one; `astray`: to a partition that is not its home."""

    kind: Literal["start", "signal", "cancel", "pause", "resume", "fork"]
    at_ms: float
    same_id: bool = True
    astray: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One run and everything that is sent for it."""

    run_id: str
    workflow: str
    number: int
    sendings: tuple[Sending, ...]
    conversation: str | None = None

    @property
    def routing_key(self) -> str:
        """What decides its home."""
        return self.conversation or self.run_id


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything of a seed."""

    seed: int
    settings: WorldSettings
    runs: tuple[RunPlan, ...]
    strikes: tuple[Strike, ...]
    trouble: float
    garbage: tuple[tuple[str, float], ...]
    scenario: Scenario = "usual"
    schedules: tuple[SchedulePlan, ...] = ()

    def without(self, *, runs: frozenset[int] = frozenset(), strikes: frozenset[int] = frozenset()) -> "Plan":
        """Less of it, by number."""
        return replace(
            self,
            runs=tuple(run for number, run in enumerate(self.runs) if number not in runs),
            strikes=tuple(strike for number, strike in enumerate(self.strikes) if number not in strikes),
        )


def plan_of(seed: int) -> Plan:
    """The plan of a seed."""
    return Plan(
        seed=seed,
        settings=_settings(seed),
        runs=_runs(seed),
        strikes=strikes_of(seed, _settings(seed)),
        trouble=0.4 if seed % 16 == SKEWED_AT else Random(f"{seed}/trouble").choice((0.0, 0.1, 0.3)),
        garbage=_garbage(seed),
        scenario=_scenario(seed),
        schedules=_schedules(seed),
    )


def _scenario(seed: int) -> Scenario:
    draw = Random(f"{seed}/scenario")
    if draw.random() > 0.12:
        return "usual"
    return draw.choice(("weeks_pass", "weeks_pass", "away", "away", "state_lost", "last_copy", "changelog_replaced"))


def _settings(seed: int) -> WorldSettings:
    draw = Random(f"{seed}/settings")
    slots = draw.sample(range(13), 3)
    settings = WorldSettings(
        seed=seed,
        partitions=draw.choice((2, 2, 3)),
        engine_slots=tuple(slots[: draw.choice((1, 2, 2, 3))]),
        worker_slots=tuple(range(draw.choice((1, 2, 2, 3)))),
        max_records=draw.choice((1, 2, 7, 1_000, 1_000)),
        max_bytes=draw.choice((1, 400, 4_000_000, 4_000_000)),
        pace=draw.choice((0.3, 1.0, 3.0)),
        rocks=seed % ROCKS_EVERY == 0,
        keeps_outcomes=Random(f"{seed}/outcomes").random() < 0.5,
        **_circumstances(seed),
    )
    if settings.head_starts:
        # As where both have one slot: an engine and the worker beside it own the same partitions.
        slots = sorted(settings.engine_slots)
        settings = replace(settings, engine_slots=tuple(slots), worker_slots=tuple(range(len(slots))))
    if seed % 16 == SKEWED_AT:
        behind_ms = draw.choice((40_000.0, 4_000.0))
        settings = replace(settings, skews={draw.randrange(len(settings.worker_slots)): -behind_ms})
    if is_lengthy(seed):
        # Engines that keep up give a lost step up in time, and somebody is there to ask about it.
        several = settings.worker_slots if len(settings.worker_slots) > 1 else (0, 1)
        settings = replace(settings, max_records=1_000, max_bytes=4_000_000, worker_slots=several)
    if seed % 16 == ROLLED_AT:
        settings = replace(settings, lacks={slot: frozenset({("rolled", "2")}) for slot in settings.worker_slots[1:]})
    if seed % HEAVY_EVERY != HEAVY_AT:
        return settings
    return replace(settings, max_record_bytes=1_000_000, topic_max_bytes=1_048_588, dead_letter_max_bytes=1_200_000)


def _circumstances(seed: int) -> dict[str, Any]:
    """Shortly before midnight or not, days that are seconds, and engines that share a process with a worker."""
    draw = Random(f"{seed}/circumstances")
    return {
        "begins_ms": MIDNIGHT_MS - draw.choice((6_400_000, draw.randrange(4_000), draw.randrange(4_000))),
        "run_settings": DAYS if draw.random() < 0.15 else None,
        "head_starts": draw.random() < (0.6 if seed % 16 == ROLLED_AT else 0.3),
    }


def _runs(seed: int) -> tuple[RunPlan, ...]:
    draw = Random(f"{seed}/runs")
    names = ("chain", "chain", "fan", "fan", "careful", "careful", "hurried", "bulky")
    straight = tuple(
        RunPlan(f"run-{number}", draw.choice(names), draw.randrange(1_000), _sendings(draw))
        for number in range(draw.choice((3, 4, 4, 5, 6)))
    )
    if seed % 16 == HARD_AT:
        return straight[:1] + _hardships(seed)
    if seed % HEAVY_EVERY == HEAVY_AT:
        # What is bulky elsewhere fits here.
        return tuple(run for run in straight if run.workflow != "bulky") + _heavy_runs(seed)
    if seed % 16 == SKEWED_AT:
        checks = Random(f"{seed}/checks")
        return straight[:2] + tuple(
            RunPlan(f"check-{n}", checks.choice(("lengthy", "settling")), draw.randrange(1_000), _sendings(draw))
            for n in range(3)
        )
    if seed % 16 == UNATTENDED_AT:
        straight = tuple(_cancelled(run, draw) for run in straight)
    if seed % 16 == PAUSED_AT:
        pauses = Random(f"{seed}/pauses")
        straight = tuple(_paused(run, pauses) for run in straight)
    if seed % 16 == FORKED_AT:
        forks = Random(f"{seed}/forks")
        straight = tuple(_forked(run, forks) for run in straight)
    families = _families(seed) + _started(seed) + _trips(seed) + _limited(seed) + _spending(seed)
    families += _retried(seed) + _timely(seed) + _calling(seed) + _patched(seed) + _related(seed)
    families += _elders(seed)
    return straight + _winding_runs(seed) + _agents(seed) + _many_runs(seed) + families


def _paused(run: RunPlan, draw: Random) -> RunPlan:
    """For a while that may begin before the run, or go on behind its end."""
    at_ms = run.sendings[0].at_ms + draw.uniform(-50, 1_500)
    paused = (Sending("pause", max(0.0, at_ms)), Sending("resume", max(0.0, at_ms) + draw.uniform(100, 2_500)))
    return replace(run, sendings=(*run.sendings, *paused)) if run.workflow in ("chain", "fan", "careful") else run


def _forked(run: RunPlan, draw: Random) -> RunPlan:
    """Perhaps, once or twice over, from where it is then."""
    at_ms = run.sendings[0].at_ms + draw.uniform(20, 1_500)
    forks = tuple(Sending("fork", at_ms + later_ms) for later_ms in (0.0, 700.0)[: draw.choice((1, 2))])
    return replace(run, sendings=(*run.sendings, *forks)) if draw.random() < 0.8 else run


def _cancelled(run: RunPlan, draw: Random) -> RunPlan:
    """Perhaps, while its first steps wait for a worker."""
    at_ms = run.sendings[0].at_ms + draw.uniform(300, 1_500)
    return replace(run, sendings=(*run.sendings, Sending("cancel", at_ms))) if draw.random() < 0.6 else run


def _winding_runs(seed: int) -> tuple[RunPlan, ...]:
    """Of every eighth seed."""
    if seed % 8:
        return ()
    draw = Random(f"{seed}/winding")
    return tuple(
        RunPlan(f"flow-{number}", "winding", draw.randrange(1_000), _sendings(draw))
        for number in range(draw.choice((1, 1, 2)))
    )


def _agents(seed: int) -> tuple[RunPlan, ...]:
    if seed % 8 != AGENTS_AT:
        return ()
    draw = Random(f"{seed}/agents")
    return tuple(RunPlan(f"agent-{number}", "agent", draw.randrange(1_000), _sendings(draw)) for number in range(2))


def _many_runs(seed: int) -> tuple[RunPlan, ...]:
    """Of every eighth seed, others than the winding ones."""
    if seed % 8 != 4:
        return ()
    draw = Random(f"{seed}/many")
    runs = tuple(
        RunPlan(f"many-{number}", "many", draw.randrange(1_000), _sendings(draw))
        for number in range(draw.choice((1, 1, 2)))
    )
    lists = (RunPlan(f"growing-{number}", "growing", draw.randrange(1_000), _sendings(draw)) for number in range(2))
    return (*runs, *lists)


def _hardships(seed: int) -> tuple[RunPlan, ...]:
    """A step that loses its worker again and again."""
    draw = Random(f"{seed}/hardships")
    return (RunPlan("hard-0", draw.choice(("enduring", "stubborn")), draw.randrange(1_000), _sendings(draw)),)


def _heavy_runs(seed: int) -> tuple[RunPlan, ...]:
    draw = Random(f"{seed}/heavy")
    return (RunPlan("heavy-0", draw.choice(("heavy", "laden")), draw.randrange(1_000), _sendings(draw)),)


def _families(seed: int) -> tuple[RunPlan, ...]:
    """Parents and turns of conversations, of every eighth seed."""
    if seed % 8 != 2:
        return ()
    draw = Random(f"{seed}/families")
    parents = tuple(
        RunPlan(f"parent-{number}", "family", draw.randrange(1_000), _sendings(draw))
        for number in range(draw.choice((1, 1, 2)))
    )
    turns = tuple(
        RunPlan(f"turn-{number}", "talk", 1_000 * number, _spoken(draw), draw.choice(("ann", "bob")))
        for number in range(draw.choice((2, 3, 5)))
    )
    hopeful = (RunPlan("hopeful-0", "hopeful", draw.randrange(1_000), _sendings(draw)),)
    return parents + turns + (hopeful if draw.random() < 0.25 else ())


def _started(seed: int) -> tuple[RunPlan, ...]:
    """Runs whose code starts others, of every sixteenth seed."""
    if seed % 16 != 14:
        return ()
    draw = Random(f"{seed}/started")
    return (RunPlan("starter-0", "started", draw.randrange(1_000), _sendings(draw)),)


def _trips(seed: int) -> tuple[RunPlan, ...]:
    """Runs with sagas, of every eighth seed of those. Odd numbers fail, and undo."""
    if seed % 8 != TRIPS_AT:
        return ()
    draw = Random(f"{seed}/trips")
    return tuple(
        RunPlan(f"trip-{number}", "trip", draw.randrange(1_000), _sendings(draw))
        for number in range(draw.choice((1, 2, 3)))
    )


def _limited(seed: int) -> tuple[RunPlan, ...]:
    """Runs that wait for each other, of every eighth seed."""
    if seed % 8 != LIMITED_AT:
        return ()
    draw = Random(f"{seed}/limited")
    return tuple(
        RunPlan(f"limited-{number}", draw.choice(("narrow", "quick")), draw.randrange(1_000), _sendings(draw))
        for number in range(draw.choice((3, 5, 7)))
    )


def _spending(seed: int) -> tuple[RunPlan, ...]:
    """Runs that use up budgets, of every eighth seed."""
    if seed % 8 != SPENDING_AT:
        return ()
    draw = Random(f"{seed}/spending")
    return tuple(
        RunPlan(f"spending-{number}", draw.choice(("spender", "sharer")), draw.randrange(1_000), _sendings(draw))
        for number in range(draw.choice((3, 5, 7)))
    )


def _calling(seed: int) -> tuple[RunPlan, ...]:
    """Runs whose calls keep to limits and budgets, and trees with one budget, of every eighth seed."""
    if seed % 8 != CALLING_AT:
        return ()
    draw = Random(f"{seed}/calling")
    callers = tuple(
        RunPlan(f"calling-{number}", "caller", draw.randrange(1_000), _sendings(draw))
        for number in range(draw.choice((2, 3, 4)))
    )
    roots = (RunPlan("testator-0", "testator", draw.randrange(1_000), _sendings(draw)),)
    return callers + (roots if draw.random() < 0.5 else ())


def _timely(seed: int) -> tuple[RunPlan, ...]:
    """Runs with deadlines where workers are away, runs of two versions, and runs whose steps take seconds."""
    draw = Random(f"{seed}/timely")
    names: tuple[str, ...] = ()
    if seed % 16 == UNATTENDED_AT:
        names = ("timely", "timely")
    elif seed % 16 == ROLLED_AT:
        names = ("rolled", "rolled")
    elif is_lengthy(seed):
        names = ("lengthy", "lengthy")
    elif seed % 16 == 12:
        names = ("timely",)
    return tuple(RunPlan(f"{n}-{k}", n, draw.randrange(1_000), _sendings(draw)) for k, n in enumerate(names))


def _retried(seed: int) -> tuple[RunPlan, ...]:
    """Runs that fail until somebody has seen to it, of every eighth seed; some of them are paused as well."""
    if seed % 8 != RETRIED_AT:
        return ()
    draw = Random(f"{seed}/retried")
    runs = (
        RunPlan(f"tough-{number}", draw.choice(("tough", "tough", "pondering")), draw.randrange(1_000), _sendings(draw))
        for number in range(draw.choice((1, 2, 3)))
    )
    return tuple(_held_up(run, draw) for run in runs) if seed % 16 == PAUSED_AT else tuple(runs)


def _related(seed: int) -> tuple[RunPlan, ...]:
    """A parent that is retried with its child, and turns that are, of every sixteenth seed."""
    if seed % 16 != RELATED_AT:
        return ()
    draw = Random(f"{seed}/related")
    turns = tuple(
        RunPlan(f"chat-{number}", "chat", 1_000 * number, _spoken(draw), draw.choice(("cleo", "dan")))
        for number in range(draw.choice((2, 3, 4)))
    )
    return (RunPlan("kin-0", "kin", draw.randrange(1_000), _sendings(draw)), *turns)


def _elders(seed: int) -> tuple[RunPlan, ...]:
    """Parents that are retried with the children of their code, of every thirty-second seed."""
    if seed % 32 != ELDERS_AT:
        return ()
    draw = Random(f"{seed}/elders")
    return tuple(
        RunPlan(f"elder-{number}", "elder", draw.randrange(1_000), _sendings(draw))
        for number in range(draw.choice((1, 2, 3)))
    )


def _patched(seed: int) -> tuple[RunPlan, ...]:
    """Runs some of whose elements fail until somebody has seen to it, of every sixteenth seed."""
    if seed % 16 != PATCHED_AT:
        return ()
    draw = Random(f"{seed}/patched")
    return tuple(
        RunPlan(f"patch-{number}", draw.choice(("patchy", "patchy", "strict")), draw.randrange(1_000), _sendings(draw))
        for number in range(draw.choice((1, 2, 3)))
    )


def _held_up(run: RunPlan, draw: Random) -> RunPlan:
    """Paused while it runs, or in vain since it has just failed."""
    at_ms = run.sendings[0].at_ms + draw.uniform(0, 3_000)
    paused = (Sending("pause", at_ms), Sending("resume", at_ms + draw.uniform(100, 4_000)))
    return replace(run, sendings=(*run.sendings, *paused))


def _spoken(draw: Random) -> tuple[Sending, ...]:
    """Without signals: those to a turn that was cancelled in its line wait for a minute, which a world has not."""
    return tuple(sending for sending in _sendings(draw) if sending.kind != "signal")


def _sendings(draw: Random) -> tuple[Sending, ...]:
    began_ms = draw.uniform(0, 1_500)
    found = [Sending("start", began_ms, astray=draw.random() < 0.2)]
    if draw.random() < 0.25:
        same_id, later_ms = draw.random() < 0.5, draw.choice((1.0, 100.0, 3_000.0, 9_000.0))
        found.append(Sending("start", began_ms + later_ms, same_id=same_id, astray=draw.random() < 0.2))
    if draw.random() < 0.25:
        at_ms = began_ms + draw.uniform(-100, 300)
        times = (0.0, 40.0)[: draw.choice((1, 2))]
        found += [Sending("signal", max(0.0, at_ms + later_ms), name="hint") for later_ms in times]
    if draw.random() < 0.12:
        found.append(Sending("cancel", max(0.0, began_ms + draw.uniform(-100, 1_500)), astray=draw.random() < 0.2))
    return tuple(found)


def _schedules(seed: int) -> tuple[SchedulePlan, ...]:
    """Of some seeds, whatever else they have."""
    draw = Random(f"{seed}/schedules")
    if draw.random() > SCHEDULED:
        return ()
    return tuple(_schedule(name, draw) for name in ("hourly", "daily")[: draw.choice((1, 1, 2))])


def _schedule(name: str, draw: Random) -> SchedulePlan:
    put_ms = draw.uniform(0, 1_000)
    paused_ms = put_ms + draw.uniform(1_500, 5_000)
    return SchedulePlan(
        name,
        draw.choice(("allow", "queue", "skip", "cancel")),
        draw.choice((None, 1_000, 2_000)),
        put_ms,
        paused_ms,
        copies=draw.choice((1, 2)),
        astray=draw.random() < 0.2,
        triggered_ms=(draw.uniform(put_ms + 100, paused_ms),) if draw.random() < 0.4 else (),
        backfilled_ms=(draw.uniform(put_ms + 100, paused_ms),) if draw.random() < 0.5 else (),
    )


def _garbage(seed: int) -> tuple[tuple[str, float], ...]:
    """Records that nobody can read, and definitions that are not what they say: (topic kind, time)."""
    draw = Random(f"{seed}/garbage")
    claims = (("claim", draw.uniform(0, 3_000)),) if seed % 8 == LIMITED_AT and draw.random() < 0.4 else ()
    if draw.random() > 0.15:
        return claims
    return (
        *claims,
        (draw.choice(("requests", "results", "commands", "definitions")), draw.uniform(0, 1_500)),
    )
