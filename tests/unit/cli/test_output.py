"""Data are printed as they are: text of a run may look like markup."""

import pytest
from rich.console import Console

from logkeel.cli import output
from logkeel.cli.output import Format, print_rows


@pytest.mark.parametrize("text", ["model said [/INST] done", "[bold]x", "a[link]b", r"\[red]"])
def test_brackets_in_a_cell_are_printed(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "data", lambda: Console(width=120, color_system=None))
    print_rows(("value",), [(text,), (None,)], Format.TABLE)
    assert text in capsys.readouterr().out
