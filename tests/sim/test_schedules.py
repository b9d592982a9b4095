"""Schedules in worlds with trouble: every due time has one run, and runs of a line come one after the other."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from tests.sim.case import play
from tests.sim.everywhere import crashes_of
from tests.sim.many import silence
from tests.sim.plan import Plan, plan_of
from tests.sim.schedules import SchedulePlan

from logkeel.testing.world import WorldSettings

SEEDS = range(1, 13)
ALL = (
    SchedulePlan("allow", "allow", 1_000, paused_ms=12_000.0, copies=2),
    SchedulePlan("queue", "queue", 1_000, paused_ms=12_000.0, copies=2, backfilled_ms=(6_000.0,)),
    SchedulePlan("skip", "skip", 1_000, paused_ms=12_000.0, copies=2, astray=True, triggered_ms=(3_300.0,)),
    SchedulePlan("cancel", "cancel", 1_000, paused_ms=12_000.0, copies=2),
)


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    silence()
    yield
    structlog.reset_defaults()


def test_seeds_show_no_violation(tmp_path: Path) -> None:
    struck = Counter[str]()
    for seed in SEEDS:
        verdict = play(replace(plan_of(seed), runs=(), garbage=(), schedules=ALL), tmp_path)
        assert verdict.faults == []
        struck += Counter(verdict.struck)
    assert sum(struck.values()) > 2 * len(SEEDS)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_crash_at_any_effect_breaks_nothing() -> None:
    """Before and after each, of a history with some starts of two schedules."""
    calm = Plan(
        seed=0,
        settings=WorldSettings(seed=0, engine_slots=(0, 1), worker_slots=(0,)),
        runs=(),
        strikes=(),
        trouble=0.0,
        garbage=(),
        schedules=tuple(replace(each, paused_ms=1_500.0, backfilled_ms=()) for each in ALL[:2]),
    )
    played = list(crashes_of(calm))
    assert [(strike, verdict.faults) for strike, verdict in played if verdict.faults] == []
    assert len(played) > 200
