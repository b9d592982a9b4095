"""`logkeel insight` says what is wrong before it connects to anything."""

from pathlib import Path

import pytest

from logkeel.cli.insight import insight_settings
from logkeel.cli.main import main
from logkeel.cli.settings import Settings
from logkeel.errors import ConfigInvalid

TIMES = {
    "window": "30s",
    "keep": "1h",
    "sweep": "1s",
    "pickup": "2m",
    "running": "3m",
    "limit": "4m",
    "human": "5m",
    "outside": "6m",
    "late": "7s",
}


def test_durations_and_names_arrive() -> None:
    made = insight_settings(Settings(prefix="app", bootstrap_servers="a:1", state_dir="x"), TIMES)
    assert (made.names.insight_group, made.directory) == ("app.insight", Path("x/insight"))
    assert (made.windows.length_ms, made.windows.kept_ms, made.sweep_ms) == (30_000, 3_600_000, 1_000)
    patience = made.patience
    found = (patience.pickup_ms, patience.running_ms, patience.limit_ms, patience.human_ms, patience.outside_ms)
    assert found == (120_000, 180_000, 240_000, 300_000, 360_000)
    assert patience.late_ms == 7_000


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [("keep", "40s", "two windows"), ("sweep", "soon", "--sweep soon"), ("late", "0s", "--late")],
)
def test_a_wrong_duration_is_named(name: str, text: str, said: str) -> None:
    with pytest.raises(ConfigInvalid, match=said):
        insight_settings(Settings(), {**TIMES, name: text})


def test_alerts_need_a_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOGKEEL_INSIGHT_SECRET", raising=False)
    with pytest.raises(SystemExit):
        main(["insight", "-b", "127.0.0.1:1", "--alert-url", "https://alerts.example.com/"])
    assert "LOGKEEL_INSIGHT_SECRET" in capsys.readouterr().err
