"""The judge of losses: who fails beside a step that kills its process may, who loses workers by itself may not."""

import pytest
from tests.sim.losses import was_beside_a_killer
from tests.unit.insight.events import event

from logkeel.records import ErrorInfo, RunCompleted
from logkeel.runs.core.doubt import RECLAIMS_TO_GIVE_UP


@pytest.mark.parametrize(("beside", "own", "may_fail"), [(5, 0, True), (1, 4, True), (0, 5, False), (4, 0, False)])
def test_a_run_may_fail_by_losses_of_which_too_few_were_its_own(beside: int, own: int, may_fail: bool) -> None:
    assert RECLAIMS_TO_GIVE_UP == 5
    holders = [f"killed-{number}" for number in range(beside)] + [f"died-{number}" for number in range(own)]
    lost = [
        event("r", number, "step_reclaimed", 0, path="a", dispatch=number, holder=holder, reason="lost")
        for number, holder in enumerate(holders)
    ]
    events = [*lost, event("r", 98, "step_failed", 0, path="a", step="a")]
    assert was_beside_a_killer(ended("worker_lost"), {("r", "i"): events}, set(holders[:beside])) is may_fail


def test_another_failure_is_not_excused() -> None:
    assert not was_beside_a_killer(ended("child_failed"), {}, {"killed-0"})


def ended(code: str) -> RunCompleted:
    """A run that has failed by this."""
    return RunCompleted(
        run_id="r",
        incarnation="i",
        workflow="w",
        version="1",
        definition_digest="0" * 64,
        status="failed",
        revision=99,
        started_at_ms=0,
        finished_at_ms=0,
        error=ErrorInfo(code=code, kind="worker_lost", message=""),
    )
