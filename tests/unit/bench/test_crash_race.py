"""The crash race's judge: a few lines of a ledger, and the column that each repetition belongs to."""

from typing import Any

import pytest
from tests.bench.peers.judging import Verdict, gaps_s, judge

Line = dict[str, Any]


def begin(at: float, step: int, run: str = "r", **more: str) -> Line:
    return {"what": "begin", "run": run, "step": step, "at": at, **more}


def effect(at: float, step: int, run: str = "r", **more: str) -> Line:
    return {"what": "effect", "run": run, "step": step, "at": at, **more}


def done(at: float, run: str = "r") -> Line:
    return {"what": "done", "run": run, "at": at}


CLEAN = [begin(1, 0), effect(2, 0), begin(3, 1), effect(4, 1), done(5)]


def verdict_on(lines: list[Line], *, steps: int = 2, kills: tuple[float, ...] = (), sync: bool = True) -> Verdict:
    return judge(lines, ["r"], steps, kills=kills, next_means_recorded=sync)


def test_a_clean_run_shows_nothing() -> None:
    assert verdict_on(CLEAN) == Verdict(1, 0, 0, 0, 0, 0, 0, 0, None, None)


def test_a_run_that_never_ends_is_lost_or_stuck_and_its_steps_are_not_called_missing() -> None:
    verdict = verdict_on([begin(1, 0), effect(2, 0)])
    assert (verdict.lost_or_stuck, verdict.steps_missing) == (1, 0)


def test_a_run_that_was_never_begun_is_lost() -> None:
    assert verdict_on([]).lost_or_stuck == 1


def test_a_run_that_ends_without_a_step_misses_it() -> None:
    assert verdict_on([begin(1, 0), effect(2, 0), done(3)]).steps_missing == 1


@pytest.mark.parametrize(
    ("lines", "column"),
    [
        ([begin(1, 0), begin(2, 0), effect(3, 0)], "was_running"),
        ([begin(1, 0), effect(2, 0), begin(3, 0), effect(4, 0)], "unrecorded"),
        ([begin(1, 0), effect(2, 0), begin(3, 1), begin(4, 0), effect(5, 0)], "recorded"),
        ([*CLEAN, begin(6, 1), effect(7, 1)], "recorded"),
    ],
)
def test_a_repetition_is_counted_in_one_column(lines: list[Line], column: str) -> None:
    verdict = verdict_on(lines)
    assert {name: getattr(verdict, name) for name in ("was_running", "unrecorded", "recorded")} == {
        "was_running": 0,
        "unrecorded": 0,
        "recorded": 0,
        column: 1,
    }


def test_a_system_that_records_late_has_recorded_only_what_is_of_an_ended_run() -> None:
    lines = [begin(1, 0), effect(2, 0), begin(3, 1), begin(4, 0), effect(5, 0)]
    assert verdict_on(lines, sync=False).unrecorded == 1
    assert verdict_on([*CLEAN, begin(6, 0)], sync=False).recorded == 1


def test_lines_are_judged_in_order_of_time_however_they_come() -> None:
    lines = [begin(1, 0), effect(2, 0), begin(3, 0), effect(4, 0), begin(5, 1), effect(6, 1), done(7)]
    assert verdict_on(lines[::-1]) == verdict_on(lines)


def test_an_execution_cut_off_before_its_effect_repeats_no_effect() -> None:
    assert verdict_on([begin(1, 0), begin(2, 0), effect(3, 0)]).effects_repeated == 0


def test_effects_with_one_key_are_applied_once() -> None:
    twice = [effect(1, 0, effect="KEYED", key="k"), effect(2, 0, effect="KEYED", key="k")]
    assert verdict_on(twice).effects_repeated == 0
    assert verdict_on([*twice, effect(3, 0, effect="KEYED", key="other")]).effects_repeated == 1
    assert verdict_on([effect(1, 0, effect="IDEMPOTENT", key="k")] * 2).effects_repeated == 1


def test_a_gap_lasts_until_the_run_begins_a_step_or_ends() -> None:
    lines = [begin(1, 0, "a"), begin(1, 1, "b"), effect(4, 1, "b"), done(4.5, "b"), begin(6, 0, "a")]
    assert sorted(gaps_s(lines, [3.0])) == [1.5, 3.0]


def test_runs_that_had_ended_or_not_begun_were_not_interrupted() -> None:
    assert gaps_s([*CLEAN, begin(20, 0, "later")], [10.0]) == []


def test_a_run_that_two_kills_find_unmoved_has_one_gap_from_the_first() -> None:
    assert gaps_s([begin(1, 0), begin(9, 0)], [2.0, 4.0]) == [7.0]


def test_a_run_that_never_moves_again_is_stuck_and_has_no_gap() -> None:
    verdict = verdict_on([begin(1, 0)], kills=(2.0,))
    assert (verdict.lost_or_stuck, verdict.interrupted, verdict.gap_max_s) == (1, 0, None)
