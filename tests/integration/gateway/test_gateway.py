"""The gateway in front of a running engine and worker: docs/gateway.md and docs/operate.md, played on a real broker."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.integration.gateway.processes import Application, until_ready
from tests.ports import free_port

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture(scope="module")
def opened(
    kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Application, httpx.Client]]:
    application = Application(kafka_bootstrap, f"t{uuid4().hex[:8]}", tmp_path_factory.mktemp("application"))
    done = application.logkeel("topics", "apply")
    assert done.returncode == 0, done.stderr
    port = free_port()
    roles = (("engine",), ("worker", "tests.integration.gateway.chatty"), ("gateway", "--port", str(port)))
    with application.running(*roles), closing(until_ready(port, application)) as client:
        yield application, client


def started(client: httpx.Client, topic: str, **more: Any) -> str:
    answer = client.post("/v1/runs", json={"workflow": "chat", "input": {"topic": topic}, **more})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["run_id"])


def until_asked(client: httpx.Client, run_id: str) -> None:
    """The run has come to its question."""
    deadline_s = time.monotonic() + 60.0
    while time.monotonic() < deadline_s:
        if any(wait["kind"] == "human" for wait in client.get(f"/v1/runs/{run_id}").json()["waits"]):
            return
        time.sleep(0.05)
    raise AssertionError(f"run {run_id} asks nobody")


def approve(client: httpx.Client, run_id: str) -> None:
    until_asked(client, run_id)
    answer = client.post(
        f"/v1/approvals/{run_id}/approve/answer", json={"verb": "approve", "answered_by": "ada"}, params={"wait_s": 30}
    )
    assert (answer.status_code, answer.json()["state"]) == (200, "accepted"), answer.text


def test_a_run_is_started_followed_approved_and_ends(opened: tuple[Application, httpx.Client]) -> None:
    _, client = opened
    run_id = started(client, "kafka", attributes={"customer": "7"})
    # Nobody approves before everything that was emitted has come: so it comes while the run goes on.
    thread = threading.Thread(target=approve, args=(client, run_id))
    said = ["about", "kafka", "much", "can", "be", "said"]
    events, values, last = [], [], ""
    with client.stream("GET", f"/v1/runs/{run_id}/events") as answer:
        assert answer.status_code == 200
        for line in answer.iter_lines():
            name, _, text = line.partition(": ")
            if name == "event":
                last = text
            elif name == "data":
                data = json.loads(text)
                events += [data["kind"]] if last == "run_event" else []
                values += [data["value"]] if last == "emitted" else []
            if values == said and not thread.ident:
                thread.start()
    thread.join()
    assert values == said
    assert (events[0], events[-1], last) == ("run_started", "run_completed", "end")
    run = client.get(f"/v1/runs/{run_id}").json()
    assert (run["status"], run["result"]) == ("succeeded", {"sent": "about kafka much can be said"})
    assert [(each["verb"], each["by"]) for each in run["answers"]] == [("approve", "ada")]


def test_a_start_that_waits_has_the_result_of_a_rejection_by_the_engine(
    opened: tuple[Application, httpx.Client],
) -> None:
    _, client = opened
    run_id = started(client, "one")
    body = {"workflow": "chat", "input": {"topic": "another"}, "run_id": run_id}
    answer = client.post("/v1/runs", json=body, params={"wait_s": 30})
    assert (answer.status_code, answer.json()["code"], answer.json()["rejection"]) == (
        409,
        "request_rejected",
        "run_id_taken",
    )


def test_the_four_questions_by_http_by_command_and_in_sql(opened: tuple[Application, httpx.Client]) -> None:
    application, client = opened
    waiting, failed = started(client, "rivers"), started(client, "nothing")
    until_asked(client, waiting)
    approve(client, failed)
    end = client.post(
        "/v1/runs", json={"workflow": "chat", "input": {"topic": "nothing"}, "run_id": failed}, params={"wait_s": 30}
    )
    assert end.json()["status"] == "failed"

    # Which step is this run on, and for how long?
    run = client.get(f"/v1/runs/{waiting}").json()
    (wait,) = [each for each in run["waits"] if each["kind"] == "human"]
    assert (wait["path"], wait["for_ms"] > 0) == ("approve", True)
    shown = json.loads(application.logkeel("run", "show", waiting, "-o", "json").stdout)
    assert [each["path"] for each in shown["waits"] if each["kind"] == "human"] == ["approve"]
    rows = sql(application, f"SELECT path, kind, since_ms FROM waits WHERE run_id = '{waiting}'")  # noqa: S608 - an id of ours
    assert rows == [{"path": "approve", "kind": "human", "since_ms": wait["since_ms"]}]

    # What was the exact state when it failed?
    by_http = client.get(f"/v1/runs/{failed}/state").json()
    assert by_http["error"]["code"] == "nothing_to_say"
    assert by_http["fields"]["words"]["value"] == "about nothing much can be said"
    revision = by_http["revision"]
    command = application.logkeel("run", "state", failed, "--revision", str(revision))
    assert json.loads(command.stdout)["fields"]["words"] == by_http["fields"]["words"]["value"]
    rows = sql(application, f"SELECT step, error_code FROM steps WHERE run_id = '{failed}' AND phase = 'failed'")  # noqa: S608 - an id of ours
    assert rows == [{"step": "send", "error_code": "nothing_to_say"}]

    # How many are in flight?
    counts = client.get("/v1/counts").json()
    counted = json.loads(application.logkeel("run", "count", "-o", "json").stdout)
    assert counted["in_flight"] == counts["in_flight"] > 0
    rows = sql(application, "SELECT count(*) AS in_flight FROM runs WHERE status = 'running'")
    assert rows == [{"in_flight": counts["in_flight"]}]


def sql(application: Application, statement: str) -> Any:
    done = application.logkeel("sql", statement, "-o", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_sql_without_a_gateway_reads_the_log_itself_and_later_what_has_come_since(
    opened: tuple[Application, httpx.Client], tmp_path: Path
) -> None:
    application, client = opened
    alone = Application(application.bootstrap, application.prefix, tmp_path)
    known = client.get("/v1/counts").json()["by_status"]
    for more in range(2):
        rows = sql(alone, "SELECT count(*) AS runs FROM runs")
        assert rows == [{"runs": sum(known.values()) + more}]
        run_id = started(client, f"more-{more}")
        until_asked(client, run_id)
    wrong = alone.logkeel("sql", "DELETE FROM runs")
    assert (wrong.returncode, "cannot be answered" in wrong.stderr) == (13, True)


def test_a_second_gateway_on_the_same_machine_has_a_file_of_its_own(opened: tuple[Application, httpx.Client]) -> None:
    application, client = opened
    port = free_port()
    with application.running(("gateway", "--port", str(port))), closing(until_ready(port, application)) as second:
        first = {key: value for key, value in client.get("/v1/counts").json().items() if key != "reflects"}
        assert {key: value for key, value in second.get("/v1/counts").json().items() if key != "reflects"} == first


def test_it_refuses_an_open_door_and_a_port_that_is_taken(opened: tuple[Application, httpx.Client]) -> None:
    application, client = opened
    everywhere = ".".join("0" * 4)
    done = application.logkeel("gateway", "--host", everywhere, "--port", str(free_port()))
    assert (done.returncode, "gateway_unprotected" in done.stderr) == (15, True), done.stderr
    done = application.logkeel("gateway", "--port", str(client.base_url.port))
    assert (done.returncode, "port_taken" in done.stderr) == (15, True), done.stderr


def test_a_token_that_the_command_makes_opens_what_its_role_may(opened: tuple[Application, httpx.Client]) -> None:
    application, _ = opened
    lines = application.folder / "tokens"
    made = application.logkeel("gateway", "token", "ada", "viewer", "--file", str(lines))
    assert made.returncode == 0, made.stderr
    token, port = made.stdout.strip(), free_port()
    assert token not in lines.read_text()
    roles = (("gateway", "--port", str(port), "--tokens-file", str(lines)),)
    with application.running(*roles), closing(until_ready(port, application)) as client:
        assert client.get("/v1/runs").status_code == 401
        headers = {"Authorization": f"Bearer {token}"}
        assert client.get("/v1/runs", headers=headers).status_code == 200
        assert client.post("/v1/runs", json={"workflow": "chat"}, headers=headers).status_code == 403


def test_serve_carries_a_gateway_and_ends_cleanly(kafka_bootstrap: str, tmp_path: Path) -> None:
    port = free_port()
    application = Application(kafka_bootstrap, f"t{uuid4().hex[:8]}", tmp_path, {"LOGKEEL_GATEWAY_PORT": str(port)})
    assert application.logkeel("topics", "apply").returncode == 0
    roles = (("serve", "tests.integration.gateway.chatty", "--gateway"),)
    with application.running(*roles), closing(until_ready(port, application)) as client:
        run_id = started(client, "served")
        approve(client, run_id)
        body = {"workflow": "chat", "input": {"topic": "served"}, "run_id": run_id}
        ended = client.post("/v1/runs", json=body, params={"wait_s": 30})
        assert (ended.status_code, ended.json()["status"]) == (200, "succeeded")
        (workflow,) = client.get("/v1/workflows").json()["items"]
        assert (workflow["name"], workflow["runs"]) == ("chat", {"succeeded": 1})
