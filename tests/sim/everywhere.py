"""A crash before and after every effect of a short history, one schedule each. Nothing is drawn, nothing left out."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.sim.case import Verdict, play
from tests.sim.plan import Plan, RunPlan, Sending

from logkeel.testing.world import EffectStrike, WorldSettings, crashes_everywhere

BACK_IN_MS = 100.0


def short_plan(workflow: str) -> Plan:
    """One run, or two turns of a conversation; two engines and two workers, no other trouble."""
    start = (Sending("start", 0.0),)
    runs: tuple[RunPlan, ...] = (RunPlan(f"short-{workflow}", workflow, 21, start),)
    if workflow in ("talk", "chat"):
        runs = tuple(RunPlan(f"turn-{number}", workflow, 1_000 * number, start, "ann") for number in (1, 2))
    return Plan(
        seed=0,
        settings=WorldSettings(seed=0, engine_slots=(0, 1), worker_slots=(0, 1), max_records=7, keeps_outcomes=True),
        runs=runs,
        strikes=(),
        trouble=0.0,
        garbage=(),
    )


def crashes(workflow: str) -> Iterator[tuple[EffectStrike, Verdict]]:
    """Those of `short_plan`."""
    return crashes_of(short_plan(workflow))


def crashes_of(plan: Plan) -> Iterator[tuple[EffectStrike, Verdict]]:
    """The schedules and what became of them: two for each effect up to the end of the undisturbed history."""
    with TemporaryDirectory(prefix="logkeel-sim-") as directory:
        calm = play(plan, Path(directory))
        if calm.faults:
            raise AssertionError(calm.faults)
        for strike in crashes_everywhere(calm.effects, back_in_ms=BACK_IN_MS):
            yield strike, play(replace(plan, strikes=(strike,)), Path(directory))
