"""The workload file, and the tables that are made of results."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.bench.peers import flow_tables, tables, workloads

FILE = workloads.load()


def test_the_file_holds_the_workloads_that_are_promised() -> None:
    assert {name: c.steps for name, c in FILE.chains.items()} == {"W1": 3, "W2": 30, "W6-100KB": 3, "W6-1MB": 3}
    assert FILE.chains["W1"].in_flight == (32, 256, 1_024)
    assert FILE.restart.runs * FILE.restart.payload_bytes == 1_000_000_000
    assert FILE.waiting.runs == 100_000
    assert (FILE.fan_out.width, FILE.timers.runs, max(FILE.agent.turns), FILE.items.items) == (100, 10_000, 200, 10_000)
    race = FILE.race
    assert (race.runs, race.steps, race.step_ms, race.in_flight, race.kills) == (300, 5, 20, 32, 15)


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    wrong = workloads.FILE.read_text().replace("steps = 3", "stepz = 3", 1)
    (tmp_path / "w.toml").write_text(wrong)
    with pytest.raises(TypeError, match="stepz"):
        workloads.load(tmp_path / "w.toml")


@given(seed=st.integers(0, 2**32))
def test_kills_are_spread_over_the_race_and_all_before_its_end(seed: int) -> None:
    plan = replace(FILE.race, seed=seed).kill_plan()
    effects = [count for count, _ in plan]
    assert len(plan) == FILE.race.kills
    assert effects == sorted(set(effects))
    assert effects[0] > 0
    assert effects[-1] < FILE.race.runs * FILE.race.steps
    assert all(0 <= wait_s <= 0.04 for _, wait_s in plan)


def test_one_seed_is_one_plan() -> None:
    assert FILE.race.kill_plan() == workloads.load().race.kill_plan()
    assert FILE.race.kill_plan() != replace(FILE.race, seed=FILE.race.seed + 1).kill_plan()


RESULTS: dict[str, Any] = {
    "machine": "a machine",
    "versions": {"x": "x 1.0"},
    "durability": {"x": "synced", "y": "not synced"},
    "missing": {"z": "no such package"},
    "measured": [
        {"system": "x", "workload": "W1", "in_flight": 32, "steps_per_s": rate, "cpu_s_per_1000": 0.5}
        | {"written_bytes_per_1000": 2_000_000}
        for rate in (300.4, 100.2, 200.0)
    ]
    + [
        {"system": "y", "workload": "W1", "rate": 200, "achieved": 90.0, "p50_ms": 900.0, "p99_ms": 990.0},
        {"system": "x", "workload": "W1", "rate": 200, "achieved": 199.0, "p50_ms": 12.4, "p99_ms": 30.0},
    ],
    "races": [
        {"system": "x", "plan": "worker", "effect": "IDEMPOTENT", "kills": 15, "runs": 300, "lost_or_stuck": lost}
        | {"steps_missing": 0, "was_running": 3, "unrecorded": 2, "recorded": 1, "effects_repeated": 3}
        | {"gap_median_s": gap, "gap_max_s": 2 * gap}
        for lost, gap in ((0, 0.5), (1, 1.5))
    ],
}


def test_a_cell_is_minimum_median_maximum_and_each_row_says_its_durability() -> None:
    text = tables.throughput(RESULTS["measured"], RESULTS["durability"])
    assert "| x | 100 / **200** / 300 | synced |" in text
    assert "| y | - | not synced |" in text


def test_a_system_that_falls_behind_a_rate_is_said_to() -> None:
    text = tables.latency(RESULTS["measured"], RESULTS["durability"])
    assert "| y | cannot (90/s) | not synced |" in text
    assert "| x | 12 / 30 ms | synced |" in text


def test_cost_is_of_a_thousand_steps() -> None:
    assert "| x | 0.50 s, 2.0 MB |" in tables.cost(RESULTS["measured"])


def test_races_of_one_kind_are_summed_and_the_longest_gap_is_kept() -> None:
    line = tables.crash_race(RESULTS["races"]).splitlines()[-1]
    assert line == "| x | worker killed | 600 | 30 | 1 | 0 | 6 | 4 | 2 | 6 | 1.00 s | 3.00 s |"


FLOWS: list[dict[str, Any]] = [
    {"system": "x", "workload": "W3", "in_flight": 8, "steps_per_s": 812.0},
    {"system": "x", "workload": "W4", "wanted": 10_000, "runs": 10_000, "half_s": 1.25, "all_s": 2.5},
    {"system": "x", "workload": "W5", "in_flight": 1, "p50_ms": 12.4, "p99_ms": 30.1},
    {"system": "x", "workload": "W7 code", "turns": 20, "turn_ms": 2.0, "log_bytes": 1_500.0},
    {"system": "x", "workload": "W7 code", "turns": 200, "turn_ms": 2.5, "log_bytes": 1_490.0},
    {"system": "x", "workload": "W7 loop", "cannot": "has no graphs"},
    {"system": "y", "workload": "W3", "in_flight": 8, "steps_per_s": 100.0},
    {"system": "y", "workload": "W4", "cannot": "has no timers"},
    {"system": "y", "workload": "W5", "failed": "Traceback\nValueError: 400"},
    {"system": "z", "workload": "W4", "wanted": 10_000, "runs": 640, "half_s": 1.0, "all_s": 3.0},
]


def test_what_a_system_does_not_have_stands_in_the_place_of_its_figures() -> None:
    text = flow_tables.fan_out_and_waits(FLOWS, {"x": "synced", "y": "not synced", "z": "synced"})
    assert "| x | 812 | 12 ms, 30 ms |" in text
    assert "| 1.25 s, 2.50 s | synced |" in text
    assert "| ValueError: 400 | has no timers | not synced |" in text
    assert "of 640 that could be started in 30 s" in text


def test_a_turn_of_a_long_run_stands_beside_one_of_a_short_run() -> None:
    text = flow_tables.agent(FLOWS, {"x": "synced", "y": "not synced", "z": "synced"})
    assert "| a turn of 20 → 200 |" in text
    assert "| x | W7 code | 2.0 ms → 2.5 ms |" in text
    assert "| x | W7 loop | has no graphs | has no graphs | synced |" in text
    assert "| y |" not in text


def test_tables_go_between_the_marks_of_a_document_and_again() -> None:
    once = tables.between_marks(f"head\n{tables.BEGIN}\nold\n{tables.END}\nfoot\n", "new\n")
    assert once == f"head\n{tables.BEGIN}\n\nnew\n\n{tables.END}\nfoot\n"
    assert tables.between_marks(once, "new\n") == once
    with pytest.raises(ValueError, match="needs a line"):
        tables.between_marks("head\n", "new")


def test_what_is_not_there_is_named() -> None:
    text = tables.document(RESULTS)
    assert "Not there: z (no such package)" in text
    assert "x 1.0" in text
