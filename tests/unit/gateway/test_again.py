"""Calls with an Idempotency-Key that are sent again: the same request, and nobody else's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.unit.gateway.site import Site, problem_of, site
from tests.unit.runs.flows import plan_with
from tests.unit.runs.scripts import flow_of, plan_of, step_block

from logkeel.definitions import HumanBlock
from logkeel.records import StepReclaimed

KEY = {"Idempotency-Key": "k-1"}
ONCE = plan_of(flow_of(step_block("a"), step_block("b")), effects={"a": "ONCE"})
STEERED = ("cancel", "pause", "resume", "retry", "signals", "resolve", "fork")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[Site, TestClient]]:
    with site(tmp_path, partitions=2) as (made, client):
        made.engine.publish(ONCE)
        for run_id in ("r", "s"):
            client.post("/v1/runs", json={"workflow": "work", "input": {"topic": "kafka"}, "run_id": run_id})
        made.settle()
        yield made, client


def kinds(client: TestClient, run_id: str = "r") -> list[str]:
    """Kinds of the events of a run."""
    return [event["kind"] for event in client.get(f"/v1/runs/{run_id}/history").json()["items"]]


def put_in_doubt(made: Site) -> None:
    """The holder of the first step of `r` has died in the middle of it."""
    (command,) = [each for each in made.engine.commands() if each.identity.run_id == "r"]
    made.engine.answer(command, StepReclaimed(identity=command.identity, holder="v", holder_dead=True))
    made.read()


@pytest.mark.parametrize(
    ("verb", "event", "before"),
    [
        ("cancel", "cancel_requested", None),
        ("pause", "run_paused", None),
        ("resume", "run_resumed", "pause"),
        ("retry", "run_retried", "failure"),
        ("signals", "signal_received", None),
    ],
)
def test_sent_again_it_is_the_same_request_even_with_another_body(
    opened: tuple[Site, TestClient], verb: str, event: str, before: str | None
) -> None:
    made, client = opened
    if before == "failure":
        made.engine.fail(next(each for each in made.engine.commands() if each.identity.run_id == "r"))
        made.read()
    elif before is not None:
        client.post(f"/v1/runs/r/{before}", json={})
        made.settle()
    first: dict[str, Any] = {"name": "paid"} if verb == "signals" else {"reason": "lunch"}
    other: dict[str, Any] = {"name": "unpaid"} if verb == "signals" else {"reason": "supper"}
    answers = []
    for body in (first, first, other):
        answers.append(client.post(f"/v1/runs/r/{verb}", json=body, headers=KEY))
        made.settle()
    assert [answer.status_code for answer in answers] == [202] * 3, answers[-1].text
    assert len({answer.json()["request_id"] for answer in answers}) == 1
    assert kinds(client).count(event) == 1
    assert not made.engine.rejections()
    waited = client.post(f"/v1/runs/r/{verb}", json=other, headers=KEY, params={"wait_s": 5})
    assert (waited.status_code, waited.json()["state"]) == (200, "accepted")


def test_a_pause_that_comes_again_after_the_resume_pauses_nothing(opened: tuple[Site, TestClient]) -> None:
    made, client = opened
    for verb in ("pause", "resume", "pause"):
        client.post(f"/v1/runs/r/{verb}", json={}, headers=KEY)
        made.settle()
    assert client.get("/v1/runs/r").json()["paused_at_ms"] is None
    client.post("/v1/runs/r/pause", json={}, headers={"Idempotency-Key": "k-2"})
    made.settle()
    assert client.get("/v1/runs/r").json()["paused_at_ms"] is not None


def test_a_key_counts_for_one_operation_on_one_run(opened: tuple[Site, TestClient]) -> None:
    made, client = opened
    body = {"workflow": "work", "input": {"topic": "kafka"}}
    asked = [client.post("/v1/runs", json=body, headers=KEY).json()["request_id"]]
    for run_id in ("r", "s"):
        for verb in ("pause", "resume", "signals", "cancel"):
            sent = {"name": "paid"} if verb == "signals" else {}
            asked.append(client.post(f"/v1/runs/{run_id}/{verb}", json=sent, headers=KEY).json()["request_id"])
    made.settle()
    outcomes = [client.get(f"/v1/requests/{request_id}").json()["state"] for request_id in asked]
    assert len(set(asked)) == len(asked) == 9
    assert outcomes == ["accepted"] * 9
    assert not made.engine.rejections()


def test_a_refusal_is_told_again(opened: tuple[Site, TestClient]) -> None:
    made, client = opened
    client.post("/v1/runs/r/retry", json={}, headers=KEY)
    made.settle()
    refused = client.post("/v1/runs/r/retry", json={}, headers=KEY, params={"wait_s": 5})
    first = problem_of(refused, 409, "request_rejected")
    made.engine.fail(next(each for each in made.engine.commands() if each.identity.run_id == "r"))
    made.read()
    again = client.post("/v1/runs/r/retry", json={}, headers=KEY, params={"wait_s": 5})
    assert problem_of(again, 409, "request_rejected")["rejection"] == first["rejection"]
    assert client.get("/v1/runs/r").json()["status"] == "failed"


def test_a_decision_that_is_sent_again_finds_no_doubt_any_more_and_is_no_mistake(
    opened: tuple[Site, TestClient],
) -> None:
    made, client = opened
    put_in_doubt(made)
    body = {"path": "a", "decision": "did", "result": {"a": "sent"}}
    for _ in range(2):  # the second one before anything is known of the first
        assert client.post("/v1/runs/r/resolve", json=body, headers=KEY).status_code == 202
    made.settle()
    again = client.post("/v1/runs/r/resolve", json={**body, "decision": "retry"}, headers=KEY)
    assert (again.status_code, again.json()["state"]) == (200, "accepted")
    made.settle()
    assert kinds(client).count("step_resolved") == 1
    assert client.get("/v1/runs/r").json()["completed_steps"] == ["a"]
    without = client.post("/v1/runs/r/resolve", json=body)
    assert "not in doubt" in problem_of(without, 422, "invalid_input")["detail"]
    other = client.post("/v1/runs/r/resolve", json=body, headers={"Idempotency-Key": "k-2"})
    assert "not in doubt" in problem_of(other, 422, "invalid_input")["detail"]


def test_a_fork_that_is_sent_again_is_the_same_run_though_the_history_has_grown(
    opened: tuple[Site, TestClient],
) -> None:
    made, client = opened
    answers = [client.post("/v1/runs/r/fork", json={}, headers=KEY) for _ in range(2)]  # the second one in flight
    made.settle()
    made.finish(next(each for each in made.engine.commands() if each.identity.run_id == "r"))
    answers.append(client.post("/v1/runs/r/fork", json={"edits": {"topic": "other"}}, headers=KEY))
    made.settle()
    places = {(answer.status_code, answer.headers["location"], answer.json()["request_id"]) for answer in answers}
    assert len(places) == 1
    ((status, place, _),) = places
    assert (status, client.get(place).json()["fields"]["topic"]["value"]) == (202, "kafka")
    assert len(client.get("/v1/runs").json()["items"]) == 3
    other = client.post("/v1/runs/s/fork", json={}, headers=KEY)
    made.settle()
    assert other.headers["location"] != place
    assert len(client.get("/v1/runs").json()["items"]) == 4
    assert not made.engine.rejections()


def test_a_fork_that_has_ended_is_answered_with_its_end_however_often_it_is_sent(
    opened: tuple[Site, TestClient],
) -> None:
    made, client = opened
    place = client.post("/v1/runs/r/fork", json={}, headers=KEY).headers["location"]
    made.settle()
    client.post(f"{place}/cancel", json={})
    made.settle()
    for _ in range(2):
        ended = client.post("/v1/runs/r/fork", json={}, headers=KEY, params={"wait_s": 5})
        assert (ended.status_code, ended.json()["status"]) == (200, "cancelled")


def test_the_end_of_another_run_of_that_name_is_no_answer_to_a_fork(opened: tuple[Site, TestClient]) -> None:
    made, client = opened
    client.post("/v1/runs/s/cancel", json={})
    made.settle()
    asked = client.post("/v1/runs/r/fork", json={"run_id": "s"}, headers=KEY, params={"wait_s": 0.05})
    assert (asked.status_code, asked.json()["state"]) == (202, "asked")
    made.settle()
    refused = client.post("/v1/runs/r/fork", json={"run_id": "s"}, headers=KEY, params={"wait_s": 5})
    assert problem_of(refused, 409, "request_rejected")["rejection"] == "run_id_taken"


def test_an_answer_that_is_sent_again_finds_no_question_any_more_and_is_no_mistake(tmp_path: Path) -> None:
    asked = HumanBlock(id="approve", question="Send it?", writes="decision", allow=("approve", "reject"))
    with site(tmp_path) as (made, client):
        made.engine.publish(plan_with(flow_of(asked, step_block("a"))))
        client.post("/v1/runs", json={"workflow": "work", "input": {"topic": "kafka"}, "run_id": "r"})
        made.settle()
        place = "/v1/approvals/r/approve/answer"
        assert client.post(place, json={"verb": "approve"}, headers=KEY).status_code == 202
        made.settle()
        again = client.post(place, json={"verb": "reject"}, headers=KEY)
        assert (again.status_code, again.json()["state"]) == (200, "accepted")
        other = client.post(place, json={"verb": "reject"}, headers={"Idempotency-Key": "k-2"})
        problem_of(other, 404, "question_not_found")
        assert [each["verb"] for each in client.get("/v1/runs/r").json()["answers"]] == ["approve"]


def test_every_post_says_that_it_takes_a_key(opened: tuple[Site, TestClient]) -> None:
    paths = opened[1].get("/openapi.json").json()["paths"]
    posts = {path: each["post"] for path, each in paths.items() if "post" in each and path.startswith("/v1/")}
    assert {f"/v1/runs/{{run_id}}/{verb}" for verb in STEERED} < posts.keys()
    for path, operation in posts.items():
        headers = {each["name"]: each for each in operation["parameters"] if each["in"] == "header"}
        assert "Idempotency-Key" in headers, path
        assert not headers["Idempotency-Key"].get("required")
