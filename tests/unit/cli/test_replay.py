"""`logkeel replay` as it is typed."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.unit.cli.terminal import Terminal
from tests.unit.runs.engine import a_start
from tests.unit.runs.scripts import flow_of, plan_of, step_block, text
from tests.unit.runs.test_conversations import ANN, talk

from logkeel.cli.recordings import Recording, lines_of, recording_of
from logkeel.definitions import ParallelBlock
from logkeel.records import CancelRun, StartRun
from logkeel.runs.core.plan import Plan

a, b, c = (step_block(name) for name in "abc")


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """A run of some steps at once, which was cancelled."""
    terminal = Terminal(monkeypatch, capsys)
    terminal.engine.publish(plan_of(flow_of(c, ParallelBlock(id="f", branches=(b, a)))))
    terminal.engine.ask(a_start())
    terminal.engine.succeed(terminal.engine.commands()[0], value="first")
    terminal.engine.ask(CancelRun(run_id="r", request_id="c", reason="enough"))
    return terminal


def exported(typed: Terminal, folder: Path, run_id: str = "r") -> Path:
    path = folder / f"{run_id}.jsonl"
    path.write_text(typed("run", "export", run_id).out)
    return path


def changed(recorded: Path, name: str, number: int, **values: object) -> Path:
    """The recording with another event at this revision."""
    known = recording_of(recorded.read_bytes().splitlines(), recorded.name)
    events = [replace(event, **values) if event.revision == number else event for event in known.events]
    other = recorded.with_name(name)
    other.write_bytes(b"\n".join(lines_of(Recording(known.document, tuple(events)))))
    return other


def test_what_an_engine_has_decided_is_decided_alike_from_the_log_and_from_a_file(
    typed: Terminal, tmp_path: Path
) -> None:
    said = typed("replay", "r")
    assert (said.code, said.out) == (0, "r: decided alike, 3 turns compared\n"), said.err
    path = exported(typed, tmp_path)
    told = [json.loads(line) for line in typed("replay", str(path), "r", "-o", "json").out.splitlines()]
    assert [each["history"] for each in told] == [str(path), "r"]
    assert {each["turns_compared"] for each in told} == {3}
    assert all(each["divergence"] is None for each in told)


def test_a_difference_is_named_and_fails(typed: Terminal, tmp_path: Path) -> None:
    path = exported(typed, tmp_path)
    other = changed(path, "other.jsonl", 4, path="elsewhere", kind="block_left")
    said = typed("replay", str(path), str(other))
    assert said.code == 1
    lines = said.out.splitlines()
    assert lines[0] == f"{path}: decided alike, 3 turns compared"
    assert lines[1].startswith(f"{other}: diverges at revision 4: kind was 'block_left', is 'block_entered'")
    assert lines[2:] == ["  recorded: block_left elsewhere", "  now:      block_entered f"]
    assert "logic number" in said.err
    told = typed("replay", str(other), "-o", "json")
    assert told.code == 1
    assert json.loads(told.out)["divergence"]["recorded"]["path"] == "elsewhere"


def test_nothing_compared_is_no_success(typed: Terminal, tmp_path: Path) -> None:
    path = exported(typed, tmp_path)
    known = recording_of(path.read_bytes().splitlines(), path.name)
    events = tuple(replace(event, opens_turn=False) for event in known.events)
    path.write_bytes(b"\n".join(lines_of(Recording(known.document, events))))
    said = typed("replay", str(path))
    assert said.code == 1
    assert said.out == f"{path}: nothing compared; not compared: 1 recorded before turns were marked\n"


def test_what_is_no_recording_and_no_run_is_told(typed: Terminal, tmp_path: Path) -> None:
    assert "logkeel run list" in typed("replay", "nobody").err
    assert "there is no file" in typed("replay", str(tmp_path / "none.jsonl")).err
    (tmp_path / "empty.jsonl").write_text("{}\n")
    assert "is not of a recording" in typed("replay", str(tmp_path / "empty.jsonl")).err


def test_a_turn_of_a_conversation_is_compared_behind_its_former_turns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    typed = Terminal(monkeypatch, capsys)
    typed.engine.publish(_published(talk()))
    for number in (1, 2):
        inputs = (text("topic", "x"), text("who", ANN))
        typed.engine.ask(
            StartRun(
                workflow="work", run_id=f"t{number}", request_id=f"q{number}", routing_key=ANN, conversation_id=ANN,
                inputs=inputs,
            )
        )  # fmt: skip
        typed.engine.ask(CancelRun(run_id=f"t{number}", request_id=f"c{number}", routing_key=ANN))
    said = typed("replay", "t2")
    assert (said.code, said.out) == (0, "t2: decided alike, 2 turns compared\n"), said.err
    first, second = exported(typed, tmp_path, "t1"), exported(typed, tmp_path, "t2")
    assert typed("replay", str(second), str(first)).code == 0
    alone = typed("replay", str(second))
    assert alone.code == 1
    assert "nothing compared; not compared: 2 of a conversation whose former turns are not given" in alone.out
    assert "former turns" in alone.err


def _published(plan: Plan) -> Plan:
    return Plan(replace(plan.document, version="1"), "digest-1")
