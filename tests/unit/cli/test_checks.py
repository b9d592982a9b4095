"""What the doctor makes of what it sees."""

from pathlib import Path

import pytest

from logkeel.cli import checks
from logkeel.cli.settings import Settings


@pytest.mark.parametrize(
    ("levels", "verdict"),
    [
        ({"metadata.version": 30, "transaction.version": 2}, "ok"),
        ({"metadata.version": 25, "transaction.version": 2}, "ok"),
        ({"metadata.version": 30, "transaction.version": 1}, "warn"),
        ({"metadata.version": 30}, "warn"),
        ({"metadata.version": 21, "transaction.version": 2}, "warn"),
        ({}, "warn"),
    ],
)
def test_versions(levels: dict[str, int], verdict: str) -> None:
    check = checks.version(levels)
    assert check.verdict == verdict
    assert bool(check.remedy) == (verdict != "ok")


@pytest.mark.parametrize(
    ("skew_ms", "verdict", "said"),
    [(5, "ok", "behind"), (-5, "ok", "ahead of"), (5_000, "warn", "behind"), (-60_000, "fail", "ahead of")],
)
def test_clocks(skew_ms: int, verdict: str, said: str) -> None:
    check = checks.clock(skew_ms)
    assert check.verdict == verdict
    assert said in check.detail
    assert bool(check.remedy) == (verdict != "ok")


def test_a_disk_is_looked_at_where_the_tables_will_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(state_dir=str(tmp_path / "not" / "there"))
    assert checks.disk(settings).verdict in ("ok", "warn")
    monkeypatch.setattr(checks, "FULL_BYTES", 1 << 62)
    assert checks.disk(settings).verdict == "fail"
