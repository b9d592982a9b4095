"""The chapter `schemas/README.md` says what is so."""

import json
import re
from pathlib import Path

from logkeel.records import StartRun
from logkeel.wire import RECORDS, decode_request
from logkeel.wire.requests import MAX_JSON_BYTES, MAX_JSON_FIELDS

CHAPTER = (Path(__file__).resolve().parents[3] / "schemas" / "README.md").read_text(encoding="utf-8")


def test_the_table_lists_every_record_in_order() -> None:
    assert re.findall(r"^\| `(\w+)` \| `(?:run|step|workflow)-", CHAPTER, re.MULTILINE) == [
        kind.__name__ for kind in RECORDS
    ]


def test_the_example_request_starts_a_run() -> None:
    match = re.search(r"echo '(.*)'", CHAPTER)
    assert match is not None
    request = decode_request(match[1].encode())
    assert isinstance(request, StartRun)
    assert [write.field for write in request.inputs] == list(json.loads(match[1])["input"])


def test_each_json_key_in_the_table_is_a_key() -> None:
    section = CHAPTER.partition("## Requests in JSON")[2].partition("## Evolution")[0]
    rows = re.findall(r"^\| `(\w+)`(?: \(default.*?\))? \| (`.*) \|$", section, re.MULTILINE)
    assert [name for name, _ in rows] == [
        "StartRun",
        "SignalRun",
        "CancelRun",
        "ResolveStep",
        "AnswerQuestion",
        "PauseRun",
        "ResumeRun",
        "RetryRun",
    ]
    by_name = {kind.__name__: kind for kind in RECORDS}
    for name, keys in rows:
        expected = [{"inputs": "input"}.get(field, field) for field in by_name[name].__struct_fields__]
        assert sorted(re.findall(r"`(\w+)`", keys)) == sorted(expected)


def test_the_limits_are_those_of_the_code() -> None:
    assert MAX_JSON_BYTES == 1024 * 1024
    assert "1 MiB in all" in CHAPTER
    assert f"{MAX_JSON_FIELDS:,} fields".replace(",", " ") in CHAPTER


def test_the_python_example_runs() -> None:
    match = re.search(r"```python\n(.*?)```", CHAPTER, re.DOTALL)
    assert match is not None
    exec(compile(match[1], "schemas/README.md", "exec"), {})  # noqa: S102 - our own chapter
