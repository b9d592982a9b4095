"""The demo as `make demo` runs it: a good verdict with kills, a bad one when a rule is broken on purpose."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

ROOT = Path(__file__).parents[3]


def demo(keep: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One demo; its data stay in `keep`."""
    return subprocess.run(
        [sys.executable, "-m", "examples.research.demo", "--keep", str(keep), "--corpus", str(ROOT / "docs"), *options],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=150,
    )


def test_a_killed_engine_and_a_killed_worker_leave_no_trace(tmp_path: Path) -> None:
    done = demo(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "GOOD: nothing lost, no side effect twice" in done.stdout
    assert done.stdout.count("** kill -9") == 2
    assert "register          failed: no result within 2000 ms" in done.stdout
    (report,) = (tmp_path / "shelf").glob("*.md")
    assert "## Evidence" in report.read_text()


def test_behind_tls_logins_and_exact_rights_it_is_the_same(tmp_path: Path) -> None:
    done = demo(tmp_path, "--secured")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "GOOD: nothing lost, no side effect twice" in done.stdout
    assert done.stdout.count("** kill -9") == 2


@pytest.mark.parametrize("rule", ["key", "offset"])
def test_a_broken_rule_gives_a_bad_verdict(tmp_path: Path, rule: str) -> None:
    done = demo(tmp_path, SABOTAGE=rule)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "TWICE: 1 mails expected, 2 found" in done.stdout
