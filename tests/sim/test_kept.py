"""Schedules that were found once to be judged or played wrongly, each with what was wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from tests.sim import within
from tests.sim.case import play
from tests.sim.many import silence
from tests.sim.plan import Plan, RunPlan, Sending

from logkeel.testing.world import EffectStrike, TimedStrike, WorldSettings

KEPT: dict[str, Plan] = {
    # A damaged store was replaced in the resync of another partition, whose commit had been in doubt (P10).
    "doubt_beside_a_broken_store": Plan(
        seed=600_296,
        settings=WorldSettings(
            seed=600_296,
            partitions=3,
            engine_slots=(10, 7, 1),
            worker_slots=(0, 1),
            max_records=7,
            max_bytes=1,
            pace=0.3,
        ),
        runs=(
            RunPlan("run-0", "bulky", 152, (Sending("start", 480.4), Sending("signal", 563.2, name="hint"))),
            RunPlan("run-1", "fan", 649, (Sending("start", 1288.9),)),
        ),
        strikes=(
            EffectStrike("send_offsets_repeated", 244, "after", 0.0),
            EffectStrike("commit_repeated", 552, "after", 0.0),
            TimedStrike("join_engine", 3_436.4, 1, 13_000.0),
            EffectStrike("commit_lost_in_doubt", 205, "after", 0.0),
            TimedStrike("power_failure", 3_715.0, 6, 300.0),
            EffectStrike("commit_abortable", 672, "after", 0.0),
            TimedStrike("disk_damaged", 1_464.1, 9, 2_000.0),
        ),
        trouble=0.0,
        garbage=(("requests", 1_616.3), ("requests", 2_174.5), ("results", 2_214.0)),
    ),
    # No worker for 13 s, then a lease for who may have begun a step: a limit of 20 s was over, and by right.
    "limit_without_workers": Plan(
        seed=0,
        settings=WorldSettings(engine_slots=(1, 3), worker_slots=(0,), pace=0.3),
        runs=(RunPlan("flow-0", "winding", 105, (Sending("start", 50.0),)),),
        strikes=(TimedStrike("expire_offsets", 800.0, 1, 2_000.0),),
        trouble=0.0,
        garbage=(),
    ),
}


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    silence()
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("name", KEPT)
def test_a_schedule_that_was_judged_wrongly(name: str, tmp_path: Path) -> None:
    assert play(KEPT[name], tmp_path).faults == []


def test_a_limit_that_is_over_for_nothing_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(within, "KEEPS_FROM_WORK", ())
    (fault,) = play(KEPT["limit_without_workers"], tmp_path).faults
    assert fault.startswith("flow-0 within/ timed out")
