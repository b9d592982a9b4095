"""`logkeel run history|state|export|fork` as they are typed."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.cli.terminal import Terminal
from tests.unit.cli.test_workflow_check import application
from tests.unit.runs.engine import a_start
from tests.unit.runs.flows import plan_with
from tests.unit.runs.scripts import flow_of, plan_of, step_block

from logkeel.cli.applications import load_workflows
from logkeel.cli.recordings import Recording, lines_of, recording_of
from logkeel.definitions import encode_document
from logkeel.errors import InvalidInput
from logkeel.records import ErrorInfo, StepCommand, StepFailed
from logkeel.runs.core.plan import Plan

a, b, c = (step_block(name) for name in "abc")


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """A run of two steps, the first one done, the second one sent."""
    terminal = Terminal(monkeypatch, capsys)
    terminal.engine.publish(_published(plan_of(flow_of(a, b))))
    terminal.engine.ask(a_start())
    terminal.engine.succeed(terminal.engine.commands()[0], value="first")
    return terminal


def _published(plan: Plan, version: str = "1") -> Plan:
    return Plan(replace(plan.document, version=version), f"digest-{version}")


def state_of(typed: Terminal, run_id: str, *more: str) -> Any:
    return typed("run", "state", run_id, *more).value


def commands_of(typed: Terminal, run_id: str) -> list[StepCommand]:
    return [each for each in typed.engine.commands() if each.identity.run_id == run_id]


def test_the_history_is_a_line_an_event(typed: Terminal) -> None:
    said = typed("run", "history", "r")
    lines = said.out.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3", "4"]
    assert "step succeeded  a (attempt 1)" in lines[2]
    told = [json.loads(line) for line in typed("run", "history", "r", "-o", "json").out.splitlines()]
    assert [each["kind"] for each in told][2:] == ["step_succeeded", "step_dispatched"]
    assert "logkeel run list" in typed("run", "history", "nobody").err


def test_the_state_is_rebuilt_at_any_revision(typed: Terminal) -> None:
    now = state_of(typed, "r")
    assert now["fields"] == {"topic": "kafka", "a": "first"}
    assert {path: step["phase"] for path, step in now["steps"].items()} == {"a": "done", "b": "dispatched"}
    then = state_of(typed, "r", "--revision", "2")
    assert then["fields"] == {"topic": "kafka"}
    assert {path: step["phase"] for path, step in then["steps"].items()} == {"a": "dispatched"}
    assert "revisions 1 to 4, and no 9" in typed("run", "state", "r", "--revision", "9").err


def test_a_fork_goes_on_from_a_revision_with_other_values(typed: Terminal) -> None:
    said = typed("run", "fork", "r", "--at", "3", "--set", 'a="other"', "--run-id", "f")
    assert said.out.strip() == "f"
    assert "from revision 4 of r" in said.err, "to the end of the turn"
    state = state_of(typed, "f")
    assert state["fields"]["a"] == "other"
    assert state["origin"]["run_id"] == "r"
    assert [each.identity.path for each in commands_of(typed, "f")] == ["b"]
    assert "run_id_taken" in typed("run", "fork", "r", "--run-id", "f").err
    shown = typed("run", "show", "f", "-o", "json").value
    assert (shown["status"], [step["phase"] for step in shown["steps"]]) == ("running", ["done", "dispatched"])


def test_a_fork_goes_on_where_a_step_was_about_to_run(typed: Terminal) -> None:
    made = typed("run", "fork", "r", "--step", "a", "--set", 'topic="rabbits"', "-o", "json").value
    assert made["revision"] == 2
    state = state_of(typed, made["run_id"])
    assert state["fields"] == {"topic": "rabbits"}
    assert {path: step["phase"] for path, step in state["steps"].items()} == {"a": "dispatched"}


def test_a_run_that_failed_is_forked_where_it_failed(typed: Terminal) -> None:
    command = typed.engine.commands()[-1]
    error = ErrorInfo(code="boom", kind="fatal", message="no")
    failed = StepFailed(identity=command.identity, holder="w", started_at_ms=0, finished_at_ms=0, error=error)
    typed.engine.answer(command, failed)
    assert typed.event("run_completed").status == "failed"
    typed("run", "fork", "r", "--run-id", "f")
    state = state_of(typed, "f")
    assert state["status"] == "running"
    assert {path: step["phase"] for path, step in state["steps"].items()} == {"a": "done", "b": "dispatched"}


def test_a_fork_says_what_cannot_be(typed: Terminal) -> None:
    for arguments, said in (
        (("--step", "z"), "it has run a, b"),
        (("--at", "9"), "revisions 1 to 4, and no 9"),
        (("--at", "1", "--step", "a"), "give one of them"),
        (("--to", "x:y", "--version", "2"), "leave --version out"),
        (("--set", 'nothing="x"'), "invalid_edit"),
    ):
        told = typed("run", "fork", "r", *arguments)
        assert (told.code != 0, said in told.err) == (True, True), told.err


def test_a_fork_to_another_version(typed: Terminal) -> None:
    typed.engine.publish(_published(plan_of(flow_of(a, b, c)), "2"))
    typed("run", "fork", "r", "--version", "2", "--run-id", "f")
    assert state_of(typed, "f")["workflow"] == "work@2"


def test_a_recording_is_read_as_it_was_written(typed: Terminal) -> None:
    said = typed("run", "export", "r")
    assert "4 events" in said.err
    recording = recording_of(said.out.encode().splitlines(), "r")
    assert recording_of(lines_of(recording), "again") == recording
    assert [event.revision for event in recording.events] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b'{"recording":1,"document":{}}'],
        [b'{"recording":9,"document":{}}', b"{}"],
        [b"not json"],
    ],
)
def test_what_is_no_recording_is_said_with_file_and_line(lines: list[bytes]) -> None:
    with pytest.raises(InvalidInput, match="logkeel run export"):
        recording_of(lines, "some.jsonl")
    document = encode_document(plan_with(flow_of(a)).document)
    with pytest.raises(InvalidInput, match=r"some\.jsonl, line 2"):
        recording_of([*lines_of(Recording(document, ())), b"{}"], "some.jsonl")


MIGRATION = """
@work.migration(from_version=1)
def grow(state):
    return {**state, "a": state["a"].upper()}
"""


def test_a_run_is_moved_to_a_newer_version_with_its_state_migrated(typed: Terminal, tmp_path: Path) -> None:
    newer = application(tmp_path, version="2", schema=2, reads="a", more=MIGRATION)
    for target in (application(tmp_path), newer):
        (workflow,) = load_workflows(target)
        document = replace(workflow.document(), name="people")
        typed.engine.publish(Plan(document, f"people-{document.version}"))
    typed.engine.ask(replace(a_start("p", request_id="p"), workflow="people", version="1"))
    typed.engine.succeed(commands_of(typed, "p")[0], value="small")
    people = tmp_path / "people.py"
    people.write_text(Path(newer.partition(":")[0]).read_text().replace('"work"', '"people"'))
    assert typed("run", "fork", "p", "--to", f"{people}:work", "--run-id", "moved").out.strip() == "moved"
    state = state_of(typed, "moved")
    assert (state["workflow"], state["schema_version"]) == ("people@2", 2)
    assert state["fields"] == {"topic": "kafka", "a": "SMALL"}
    (command,) = commands_of(typed, "moved")
    assert [value.payload.data for value in command.inputs if value.payload] == [b'"SMALL"']
    lacking = tmp_path / "lacking.py"
    lacking.write_text(people.read_text().replace("schema_version: int = 2", "schema_version: int = 3"))
    assert "from schema version 2 to 3" in typed("run", "fork", "p", "--to", f"{lacking}:work").err
    assert "the run is one of 'people'" in typed("run", "fork", "p", "--to", newer).err
