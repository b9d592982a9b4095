"""The judge finds what was lost and what happened twice, from the ledgers alone."""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from examples.research.outside import CREATE_REPORTS, UPSERT_REPORT
from examples.research.verdict import judge


def world(folder: Path, *, mails: int = 1, applied: int = 1, rows: int = 1) -> None:
    """Ledgers of one run as the sinks write them."""
    mail = [json.dumps({"message_id": "<1@x>"}) for _ in range(mails)]
    (folder / "mails.jsonl").write_text("".join(line + "\n" for line in mail))
    arrivals = [json.dumps({"key": str(n), "hung": n == 0, "applied": True}) for n in range(applied)]
    (folder / "catalogue.jsonl").write_text("".join(line + "\n" for line in arrivals))
    with closing(sqlite3.connect(folder / "reports.sqlite")) as database:
        database.execute(CREATE_REPORTS)
        for _ in range(rows):
            database.execute(UPSERT_REPORT, ("run-1", "q", "r"))
        database.commit()


def test_one_of_each_is_good(tmp_path: Path) -> None:
    world(tmp_path)
    verdict = judge(tmp_path, tmp_path, ["run-1"], Counter({"run-1": 1}))
    assert verdict.good
    assert "catalogue: 1 arrival(s), 1 of them left hanging, 1 registered" in verdict.facts


@pytest.mark.parametrize(
    ("found", "completions", "problem"),
    [
        ({"mails": 2}, 1, "TWICE: 1 mails expected, 2 found"),
        ({"mails": 0}, 1, "LOST: 1 mails expected, 0 found"),
        ({"applied": 2}, 1, "TWICE: 1 registrations expected, 2 found"),
        ({"rows": 0}, 1, "LOST: 1 stored reports expected, 0 found"),
        ({}, 0, "LOST: 1 completions of run-1 expected, 0 found"),
        ({}, 2, "TWICE: 1 completions of run-1 expected, 2 found"),
    ],
)
def test_each_violation_is_named(tmp_path: Path, found: dict[str, int], completions: int, problem: str) -> None:
    world(tmp_path, **found)
    assert judge(tmp_path, tmp_path, ["run-1"], Counter({"run-1": completions})).problems == [problem]


def test_a_world_that_never_started_has_lost_everything(tmp_path: Path) -> None:
    assert len(judge(tmp_path, tmp_path, ["run-1"], Counter()).problems) == 4
