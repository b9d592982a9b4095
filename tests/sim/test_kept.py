"""Schedules that were found once to be judged or played wrongly, each with what was wrong."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from tests.sim import within
from tests.sim.case import play
from tests.sim.many import silence
from tests.sim.plan import Plan, plan_of


def _with_garbage(seed: int, runs: int, *garbage: tuple[str, float]) -> Plan:
    plan = plan_of(seed)
    return replace(plan, runs=plan.runs[:runs], garbage=garbage)


KEPT: dict[str, Plan] = {
    # A damaged store was replaced in the resync of another partition, whose commit had been in doubt (P10).
    "doubt_beside_a_broken_store": _with_garbage(
        600296, 2, ("requests", 1616.324093468441), ("requests", 2174.498659988563), ("results", 2214.02035229352)
    ),
    # No worker for 13 s, then a lease for who may have begun a step: a limit of 20 s was over, and by right.
    "limit_without_workers": plan_of(2_001_464),
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
    assert fault.startswith("flow-1 within/ timed out")
