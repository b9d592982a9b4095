"""`crash_everywhere`: an honest workflow survives every crash, and each kind of lie is found out and named."""

from collections.abc import Callable

import pytest
from tests.unit.testing.flowing import step, with_flow
from tests.unit.testing.paying import Order, fakes, shopping

from logkeel.definitions import HumanBlock, SleepBlock
from logkeel.errors import DefinitionError
from logkeel.testing import crashes
from logkeel.testing.crashes import CrashReport, Outside
from logkeel.workflow import IDEMPOTENT, NONE, Workflow

SOME = 90
"""Of some 280 schedules: enough to meet a crash of a worker that had just been outside."""


@pytest.mark.slow
def test_an_honest_workflow_survives_every_crash() -> None:
    report = crashes.crash_everywhere(shopping(), {"article": "book"}, resources=fakes)
    assert report.violations == [], str(report)
    assert report.status == "succeeded"
    assert report.schedules == report.points > 200
    assert {"worker after outside", "worker before send", "engine after commit"} <= set(report.crashes)
    assert report.asked > 0
    report.check()


def lies(report: CrashReport, step_name: str) -> str:
    """The violations of one step, as they are told."""
    assert {each.step for each in report.violations} == {step_name}, str(report)
    with pytest.raises(AssertionError) as raised:
        report.check()
    return str(raised.value)


def test_a_keyed_step_that_ignores_its_key_is_found_out() -> None:
    told = lies(
        crashes.crash_everywhere(shopping(sends_key=False), {"article": "book"}, resources=fakes, at_most=SOME), "pay"
    )
    assert "'pay' happened twice for pay, undisturbed once" in told
    assert "send step.idempotency_key" in told
    assert "worker-0" in told


def test_an_effect_that_is_called_idempotent_and_is_not_is_found_out() -> None:
    workflow = shopping(sends_key=False, pays=IDEMPOTENT)
    told = lies(crashes.crash_everywhere(workflow, {"article": "book"}, resources=fakes, at_most=SOME), "pay")
    assert "declare effect=KEYED and send step.idempotency_key" in told


@pytest.mark.slow
def test_a_check_that_does_not_look_is_found_out() -> None:
    told = lies(crashes.crash_everywhere(shopping(looks=False), {"article": "book"}, resources=fakes), "confirm")
    assert "the check said that nothing had happened" in told


def test_an_effect_that_is_called_none_is_found_out_without_any_crash() -> None:
    report = crashes.crash_everywhere(shopping(pays=NONE), {"article": "book"}, resources=fakes, at_most=1)
    assert "pay is declared NONE, and has an effect outside" in lies(report, "pay")


def test_fewer_schedules_are_spread_over_all() -> None:
    report = crashes.crash_everywhere(shopping(), {"article": "book"}, resources=fakes, at_most=9)
    assert report.schedules == 9
    assert f"9 of {report.points} schedules" in str(report)


def waiting() -> "Workflow[Order]":
    """Half a year of sleep, a question of two days, then a payment."""
    workflow = shopping()
    question = HumanBlock(id="sure", question="Sure?", writes="stamp", timeout_ms=48 * 3_600_000, on_timeout="approve")
    return with_flow(
        workflow, SleepBlock(id="nap", duration_ms=180 * 24 * 3_600_000), question, step("look_up"), step("pay")
    )


def test_long_waits_are_jumped_over() -> None:
    report = crashes.crash_everywhere(
        waiting(), {"article": "book"}, resources=fakes, humans={"sure": "nobody"}, at_most=40
    )
    assert report.violations == [], str(report)


def test_a_human_who_is_missing_is_asked_for() -> None:
    with pytest.raises(DefinitionError, match="nobody was named for 'sure'"):
        crashes.crash_everywhere(waiting(), {"article": "book"}, resources=fakes)


def test_steps_may_be_faked_instead_of_what_they_use() -> None:
    results = {"pay": "paid", "confirm": None, "stamp": ["stamped"]}
    report = crashes.crash_everywhere(shopping(), {"article": "book"}, results=results, at_most=30)
    assert report.violations == [], str(report)


def test_an_outside_knows_its_keys() -> None:
    outside = Outside()
    assert outside.do("pay", key="1")
    assert not outside.do("pay", key="1")
    assert outside.do("pay")
    outside.put("row", 3)
    assert (outside.count("pay"), outside.happened("pay", key="2"), outside.values) == (2, False, {"row": 3})


def test_one_line_of_a_test_is_enough(crash_everywhere: Callable[..., CrashReport]) -> None:
    assert crash_everywhere(shopping(), {"article": "book"}, resources=fakes, at_most=3).schedules == 3
    with pytest.raises(AssertionError, match="declared NONE"):
        crash_everywhere(shopping(pays=NONE), {"article": "book"}, resources=fakes, at_most=1)
