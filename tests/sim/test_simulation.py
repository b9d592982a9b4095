"""A small set of seeds in every run of the suite: fixed ones, fresh ones, and a crash at every effect."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from tests.sim.case import play
from tests.sim.everywhere import crashes
from tests.sim.many import silence
from tests.sim.plan import plan_of
from tests.sim.seeds import ROCKS_EVERY

FIXED = range(1, 51)
FRESH = 25


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    silence()
    yield
    structlog.reset_defaults()


def faults(seeds: range, directory: Path) -> dict[str, list[str]]:
    """By the command that shows them."""
    verdicts = [play(plan_of(seed), directory) for seed in seeds]
    return {f'make sim ARGS="--seed {each.seed} --log"': each.faults for each in verdicts if each.faults}


def test_fixed_seeds_show_no_violation(tmp_path: Path) -> None:
    assert faults(FIXED, tmp_path) == {}


def test_fresh_seeds_show_no_violation(tmp_path: Path) -> None:
    start = secrets.randbelow(10**9)
    assert faults(range(start, start + FRESH), tmp_path) == {}


def test_tables_in_rocksdb_show_no_violation(tmp_path: Path) -> None:
    assert faults(range(ROCKS_EVERY, 3 * ROCKS_EVERY + 1, ROCKS_EVERY), tmp_path) == {}
    assert list(tmp_path.glob("rocks-*/*/*/CURRENT"))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("workflow", ["careful", "agent", "family", "started", "talk", "trip", "tough", "pondering"])
def test_a_crash_at_any_effect_of_a_short_history_breaks_nothing(workflow: str) -> None:
    """Before and after each: CHECKED and ONCE are in it, the writes of tables and the start of a process too."""
    played = list(crashes(workflow))
    assert [(strike, verdict.faults) for strike, verdict in played if verdict.faults] == []
    struck = [strike.when for strike, verdict in played if "crash" in verdict.struck]
    assert struck.count("before") == len(played) // 2
    # An effect that raises has no "after".
    assert struck.count("after") > 0.9 * len(played) // 2
    assert len(played) > 200
