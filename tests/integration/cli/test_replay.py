"""`logkeel replay` against the log of a real broker: what its engine has decided is decided alike, or named."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.integration.cli.test_run import answer, logkeel, purchases, until_in_doubt
from tests.integration.runs.application import Application, running

from logkeel.cli.recordings import Recording, lines_of, recording_of
from logkeel.records import RunEvent
from logkeel.wire import encode

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def application(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    with running(kafka_bootstrap, tmp_path_factory.mktemp("replay"), [purchases]) as application:
        yield application


@pytest.fixture(scope="module")
def recorded(application: Application) -> list[RunEvent]:
    """The history of a run that a human has helped to its end."""
    answer(logkeel(application, "run", "start", "purchases", "-f", "article=cat", "--run-id", "bought", "-o", "json"))
    until_in_doubt(application, "bought")
    answer(logkeel(application, "run", "resolve", "bought", "pay", "did", "-o", "json"))
    assert application.completion("bought").status == "succeeded"
    return application.awaited(lambda: _whole(application.history("bought")))


def _whole(events: list[RunEvent]) -> list[RunEvent] | None:
    return events if any(event.kind == "run_completed" for event in events) else None


def put_on_the_log(application: Application, events: Sequence[RunEvent]) -> None:
    """A history that no engine has decided."""
    for event in events:
        application.send(encode(event), key=event.run_id, topic=application.names.run_events)


def test_a_run_on_the_log_is_decided_alike(application: Application, recorded: list[RunEvent]) -> None:
    done = logkeel(application, "replay", "bought")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "bought: decided alike, 4 turns compared\n"
    told = answer(logkeel(application, "replay", "bought", "-o", "json"))
    assert (told["history"], told["divergence"]) == ("bought", None)
    assert sum(event.opens_turn for event in recorded) == told["turns_compared"]


def test_another_decision_on_the_log_is_named_and_fails(application: Application, recorded: list[RunEvent]) -> None:
    """Both histories are read from the broker; the one that differs says where, the other one is compared still."""
    other = [replace(event, run_id="other", routing_key="other") for event in recorded]
    changed = next(event for event in other if event.kind == "step_in_doubt")
    put_on_the_log(application, [replace(e, reason="it is late") if e is changed else e for e in other])
    done = logkeel(application, "replay", "bought", "other")
    assert done.returncode == 1, done.stderr
    alike, differs, recorded_line, now_line = done.stdout.splitlines()
    assert alike == "bought: decided alike, 4 turns compared"
    assert differs.startswith(f"other: diverges at revision {changed.revision}: reason was 'it is late', is ")
    assert (recorded_line, now_line) == ("  recorded: step_in_doubt pay", "  now:      step_in_doubt pay")
    assert "logic number" in done.stderr
    told = logkeel(application, "replay", "other", "-o", "json")
    assert (told.returncode, json.loads(told.stdout)["divergence"]["revision"]) == (1, changed.revision)


def test_an_export_is_a_regression_test(application: Application, recorded: list[RunEvent], tmp_path: Path) -> None:
    """A file needs no broker, and one event less than was decided is a difference too."""
    path = tmp_path / "bought.jsonl"
    path.write_text(logkeel(application, "run", "export", "bought").stdout)
    nowhere = ("-b", "127.0.0.1:1")
    done = logkeel(application, "replay", str(path), *nowhere)
    assert (done.returncode, done.stdout) == (0, f"{path}: decided alike, 4 turns compared\n"), done.stderr
    kept = recording_of(path.read_bytes().splitlines(), path.name)
    assert list(kept.events) == recorded
    path.write_bytes(b"\n".join(lines_of(Recording(kept.document, kept.events[:-1]))))
    done = logkeel(application, "replay", str(path), *nowhere)
    assert (done.returncode, "one event more" in done.stdout) == (1, True), done.stdout


@pytest.mark.parametrize("arguments", [("nobody",), ("bought", "nobody")])
def test_a_run_that_is_not_there_is_an_error_with_a_next_step(
    application: Application, recorded: list[RunEvent], arguments: tuple[str, ...]
) -> None:
    done = logkeel(application, "replay", *arguments)
    assert (done.returncode, done.stdout) == (13, "")
    assert "there is no run 'nobody'" in done.stderr
    assert "logkeel run list" in done.stderr
