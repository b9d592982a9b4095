"""`logkeel notifier` says what is wrong before it does anything; `approvals told` says who was told."""

from pathlib import Path

import pytest
from tests.unit.notify.world import NAMES, World

from logkeel.cli.main import main
from logkeel.cli.told import COLUMNS, as_json, cases_of_run, table
from logkeel.notify.cases import Refused, Retry

GOOD = """
[channels.audit]
kind = "webhook"
url = "https://audit.example.com/"
secret_env = "AUDIT_SECRET"
[routes]
"*" = ["audit"]
"""


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["notifier", *arguments])
    return ended.value.code if isinstance(ended.value.code, int) else 0


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUDIT_SECRET", "whsec_x")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "notify.toml"
    path.write_text(GOOD)
    return path


def test_a_good_file_is_told_so(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(file), "--check") == 0
    assert "1 channels, 1 routes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--listen", "8090"), "--listen 8090 is not host:port"),
        (("--listen", "127.0.0.1:8090"), "say public_url"),
    ],
)
def test_pages_need_an_address_and_a_url(
    file: Path, options: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(str(file), "--check", *options) == 15
    assert said in capsys.readouterr().err


def test_a_file_that_is_not_there_or_wrong_is_named(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("nothing.toml", "--check") == 15
    assert "nothing.toml cannot be read" in capsys.readouterr().err
    file.write_text(GOOD.replace("https", "http"))
    assert run(str(file), "--check") == 15
    assert "channels.audit: url" in capsys.readouterr().err


def test_who_was_told_stands_in_the_changelog() -> None:
    world = World()
    world.postbox.answers = [Refused("no such person"), Retry("status 503")]
    world.asks()
    world.run(turns=20)
    world.asks("r2")
    world.run(turns=20)
    cases = cases_of_run(world.client, NAMES, "r")
    assert {case.run_id for case in cases} == {"r"}
    lines = [dict(zip(COLUMNS, line, strict=True)) for line in table(cases, world.cluster.clock.now_ms())]
    assert {line["to"] for line in lines} == {"mail:ada@example.com", "hook"}
    assert sorted((line["state"], line["error"], line["next"] is None) for line in lines) == [
        ("due", "status 503", False),
        ("failed", "no such person", True),
    ]
    assert {each["key"] for each in as_json(cases)} < world.postbox.keys()
    assert cases_of_run(world.client, NAMES, "nobody") == []
