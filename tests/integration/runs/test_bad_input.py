"""Bad, late, misplaced and repeated input: served, rejected with a reason, or dead-lettered; nothing stuck or lost."""

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from tests.integration.runs.application import Application, running

from logkeel.records import StartRun
from logkeel.runs import RunSettings
from logkeel.runs.processor.identity import REROUTED_HEADER
from logkeel.wire import encode
from logkeel.workflow import State, Workflow

pytestmark = pytest.mark.kafka

PARTITIONS = 2


class Greeting(State):
    """Input and result."""

    name: str
    mood: Literal["glad", "sad"] = "glad"
    letter: str | None = None
    sent: bool = False


greet = Workflow("greet", state=Greeting, returns=("letter",))


@greet.step(writes=lambda s: s.letter)
async def write(name: str, mood: str) -> str:
    """One step."""
    return f"{mood} to see {name}"


greet.flow(write)


@pytest.fixture(scope="module")
def app(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    settings = RunSettings(park_ms=1_500)
    directory = tmp_path_factory.mktemp("app")
    with running(kafka_bootstrap, directory, [greet], partitions=PARTITIONS, settings=settings) as app:
        yield app
        # Whatever the tests sent, every partition still works.
        for partition in range(PARTITIONS):
            run_id = next(f"last-{n}" for n in range(100) if app.home_of(f"last-{n}") == partition)
            app.send(start(run_id), key=run_id)
            assert app.completion(run_id).status == "succeeded"


def start(run_id: str | None, **more: Any) -> dict[str, Any]:
    """A request as a person with kcat would write it."""
    request: dict[str, Any] = {"workflow": "greet", "input": {"name": "Ada"}, **more}
    return request if run_id is None else {**request, "run_id": run_id}


def result_of(app: Application, run_id: str) -> bytes | None:
    completion = app.completion(run_id)
    assert completion.status == "succeeded", completion
    (field,) = completion.result
    return field.payload.data if field.payload else None


def test_a_request_in_json_is_served(app: Application) -> None:
    app.send(start("json"), key="json")
    assert result_of(app, "json") == b'"glad to see Ada"'


def test_control_fields_come_as_json_values(app: Application) -> None:
    app.send(start("mood") | {"input": {"name": "Ada", "mood": "sad"}}, key="mood")
    assert result_of(app, "mood") == b'"sad to see Ada"'


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"hello", b"undecodable_record"),
        (b"\xc3\x01" + b"\x07" * 12, b"unknown_schema"),
        (b"\x00\x00\x00\x00\x01x", b"unknown_schema"),
        (b'{"type": "Nonsense"}', b"undecodable_record"),
    ],
)
def test_what_cannot_be_read_is_a_dead_letter_as_it_came(app: Application, value: bytes, code: bytes) -> None:
    app.send(value, key="garbage")
    letter = app.dead_letter(value)
    assert letter.key == b"garbage"
    assert code in {header for _, header in letter.headers}


def test_what_is_no_answer_is_a_dead_letter(app: Application) -> None:
    app.send(b"not a result", key="nobody", partition=0, topic=app.names.step_results)
    assert app.dead_letter(b"not a result").key == b"nobody"


def test_an_unknown_workflow_is_rejected(app: Application) -> None:
    app.send({"workflow": "nothing", "run_id": "unknown-workflow"}, key="unknown-workflow")
    assert app.rejection("unknown-workflow").code == "unknown_workflow"


@pytest.mark.parametrize(
    ("run_id", "given", "said"),
    [
        ("missing", {}, "name: is required"),
        ("strange", {"name": "Ada", "shoe": 42}, "shoe: is no field"),
        ("choice", {"name": "Ada", "mood": "angry"}, "mood:"),
        ("typed", {"name": 42}, "name"),
    ],
)
def test_an_invalid_input_ends_the_run_with_the_reasons(
    app: Application, run_id: str, given: dict[str, Any], said: str
) -> None:
    app.send(start(run_id) | {"input": given}, key=run_id)
    completion = app.completion(run_id)
    assert completion.status == "invalid_input"
    assert completion.error is not None
    assert said in completion.error.message


def test_a_request_too_large_for_what_follows_is_a_dead_letter_and_told(app: Application) -> None:
    request = start("large") | {"input": {"name": "x" * 1_030_000}}
    app.send(request, key="large")
    assert app.rejection("large").code == "record_too_large"
    app.awaited(lambda: next((r for r in app._of(app.names.dead_letters) if r.key == b"large"), None))


def test_a_request_without_a_key_is_served(app: Application) -> None:
    app.send(start("no-key"))
    assert result_of(app, "no-key") is not None


def test_a_request_with_neither_key_nor_run_id_is_served_once_per_request_id(app: Application) -> None:
    for _ in range(2):
        app.send(start(None, request_id="only-once"))
    assert result_of(app, "only-once") is not None
    app.send(start("behind"), key="behind")
    app.completion("behind")
    assert len([c for c in app.completions() if c.run_id == "only-once" and not c.reannounced]) == 1


def test_a_request_by_another_partitioner_finds_its_home(app: Application) -> None:
    app.send(start("astray"), key="astray", partition=1 - app.home_of("astray"))
    assert result_of(app, "astray") is not None
    assert len(app.history("astray")) == len({event.revision for event in app.history("astray")})


def test_a_second_hop_is_a_dead_letter(app: Application) -> None:
    value = encode(StartRun(workflow="greet", run_id="hop"))
    wrong = 1 - app.home_of("hop")
    app.send(value, key="hop", partition=wrong, headers=((REROUTED_HEADER, b"somewhere-0-0"),))
    assert app.dead_letter(value).key == b"hop"


def test_a_cancel_that_overtakes_its_start_cancels_it(app: Application) -> None:
    app.send({"type": "CancelRun", "run_id": "overtaken", "reason": "not needed"}, key="overtaken")
    app.send(start("overtaken"), key="overtaken")
    assert app.completion("overtaken").status == "cancelled"
    assert [event.kind for event in app.history("overtaken")] == ["run_started", "cancel_requested", "run_completed"]


def test_a_signal_that_overtakes_its_start_is_kept(app: Application) -> None:
    app.send({"type": "SignalRun", "run_id": "signalled", "name": "go"}, key="signalled")
    app.send(start("signalled"), key="signalled")
    assert result_of(app, "signalled") is not None
    assert "signal_received" in [event.kind for event in app.history("signalled")]


def test_requests_for_a_finished_run_are_rejected(app: Application) -> None:
    app.send(start("finished"), key="finished")
    app.completion("finished")
    for kind, more in (("SignalRun", {"name": "go"}), ("CancelRun", {})):
        request_id = f"late-{kind}"
        app.send({"type": kind, "run_id": "finished", "request_id": request_id, **more}, key="finished")
        assert app.rejection("finished", request_id=request_id).code == "run_finished"


def test_a_signal_to_an_unknown_run_is_rejected_in_time(app: Application) -> None:
    app.send({"type": "SignalRun", "run_id": "never-was", "name": "go"}, key="never-was")
    assert app.rejection("never-was").code == "run_not_found"


def test_the_same_request_twice_runs_once_and_is_answered_twice(app: Application) -> None:
    request = start("twice", request_id="twice-1")
    app.send(request, key="twice")
    app.completion("twice")
    app.send(request, key="twice")
    app.awaited(lambda: next((c for c in app.completions() if c.run_id == "twice" and c.reannounced), None))
    assert len([c for c in app.completions() if c.run_id == "twice" and not c.reannounced]) == 1
    assert len({c.incarnation for c in app.completions() if c.run_id == "twice"}) == 1


def test_the_same_run_id_with_another_input_is_rejected(app: Application) -> None:
    app.send(start("taken"), key="taken")
    app.completion("taken")
    app.send(start("taken", request_id="other") | {"input": {"name": "Grace"}}, key="taken")
    assert app.rejection("taken", request_id="other").code == "run_id_taken"


def test_a_request_id_that_meant_another_run_is_rejected(app: Application) -> None:
    home = app.home_of("first-use")
    other = next(f"other-{n}" for n in range(100) if app.home_of(f"other-{n}") == home)
    app.send(start("first-use", request_id="shared"), key="first-use")
    app.completion("first-use")
    app.send(start(other, request_id="shared"), key=other)
    assert app.rejection(other, request_id="shared").code == "request_id_taken"


def test_a_tombstone_is_a_dead_letter(app: Application) -> None:
    app.send(None, key="tombstone")
    app.awaited(lambda: next((r for r in app._of(app.names.dead_letters) if r.key == b"tombstone"), None))
