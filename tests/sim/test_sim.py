"""That the simulation is what it is said to be: deterministic, shrunk, no trifle. The seeds: `test_simulation`."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from tests.sim.case import Verdict, play
from tests.sim.driver import Human, Sender
from tests.sim.everywhere import short_plan
from tests.sim.many import silence
from tests.sim.outside import STAGE, Outside
from tests.sim.plan import Sending, plan_of
from tests.sim.seeds import TRIPS_AT
from tests.sim.shrinking import shrink
from tests.sim.workload import WORKFLOWS

from logkeel.exactly_once import cache
from logkeel.exactly_once.ownership import Ownership
from logkeel.runs.core import sagas, undoing
from logkeel.testing.world import World
from logkeel.testing.world.ending import QUIET_MS, rests
from logkeel.testing.world.trace import TraceEvent

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    silence()
    yield
    structlog.reset_defaults()


def test_a_seed_gives_the_same_events_in_any_process() -> None:
    """Whatever the order of sets and the addresses of objects."""
    command = [sys.executable, "-m", "tests.sim", "--seed", "9", "--log"]
    told = [
        subprocess.run(
            command, cwd=ROOT, env={"PYTHONHASHSEED": seed, "PYTHONPATH": ""}, capture_output=True, text=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1]
    assert len(told[0].splitlines()) > 200


def test_the_trace_has_its_documented_columns(tmp_path: Path) -> None:
    verdict = play(plan_of(1), tmp_path, keep_lines=True)
    header, *lines = verdict.lines
    assert header.split() == list(TraceEvent._fields)
    assert [int(line.split()[0]) for line in lines] == list(range(1, verdict.events + 1))


def test_a_seed_that_fails_is_shrunk_to_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache keeps what was read before an abort (P7): some seed must show it."""
    monkeypatch.setattr(cache.RowCache, "clear", lambda _: None)
    with tempfile.TemporaryDirectory() as directory:
        failed = next(seed for seed in range(1, 300) if play(plan_of(seed), Path(directory)).faults)
    shrunk = shrink(failed)
    assert shrunk.faults
    assert shrunk.command.startswith(f'make sim ARGS="--seed {failed}')


def test_seeds_with_sagas_find_what_is_not_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = range(10_000 + TRIPS_AT, 10_000 + TRIPS_AT + 8 * 20, 8)
    assert {run.workflow for seed in seeds for run in plan_of(seed).runs} >= {"trip"}
    monkeypatch.setattr(undoing, "needs_undo", lambda *_: False)
    found = next(faults for seed in seeds if (faults := play(plan_of(seed), tmp_path).faults))
    assert "never undone" in found[0]


def test_seeds_with_sagas_find_what_is_undone_while_it_is_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sagas, "AT_WORK", ())
    seeds = range(TRIPS_AT, TRIPS_AT + 8 * 50, 8)
    found = next(faults for seed in seeds if (faults := play(plan_of(seed), tmp_path).faults))
    assert "after it had been undone" in found[0]


def test_an_engine_whose_transactions_lost_their_coordinator_goes_on_with_what_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P11: it holds up while it has no producer. One that stays paused behind that is found by such seeds."""
    seeds = [seed for seed in range(1, 60) if "coordinator_lost" in {each.kind for each in plan_of(seed).strikes}]
    verdicts = [play(plan_of(seed), tmp_path) for seed in seeds[:3]]
    assert [(each.faults, each.struck["coordinator_lost"]) for each in verdicts] == [([], 1)] * 3
    monkeypatch.setattr(Ownership, "go_on", lambda _: None)
    assert next(faults for seed in seeds if (faults := play(plan_of(seed), tmp_path).faults))


def test_nothing_is_judged_while_something_goes_on(tmp_path: Path) -> None:
    """What happens late has time to end, too: its markers are written some seconds after it."""
    plan = short_plan("chain")
    plan = replace(plan, runs=(replace(plan.runs[0], sendings=(Sending("start", QUIET_MS - 500.0),)),))
    world = World(WORKFLOWS, plan.settings, tmp_path)
    outside = Outside(world, plan.seed, trouble=plan.trouble)
    STAGE.set(outside)
    human = Human(world, outside)
    world.join(Sender(world, plan))
    world.join(human)
    assert rests(world)
    assert human.ended == {"short-chain"}
    assert world.elapsed_ms - max(event.ms for event in world.trace.events) >= QUIET_MS - 1
    world.end()


def test_the_median_seed_is_no_trifle(tmp_path: Path) -> None:
    verdicts = [play(plan_of(seed), tmp_path) for seed in range(1, 22)]
    assert median(verdicts, "runs") >= 3
    assert median(verdicts, "steps") >= 9
    assert median(verdicts, "events") >= 200
    assert sorted(sum(each.struck.values()) for each in verdicts)[len(verdicts) // 2] >= 1


def median(verdicts: list[Verdict], name: str) -> int:
    """Of one figure."""
    values: list[int] = sorted(getattr(each, name) for each in verdicts)
    return values[len(values) // 2]
