"""Event streams: everything once and in order, resumed behind any message; and calls that wait."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient
from tests.unit.gateway.site import Site, problem_of, site
from tests.unit.runs.scripts import flow_of, plan_of, step_block

from logkeel.gateway.sse import StreamPlace, place_from
from logkeel.log import OutputRecord
from logkeel.log.partitioner import partition_for
from logkeel.records import Payload, StepCommand, StepEmitted
from logkeel.wire import encode

PLAN = plan_of(flow_of(step_block("a"), step_block("b")))


@dataclass(frozen=True)
class Message:
    place: str
    event: str
    data: dict[str, Any]


def messages_of(text: str) -> list[Message]:
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.partition(": ")[::2] for line in block.split("\n"))
        if "event" in fields:
            found.append(Message(fields["id"], fields["event"], json.loads(fields["data"])))
    return found


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[Site, TestClient, str]]:
    with site(tmp_path, partitions=2) as (made, client):
        made.engine.publish(PLAN)
        run_id = client.post("/v1/runs", json={"workflow": "work", "input": {"topic": "kafka"}}).json()["run_id"]
        made.settle()
        yield made, client, run_id


def emit(made: Site, command: StepCommand, *values: object, sequence: int = 0) -> None:
    """The step's code emits these, in one record."""
    record = StepEmitted(
        identity=command.identity,
        sequence=sequence,
        times_ms=tuple(range(len(values))),
        values=Payload(encoding="json", data=msgspec.json.encode(values)),
    )
    key = command.identity.run_id.encode()
    partition = partition_for(key, made.engine.cluster.description(made.engine.names.run_streams).partitions)  # type: ignore[union-attr]
    made.engine.producer.produce(OutputRecord(made.engine.names.run_streams, key, encode(record), partition))


def command_of(made: Site, run_id: str, path: str) -> StepCommand:
    """The command of a step."""
    commands = [each for each in made.engine.commands() if (each.identity.run_id, each.identity.path) == (run_id, path)]
    return commands[-1]


def ended(made: Site, run_id: str) -> None:
    """Both steps succeed."""
    for path in ("a", "b"):
        made.finish(command_of(made, run_id, path))


@contextmanager
def meanwhile(action: Callable[[], None]) -> Iterator[None]:
    """Something happens while a call waits."""
    thread = threading.Thread(target=action)
    thread.start()
    try:
        yield
    finally:
        thread.join(20.0)


def until_listened(made: Site, run_id: str) -> None:
    """A call has come so far that it listens."""
    reached = threading.Event()
    while not reached.wait(0.01):
        if made.parts.calls.streams and made.hub.listens_to(run_id):
            reached.set()


def test_the_history_comes_whole_then_the_end(opened: tuple[Site, TestClient, str]) -> None:
    made, client, run_id = opened
    ended(made, run_id)
    answer = client.get(f"/v1/runs/{run_id}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    messages = messages_of(answer.text)
    history = client.get(f"/v1/runs/{run_id}/history").json()["items"]
    assert [each.data["revision"] for each in messages[:-1]] == [each["revision"] for each in history]
    assert (messages[-1].event, messages[-1].data["status"]) == ("end", "succeeded")
    offsets = [each.data["offset"] for each in messages[:-1]]
    assert offsets == sorted(set(offsets))


def test_it_is_resumed_behind_any_message_and_not_again_when_it_has_ended(opened: tuple[Site, TestClient, str]) -> None:
    made, client, run_id = opened
    ended(made, run_id)
    whole = messages_of(client.get(f"/v1/runs/{run_id}/events").text)
    for number, message in enumerate(whole[:-2]):
        answer = client.get(f"/v1/runs/{run_id}/events", headers={"Last-Event-ID": message.place})
        assert messages_of(answer.text) == whole[number + 1 :]
    for message in whole[-2:]:
        assert client.get(f"/v1/runs/{run_id}/events", headers={"Last-Event-ID": message.place}).status_code == 204


def test_values_come_once_and_in_order_whether_emitted_before_or_while_somebody_looks_on(
    opened: tuple[Site, TestClient, str],
) -> None:
    made, client, run_id = opened
    first = made.engine.commands()[0]
    emit(made, first, "be", "fore")
    made.hub.turn(0.0)

    def work() -> None:
        until_listened(made, run_id)
        emit(made, first, "li", "ve", sequence=2)
        made.hub.turn(0.0)
        ended(made, run_id)

    with meanwhile(work):
        messages = messages_of(client.get(f"/v1/runs/{run_id}/events").text)
    values = [each.data["value"] for each in messages if each.event == "emitted"]
    assert values == ["be", "fore", "li", "ve"]
    assert messages[-1].event == "end"
    assert made.parts.calls.streams == 0
    # Behind the second value: the other two, and the events that had not come before it.
    second = next(each for each in messages if each.data.get("value") == "fore")
    answer = client.get(f"/v1/runs/{run_id}/events", headers={"Last-Event-ID": second.place})
    again = messages_of(answer.text)
    assert [each.data["value"] for each in again if each.event == "emitted"] == ["li", "ve"]
    revisions = [each.data["revision"] for each in again if each.event == "run_event"]
    behind = int(second.place.partition("/")[0])
    assert revisions == [
        each.data["revision"] for each in messages if each.event == "run_event" and each.data["offset"] > behind
    ]


def test_values_of_other_runs_stay_with_them(opened: tuple[Site, TestClient, str]) -> None:
    made, client, run_id = opened
    for number in range(6):
        client.post("/v1/runs", json={"workflow": "work", "input": {"topic": "x"}, "run_id": f"other-{number}"})
    made.settle()
    for command in made.engine.commands():
        emit(made, command, command.identity.run_id)
    made.hub.turn(0.0)
    ended(made, run_id)
    messages = messages_of(client.get(f"/v1/runs/{run_id}/events").text)
    assert [each.data["value"] for each in messages if each.event == "emitted"] == [run_id]


def test_a_stream_needs_a_run_and_a_place_that_is_one_and_room(opened: tuple[Site, TestClient, str]) -> None:
    made, client, run_id = opened
    problem_of(client.get("/v1/runs/nobody/events"), 404, "run_not_found")
    for place in ("x", "1/", "1/2", "/3.4", "1.5", "9" * 30):
        answer = client.get(f"/v1/runs/{run_id}/events", headers={"Last-Event-ID": place})
        problem_of(answer, 400, "caller_error")
    made.parts.calls.streams = made.parts.settings.max_streams
    problem_of(client.get(f"/v1/runs/{run_id}/events"), 429, "too_many_requests")


def test_an_offset_alone_is_a_place() -> None:
    assert place_from("17") == StreamPlace(17, None)
    assert place_from("17/3.2") == StreamPlace(17, "3.2")
    assert place_from(None) == place_from("") == StreamPlace()
    for text in ("17", "17/3.2"):
        assert place_from(text).text == text


def test_a_start_waits_for_the_end_of_its_run(opened: tuple[Site, TestClient, str]) -> None:
    made, client, _ = opened

    def work() -> None:
        while not made.parts.model.find("awaited"):
            made.settle()
        ended(made, "awaited")

    body = {"workflow": "work", "input": {"topic": "kafka"}, "run_id": "awaited"}
    with meanwhile(work):
        answer = client.post("/v1/runs", json=body, params={"wait_s": 20})
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")
    assert answer.headers["location"] == "/v1/runs/awaited"


def test_a_run_that_had_ended_answers_the_same_start_again_and_no_other_one(
    opened: tuple[Site, TestClient, str],
) -> None:
    """The end that was told before is no answer: the engine says whether it is the same start."""
    made, client, run_id = opened
    ended(made, run_id)

    def work() -> None:
        before = len(made.engine.completions()) + len(made.engine.rejections())
        while len(made.engine.completions()) + len(made.engine.rejections()) == before:
            made.settle()

    body = {"workflow": "work", "input": {"topic": "kafka"}, "run_id": run_id}
    with meanwhile(work):
        same = client.post("/v1/runs", json=body, params={"wait_s": 20})
    assert (same.status_code, same.json()["status"]) == (200, "succeeded")
    with meanwhile(work):
        other = client.post("/v1/runs", json={**body, "input": {"topic": "another"}}, params={"wait_s": 20})
    assert problem_of(other, 409, "request_rejected")["rejection"] == "run_id_taken"


def test_a_start_that_waits_too_short_is_answered_as_one_that_does_not_wait(
    opened: tuple[Site, TestClient, str],
) -> None:
    _, client, _ = opened
    body = {"workflow": "work", "input": {"topic": "kafka"}, "run_id": "late"}
    answer = client.post("/v1/runs", json=body, params={"wait_s": 0.01})
    assert (answer.status_code, answer.json()["state"]) == (202, "asked")


def test_an_action_waits_until_it_was_taken(opened: tuple[Site, TestClient, str]) -> None:
    made, client, run_id = opened

    def work() -> None:
        while not made.parts.model.line(run_id).paused_at_ms:
            made.settle()

    with meanwhile(work):
        answer = client.post(f"/v1/runs/{run_id}/pause", json={}, params={"wait_s": 20})
    assert (answer.status_code, answer.json()["state"]) == (200, "accepted")


def test_an_answer_waits_for_the_offset_it_is_asked_for(opened: tuple[Site, TestClient, str]) -> None:
    made, client, run_id = opened
    reflects = client.get("/v1/counts").json()["reflects"]
    partition = next(number for number, at in reflects.items() if at)
    wanted = reflects[partition]

    def work() -> None:
        made.finish(made.engine.commands()[0])

    with meanwhile(work):
        answer = client.get(f"/v1/runs/{run_id}", params={"min_offset": f"{partition}:{wanted}"})
    assert answer.json()["reflects"][partition] > wanted
    assert answer.json()["completed_steps"] == ["a"]


def test_an_offset_that_does_not_come_is_503(
    opened: tuple[Site, TestClient, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logkeel.gateway.parts.BEHIND_S", 0.01)
    answer = opened[1].get("/v1/counts", params={"min_offset": "0:999999"})
    problem_of(answer, 503, "read_model_behind")
    assert answer.headers["retry-after"] == "1"


def test_a_run_that_was_just_asked_for_is_waited_for(tmp_path: Path) -> None:
    with site(tmp_path, appear_s=20.0) as (made, client):
        made.engine.publish(PLAN)
        body = {"workflow": "work", "input": {"topic": "kafka"}, "run_id": "new"}
        client.post("/v1/runs", json=body)
        with meanwhile(made.settle):
            assert client.get("/v1/runs/new").json()["status"] == "running"
