"""Turns in which nothing is to do are passed over: that they would have done nothing, and that nothing else changes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from tests.sim.case import play
from tests.sim.many import silence
from tests.sim.passing import Twice
from tests.sim.plan import plan_of

from logkeel.exactly_once.ownership import Ownership
from logkeel.steps.machine import StepMachine

ONE_OF_EACH_KIND = (*range(1, 17), 22, 10_014)
"""All kinds of sixteen, the elders of thirty-two, and sagas."""


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    silence()
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("seed", ONE_OF_EACH_KIND)
def test_a_turn_that_is_passed_over_would_have_done_nothing(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twice = Twice(every=11)
    twice.stands_in(monkeypatch)
    assert not play(plan_of(seed), tmp_path).faults
    assert not twice.wrong
    assert twice.alike > 8


@pytest.mark.parametrize("seed", [3, 10, 13, 600_296])
def test_the_log_is_the_same_if_every_turn_is_run(seed: int, tmp_path: Path) -> None:
    passed_over = play(plan_of(seed), tmp_path, keep_lines=True)
    run = play(plan_of(seed), tmp_path, keep_lines=True, every_turn=True)
    assert passed_over.lines == run.lines


@pytest.mark.parametrize("part", [Ownership, StepMachine])
def test_whoever_rests_too_long_is_found(part: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that does not know of its timers, a worker that does not know of its heartbeats and commits."""
    monkeypatch.setattr(part, "rests_ms", lambda *_: 500.0)
    twice = Twice(every=11)
    twice.stands_in(monkeypatch)
    for seed in range(1, 10):
        play(plan_of(seed), tmp_path)
    assert twice.wrong
