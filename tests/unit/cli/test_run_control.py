"""Pause, resume and cancel, of one run and of all that a query finds."""

from collections.abc import Iterator

import pytest
from tests.unit.cli.terminal import Terminal
from tests.unit.runs.engine import a_start
from tests.unit.runs.scripts import step_block

a, b = step_block("a"), step_block("b")


@pytest.fixture
def logkeel(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Terminal]:
    terminal = Terminal(monkeypatch, capsys)
    yield terminal
    terminal.engine.loop.close()


def test_a_run_is_paused_and_goes_on_where_it_was(logkeel: Terminal) -> None:
    logkeel.start(a, b)
    assert logkeel("run", "pause", "r", "--reason", "the model is down").code == 0
    assert logkeel.event("run_paused").reason == "the model is down"
    logkeel.engine.succeed(logkeel.engine.commands()[0])
    assert [command.identity.path for command in logkeel.engine.commands()] == ["a"]
    assert "paused for" in logkeel("run", "show", "r").out
    again = logkeel("run", "pause", "r")
    assert (again.code, "paused already" in again.err) == (13, True)
    assert logkeel("run", "resume", "r").code == 0
    assert [command.identity.path for command in logkeel.engine.commands()] == ["a", "b"]
    assert "paused" not in logkeel("run", "show", "r").out


def test_all_runs_of_a_workflow_are_listed_before_anything_happens_to_them(logkeel: Terminal) -> None:
    logkeel.start(a)
    for number in range(3):
        logkeel.engine.ask(a_start(f"r{number}", request_id=f"more-{number}"))
    listed = logkeel("run", "pause", "--workflow", "work", "-o", "json")
    assert [each["run_id"] for each in listed.value] == ["r", "r0", "r1", "r2"]
    assert "4 runs are meant; to do it: --yes" in listed.err
    assert "run_paused" not in logkeel.engine.history()
    done = logkeel("run", "pause", "--workflow", "work", "--yes")
    assert "4 runs were asked" in done.err
    logkeel.engine.turns()
    assert logkeel.engine.history().count("run_paused") == 4
    assert logkeel("run", "pause", "--workflow", "work", "-o", "json").value == []
    assert len(logkeel("run", "resume", "--workflow", "work", "-o", "json").value) == 4


def test_old_runs_are_cancelled_and_young_ones_stay(logkeel: Terminal) -> None:
    logkeel.start(a)
    asked = logkeel("run", "cancel", "--workflow", "work", "--older-than", "36000d", "--yes", "-o", "json")
    assert asked.value == []
    assert logkeel("run", "cancel", "--workflow", "work", "--yes").code == 0
    logkeel.engine.turns()
    assert [done.status for done in logkeel.engine.completions()] == ["cancelled"]


def test_a_command_that_says_nothing_or_too_much_is_refused(logkeel: Terminal) -> None:
    for arguments in ((), ("r", "--workflow", "work")):
        said = logkeel("run", "pause", *arguments)
        assert (said.code, "say which run" in said.err) == (15, True)
    assert logkeel("run", "cancel", "--workflow", "work", "--older-than", "soon").code == 15


def test_a_failed_run_is_retried_and_a_refusal_has_its_reason(logkeel: Terminal) -> None:
    logkeel.start(a, b)
    logkeel.engine.succeed(logkeel.engine.commands()[0])
    refused = logkeel("run", "retry", "r")
    assert (refused.code, "run_not_ended" in refused.err) == (13, True)
    logkeel.engine.fail(logkeel.engine.commands()[1])
    assert logkeel("run", "show", "r", "-o", "json").value["status"] == "failed"
    assert logkeel("run", "retry", "r", "--reason", "the outside is back").code == 0
    assert logkeel.event("run_retried").reason == "the outside is back"
    shown = logkeel("run", "show", "r", "-o", "json").value
    assert (shown["status"], shown["retries"], shown["error"]) == ("running", 1, None)
    assert [command.identity.path for command in logkeel.engine.commands()] == ["a", "b", "b"]
    assert "run retried" in logkeel("run", "history", "r").out
    assert "decided alike" in logkeel("replay", "r").out


def test_failed_runs_of_a_workflow_are_retried_together(logkeel: Terminal) -> None:
    logkeel.start(a)
    for number in range(2):
        logkeel.engine.ask(a_start(f"r{number}", request_id=f"more-{number}"))
    for command in logkeel.engine.commands()[1:]:
        logkeel.engine.fail(command)
    listed = logkeel("run", "retry", "--workflow", "work", "-o", "json")
    assert [each["run_id"] for each in listed.value] == ["r0", "r1"]
    assert "run_retried" not in logkeel.engine.history()
    assert "2 runs were asked" in logkeel("run", "retry", "--workflow", "work", "--yes").err
    logkeel.engine.turns()
    assert logkeel.engine.history().count("run_retried") == 2
    assert logkeel("run", "retry", "--workflow", "work", "-o", "json").value == []
