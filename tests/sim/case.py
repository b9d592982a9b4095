"""One seed: the plan is played, everything is given time to end, and judged."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from tests.sim import disasters
from tests.sim.driver import Human, Sender
from tests.sim.families import unborn
from tests.sim.judging import faults_of
from tests.sim.known import MORE, OLD_VERSIONS
from tests.sim.outside import STAGE, Outside
from tests.sim.plan import Plan, RunPlan
from tests.sim.schedules import Planner, ticks
from tests.sim.workload import WORKFLOWS

from logkeel.runs.processor.settings import RunSettings
from logkeel.runs.rows import keys
from logkeel.testing.world import Defined, PlayedWorkflow, World, play_out
from logkeel.testing.world.judging import changelog_rows, histories_of


@dataclass(slots=True)
class Verdict:
    """What became of a seed. `folded`: kinds of events of its histories, each with a handler of the fold."""

    seed: int
    faults: list[str]
    events: int
    effects: int
    runs: int
    steps: int
    simulated_ms: float
    struck: dict[str, int] = field(default_factory=dict)
    asked: int = 0
    processor_s: float = 0.0
    lines: list[str] = field(default_factory=list)
    folded: frozenset[str] = frozenset()


def play(
    plan: Plan,
    directory: Path,
    *,
    keep_lines: bool = False,
    every_turn: bool = False,
    look: Callable[[World], None] | None = None,
) -> Verdict:
    """Run a plan, deterministically. `directory` is for the locks of slots, and may be used again.

    `look` is shown the world before that ends. `every_turn`: see `WorldSettings`; seeds with RocksDB have it anyway.
    """
    began_s = time.process_time()
    named = {run.workflow for run in plan.runs} | {ticks.name for _ in plan.schedules}
    known = named | {child for each in MORE if each.name in named for child in each.children} - {unborn.name}
    workflows = (*(each for each in (*OLD_VERSIONS, *WORKFLOWS, *MORE) if each in WORKFLOWS or each.name in known),)
    settings = replace(plan.settings, every_turn=every_turn or plan.settings.rocks)
    world = World([_defined(each) for each in workflows], settings, directory)
    try:
        verdict = _play(world, plan, keep_lines=keep_lines)
        verdict.processor_s = time.process_time() - began_s
        if look is not None:
            look(world)
        return verdict
    finally:
        world.end()


@cache
def _defined(workflow: PlayedWorkflow) -> Defined:
    """Those of this folder are declared once and for all."""
    return Defined(workflow)


def _waits(world: World) -> bool:
    """Whether a request is parked."""
    numbers = range(world.settings.partitions)
    return any(key.startswith(keys.PARKED) for number in numbers for key in changelog_rows(world, number))


def _play(world: World, plan: Plan, *, keep_lines: bool) -> Verdict:
    outside = Outside(world, plan.seed, trouble=plan.trouble)
    STAGE.set(outside)
    sender, human = Sender(world, plan), Human(world, outside)
    planner = Planner(world, plan.schedules)
    world.join(sender)
    world.join(human)
    if plan.schedules:
        world.join(planner)
    world.plan(plan.strikes)

    wanted = {run.run_id for run in plan.runs}

    def ended(runs: tuple[RunPlan, ...] = ()) -> bool:
        # First what is asked most often, and costs least.
        if not runs and not (human.ended >= wanted and human.ended >= human.children):
            return False
        if not sender.is_done or not human.is_done or not planner.is_over():
            return False
        if runs:
            return human.ended.issuperset(run.run_id for run in runs)
        return all(fork.run_id in human.ended for fork in sender.forks.values())

    faults = play_out(world, ended)
    if not faults and _waits(world):
        # A cancel sent to a child that is not born: it is kept for its time, and answered then.
        world.run(lambda: not _waits(world), limit_ms=RunSettings().park_ms)
        faults = play_out(world, ended)
    if not faults:
        faults = disasters.epilogue(world, plan, sender, ended)
    if not faults and plan.scenario in ("usual", "weeks_pass", "away"):
        faults = faults_of(world, outside, plan)
    return Verdict(
        seed=plan.seed,
        faults=faults,
        events=len(world.trace.events),
        effects=world.effects_until_healed,
        runs=len(plan.runs),
        steps=len({(line.run_id, line.path) for line in outside.lines if line.what == "begin"}),
        simulated_ms=world.elapsed_ms,
        struck=dict(world.struck),
        asked=human.asked,
        lines=world.trace.lines() if keep_lines else [],
        folded=frozenset(event.kind for events in histories_of(world).values() for event in events),
    )
