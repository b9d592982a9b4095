"""What people type as data."""

from pathlib import Path

import pytest

from logkeel.cli.run_inputs import input_of, json_of, pairs_of
from logkeel.errors import InvalidInput


def test_fields_win_over_the_object_and_are_json_where_they_can_be() -> None:
    assert input_of('{"a": 1, "b": 2}', ["b=3", "c=[1]", "d=Ada", "e=x=y"]) == {
        "a": 1,
        "b": 3,
        "c": [1],
        "d": "Ada",
        "e": "x=y",
    }


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "input.json").write_text('{"name": "Ada"}')
    assert input_of(f"@{tmp_path}/input.json", []) == {"name": "Ada"}


@pytest.mark.parametrize(
    ("text", "fields", "said"),
    [
        ("[1]", [], "wants a JSON object"),
        ("{name: 1}", [], "is not JSON"),
        ("@nowhere.json", [], "cannot be read"),
        (None, ["name"], "wants name=value"),
        (None, ["=7"], "wants name=value"),
    ],
)
def test_mistakes_are_named(text: str | None, fields: list[str], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        input_of(text, fields)


def test_attributes_stay_texts() -> None:
    assert pairs_of(["tenant=7"], "--attribute") == {"tenant": "7"}
    assert json_of("null", "--payload") is None
