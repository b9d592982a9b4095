"""Starting, looking at and steering runs over HTTP, against a real engine on a simulated cluster."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient
from tests.unit.gateway.site import Site, problem_of, site
from tests.unit.runs.scripts import flow_of, plan_of, step_block

PLAN = plan_of(flow_of(step_block("a"), step_block("b")))


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[Site, TestClient]]:
    with site(tmp_path) as (made, client):
        made.engine.publish(PLAN)
        yield made, client


def started(client: TestClient, **more: object) -> str:
    answer = client.post("/v1/runs", json={"workflow": "work", "input": {"topic": "kafka"}, **more})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["run_id"])


def test_a_run_from_its_start_to_its_end(opened: tuple[Site, TestClient]) -> None:
    made, client = opened
    answer = client.post(
        "/v1/runs", json={"workflow": "work", "input": {"topic": "kafka"}, "attributes": {"customer": "7"}}
    )
    run_id = answer.json()["run_id"]
    assert (answer.status_code, answer.headers["location"]) == (202, f"/v1/runs/{run_id}")
    made.settle()
    run = client.get(answer.headers["location"]).json()
    assert (run["status"], [step["path"] for step in run["current_steps"]]) == ("running", ["a"])
    assert run["fields"]["topic"]["value"] == "kafka"
    made.finish()
    made.finish(made.engine.commands()[-1])
    run = client.get(answer.headers["location"]).json()
    assert (run["status"], run["completed_steps"]) == ("succeeded", ["a", "b"])
    assert client.get("/v1/runs", params={"attribute": "customer=7"}).json()["items"][0]["run_id"] == run_id


def test_the_same_idempotency_key_is_the_same_run(opened: tuple[Site, TestClient]) -> None:
    made, client = opened
    body = {"workflow": "work", "input": {"topic": "kafka"}}
    first, again = (client.post("/v1/runs", json=body, headers={"Idempotency-Key": "order-7"}) for _ in range(2))
    other = client.post("/v1/runs", json=body, headers={"Idempotency-Key": "order-8"})
    assert first.headers["location"] == again.headers["location"] != other.headers["location"]
    assert first.json()["request_id"] == "order-7"
    made.settle()
    assert len(client.get("/v1/runs").json()["items"]) == 2


def test_a_start_that_waits_is_answered_with_the_reason_if_it_is_refused(opened: tuple[Site, TestClient]) -> None:
    made, client = opened
    started(client, run_id="mine")
    made.settle()
    taken = client.post("/v1/runs", json={"workflow": "work", "input": {"topic": "other"}, "run_id": "mine"})
    made.settle()
    request_id = taken.json()["request_id"]
    assert client.get(f"/v1/requests/{request_id}").json()["code"] == "run_id_taken"
    rejected = client.post(
        "/v1/runs",
        json={"workflow": "work", "input": {"topic": "other"}, "run_id": "mine"},
        headers={"Idempotency-Key": request_id},
        params={"wait_s": 5},
    )
    assert problem_of(rejected, 409, "request_rejected")["rejection"] == "run_id_taken"


def test_ids_with_slashes_and_percents_are_ids(opened: tuple[Site, TestClient]) -> None:
    made, client = opened
    for run_id in ("nightly/2026", "a/history", "50%2F", "ö &?#"):
        started(client, run_id=run_id)
        made.settle()
        place = f"/v1/runs/{quote(run_id, safe='')}"
        assert client.get(place).json()["run_id"] == run_id
        assert client.get(f"{place}/history").json()["items"][0]["kind"] == "run_started"


def test_the_state_at_a_revision_is_what_it_was(opened: tuple[Site, TestClient]) -> None:
    made, client = opened
    run_id = started(client)
    made.settle()
    before = client.get(f"/v1/runs/{run_id}/state").json()
    made.finish()
    then = client.get(f"/v1/runs/{run_id}/state", params={"revision": before["revision"]}).json()
    assert (then["fields"], then["completed_steps"]) == (before["fields"], [])
    assert client.get(f"/v1/runs/{run_id}/state").json()["completed_steps"] == ["a"]
    problem_of(client.get(f"/v1/runs/{run_id}/state", params={"revision": 99}), 404, "run_not_found")


def test_the_history_comes_in_pages(opened: tuple[Site, TestClient]) -> None:
    made, client = opened
    run_id = started(client)
    made.settle()
    made.finish()
    revisions, after = [], 0
    while True:
        page = client.get(f"/v1/runs/{run_id}/history", params={"after": after, "limit": 2}).json()
        revisions += [event["revision"] for event in page["items"]]
        if page["next_after"] is None:
            break
        after = page["next_after"]
    assert revisions == list(range(1, len(revisions) + 1))
    assert len(revisions) > 3


@pytest.mark.parametrize("verb", ["pause", "resume", "cancel"])
def test_a_run_is_steered_and_the_answer_says_that_it_was_taken(opened: tuple[Site, TestClient], verb: str) -> None:
    made, client = opened
    run_id = started(client)
    made.settle()
    if verb == "resume":
        client.post(f"/v1/runs/{run_id}/pause", json={})
        made.settle()
    asked = client.post(f"/v1/runs/{run_id}/{verb}", json={"reason": "lunch"})
    assert (asked.status_code, asked.json()["state"]) == (202, "asked")
    made.settle()
    outcome = client.get(f"/v1/requests/{asked.json()['request_id']}").json()
    assert (outcome["state"], outcome["run_id"]) == ("accepted", run_id)
    run = client.get(f"/v1/runs/{run_id}").json()
    assert (run["paused_at_ms"] is not None) == (verb == "pause")
    if verb == "cancel":
        assert "cancel_requested" in [
            event["kind"] for event in client.get(f"/v1/runs/{run_id}/history").json()["items"]
        ]


def test_a_failed_run_is_retried_and_forked(opened: tuple[Site, TestClient]) -> None:
    made, client = opened
    run_id = started(client)
    made.settle()
    made.engine.fail(made.engine.commands()[0])
    made.read()
    run = client.get(f"/v1/runs/{run_id}").json()
    assert (run["status"], run["error"]["code"]) == ("failed", "boom")
    assert [line["run_id"] for line in client.get("/v1/runs", params={"status": "failed"}).json()["items"]] == [run_id]
    forked = client.post(f"/v1/runs/{run_id}/fork", json={"at": 1, "edits": {"topic": "other"}, "run_id": "fork"})
    assert (forked.status_code, forked.headers["location"]) == (202, "/v1/runs/fork")
    client.post(f"/v1/runs/{run_id}/retry", json={})
    made.settle()
    assert client.get("/v1/runs/fork").json()["fields"]["topic"]["value"] == "other"
    assert client.get(f"/v1/runs/{run_id}").json()["status"] == "running"


def test_a_signal_with_the_same_key_is_one_signal(opened: tuple[Site, TestClient]) -> None:
    made, client = opened
    run_id = started(client)
    made.settle()
    for _ in range(2):
        body = {"name": "paid", "payload": {"amount": 3}}
        client.post(f"/v1/runs/{run_id}/signals", json=body, headers={"Idempotency-Key": "s-1"})
        made.settle()
    assert client.get(f"/v1/runs/{run_id}").json()["signals"] == ["paid"]


def test_counts_and_workflows(opened: tuple[Site, TestClient]) -> None:
    made, client = opened
    started(client)
    started(client)
    made.settle()
    made.engine.fail(made.engine.commands()[0])
    made.read()
    counts = client.get("/v1/counts").json()
    assert (counts["in_flight"], counts["by_status"]) == (1, {"failed": 1, "running": 1})
    (workflow,) = client.get("/v1/workflows").json()["items"]
    assert (workflow["name"], workflow["runs"]) == ("work", {"failed": 1, "running": 1})
    assert workflow["document"]["name"] == "work"


def test_every_answer_says_what_it_reflects_and_waits_for_more_when_asked(opened: tuple[Site, TestClient]) -> None:
    made, client = opened
    run_id = started(client)
    made.settle()
    reflects = client.get(f"/v1/runs/{run_id}").json()["reflects"]
    offset = reflects["0"]
    assert client.get("/v1/runs", params={"min_offset": f"0:{offset - 1}"}).json()["reflects"] == reflects
    answer = client.get("/v1/runs", params={"min_offset": "nonsense"})
    assert "min_offset" in problem_of(answer, 422, "invalid_input")["detail"]


def test_what_is_wrong_is_a_problem_with_a_code(opened: tuple[Site, TestClient]) -> None:
    made, client = opened
    problem_of(client.get("/v1/runs/nobody"), 404, "run_not_found")
    problem_of(client.post("/v1/runs/nobody/cancel", json={}), 404, "run_not_found")
    problem_of(client.get("/v1/requests/unheard"), 404, "run_not_found")
    problem_of(client.get("/v1/runs", params={"cursor": "x"}), 400, "caller_error")
    problem_of(client.get("/v1/runs", params={"nonsense": 1}), 422, "invalid_input")
    problem_of(client.post("/v1/runs", json={"workflow": "work", "inputs": {}}), 422, "invalid_input")
    problem_of(client.post("/v1/runs", content=b"{"), 422, "invalid_input")
    problem_of(client.get("/v2"), 404, "caller_error")
    problem_of(client.delete("/v1/runs"), 405, "caller_error")
    made.engine.cluster.stop()
    answer = client.get("/v1/workflows")
    assert problem_of(answer, 503, "log_timeout")["detail"]
    assert answer.headers["retry-after"] == "1"


def test_a_body_over_the_limit_is_refused_whether_its_length_is_told_or_not(tmp_path: Path) -> None:
    with site(tmp_path, max_body_bytes=1_000) as (_, client):
        body = b'{"workflow": "' + b"x" * 2_000 + b'"}'
        headers = {"content-type": "application/json"}
        problem_of(client.post("/v1/runs", content=body, headers=headers), 413, "payload_too_large")

        def chunks() -> Iterator[bytes]:
            yield from (body[at : at + 100] for at in range(0, len(body), 100))

        problem_of(client.post("/v1/runs", content=chunks(), headers=headers), 413, "payload_too_large")


def test_calls_are_counted_by_route_and_never_by_what_callers_choose(opened: tuple[Site, TestClient]) -> None:
    made, client = opened
    run_id = started(client)
    made.settle()
    client.get(f"/v1/runs/{run_id}")
    client.get("/v1/runs/nobody")
    client.get("/nowhere")
    client.request("BREW", "/nowhere")
    lines = client.get("/metrics").text.splitlines()
    assert 'logkeel_runs{workflow="work",status="running"} 1' in lines
    counted = [line for line in lines if line.startswith("logkeel_gateway_requests_total")]
    assert 'logkeel_gateway_requests_total{method="GET",route="/v1/runs/{run_id}",status="404"} 1' in counted
    assert 'logkeel_gateway_requests_total{method="any",route="none",status="404"} 2' in counted
    assert not any("nowhere" in line or "nobody" in line for line in lines)
