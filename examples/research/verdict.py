"""The judge of the demo. It reads the sinks' own ledgers and the completions as any consumer would, nothing else.

Never imports logkeel's engine: what counts is what arrived outside.
"""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Verdict:
    """What was found. `problems` is empty if nothing was lost and nothing happened twice."""

    facts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether the guarantee held."""
        return not self.problems


def judge(world: Path, shelf: Path, run_ids: list[str], completions: Counter[str]) -> Verdict:
    """Compare the ledgers with what each run should cause: one mail, one registration, one row, one completion."""
    verdict = Verdict()
    mails = Counter(entry["message_id"] for entry in read_ledger(world / "mails.jsonl"))
    arrivals = read_ledger(world / "catalogue.jsonl")
    applied = sum(entry["applied"] for entry in arrivals)
    hung = sum(entry["hung"] for entry in arrivals)
    rows = stored_runs(shelf / "reports.sqlite")
    expected = len(run_ids)
    verdict.facts.append(f"mail server: {sum(mails.values())} mail(s) arrived, {len(mails)} different")
    verdict.facts.append(f"catalogue: {len(arrivals)} arrival(s), {hung} of them left hanging, {applied} registered")
    verdict.facts.append(f"SQLite: {len(rows)} report(s) stored")
    verdict.facts.append(f"run-completions (read_committed): {sum(completions.values())} completion(s)")
    _expect(verdict, "mails", expected, sum(mails.values()))
    _expect(verdict, "registrations", expected, applied)
    _expect(verdict, "stored reports", expected, len(rows & set(run_ids)))
    for run_id in run_ids:
        _expect(verdict, f"completions of {run_id}", 1, completions[run_id])
    return verdict


def _expect(verdict: Verdict, what: str, expected: int, found: int) -> None:
    if found < expected:
        verdict.problems.append(f"LOST: {expected} {what} expected, {found} found")
    elif found > expected:
        verdict.problems.append(f"TWICE: {expected} {what} expected, {found} found")


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """All arrivals of one sink, oldest first; empty if the sink never started."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]


def stored_runs(path: Path) -> set[str]:
    """Run ids in the SQLite shelf."""
    if not path.exists():
        return set()
    with closing(sqlite3.connect(path)) as database:
        return {row[0] for row in database.execute("select run_id from reports")}
