"""Questions over HTTP: listed, shown with their form, answered once, by whom they may be answered."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.unit.gateway.site import Site, problem_of, site
from tests.unit.runs.flows import plan_with
from tests.unit.runs.scripts import flow_of, step_block

from logkeel.definitions import HumanBlock
from logkeel.gateway.access import Role, token_line

SCHEMA = '{"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}'
ASKED = HumanBlock(
    id="approve",
    question="Send it?",
    writes="decision",
    answer="letter",
    allow=("approve", "edit", "reject"),
    answer_schema=SCHEMA,
    assignee="editors",
)
TOKENS = ";".join(token_line(name, [role], name) for name, role in (("ada", Role.APPROVER), ("bob", Role.OPERATOR)))
ADA, BOB = ({"Authorization": f"Bearer {name}"} for name in ("ada", "bob"))


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[Site, TestClient, str]]:
    with site(tmp_path, tokens=TOKENS) as (made, client):
        made.engine.publish(plan_with(flow_of(ASKED, step_block("a"))))
        body = {"workflow": "work", "input": {"topic": "kafka"}}
        run_id = client.post("/v1/runs", json=body, headers=BOB).json()["run_id"]
        made.settle()
        yield made, client, run_id


def test_a_question_is_found_shown_and_answered(opened: tuple[Site, TestClient, str]) -> None:
    made, client, run_id = opened
    (listed,) = client.get("/v1/approvals", params={"assignee": "editors"}, headers=ADA).json()["items"]
    assert (listed["run_id"], listed["path"], listed["question"]) == (run_id, "approve", "Send it?")
    assert client.get("/v1/approvals", params={"assignee": "others"}, headers=ADA).json()["items"] == []
    assert client.get("/v1/runs", params={"waiting_for": "human"}, headers=ADA).json()["items"][0]["run_id"] == run_id
    shown = client.get(f"/v1/approvals/{run_id}/approve", headers=ADA).json()
    assert shown["schema"]["required"] == ["to"]
    answer = client.post(
        f"/v1/approvals/{run_id}/approve/answer",
        json={"verb": "edit", "value": {"to": "Bob"}, "comment": "nicer", "answered_by": "somebody else"},
        headers=ADA,
    )
    assert answer.status_code == 202
    made.settle()
    run = client.get(f"/v1/runs/{run_id}", headers=ADA).json()
    assert [(each["verb"], each["by"], each["comment"]) for each in run["answers"]] == [("edit", "ada", "nicer")]
    problem_of(client.get(f"/v1/approvals/{run_id}/approve", headers=ADA), 404, "question_not_found")


def test_the_second_answer_is_refused(opened: tuple[Site, TestClient, str]) -> None:
    made, client, run_id = opened
    place = f"/v1/approvals/{run_id}/approve/answer"
    first, second = (client.post(place, json={"verb": verb}, headers=ADA) for verb in ("approve", "reject"))
    assert (first.status_code, second.status_code) == (202, 202)
    made.settle()
    outcomes = [client.get(f"/v1/requests/{each.json()['request_id']}", headers=ADA).json() for each in (first, second)]
    assert [(each["state"], each["code"]) for each in outcomes] == [
        ("accepted", None),
        ("rejected", "question_not_open"),
    ]
    problem_of(client.post(place, json={"verb": "approve"}, headers=ADA), 404, "question_not_found")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"verb": "respond", "value": {"to": "x"}}, "takes approve, edit, reject"),
        ({"verb": "edit"}, "needs a value"),
        ({"verb": "edit", "value": {"to": 7}}, "to: 7 is not of type 'string'"),
        ({"verb": "edit", "value": {}}, "'to' is a required property"),
        ({"verb": "approve", "value": 1}, "takes no value"),
        ({"verb": "delegate"}, "needs an assignee"),
        ({"verb": "sing"}, "verb"),
    ],
)
def test_an_answer_that_does_not_fit_is_told_why_before_anything_is_sent(
    opened: tuple[Site, TestClient, str], body: dict[str, object], said: str
) -> None:
    made, client, run_id = opened
    answer = client.post(f"/v1/approvals/{run_id}/approve/answer", json=body, headers=ADA)
    assert said in problem_of(answer, 422, "invalid_input")["detail"]
    made.settle()
    assert client.get(f"/v1/approvals/{run_id}/approve", headers=ADA).status_code == 200


def test_an_answer_to_another_question_than_the_one_that_is_open_is_refused(
    opened: tuple[Site, TestClient, str],
) -> None:
    _, client, run_id = opened
    body = {"verb": "approve", "question": 99}
    problem_of(client.post(f"/v1/approvals/{run_id}/approve/answer", json=body, headers=ADA), 404, "question_not_found")
    body = {"verb": "approve"}
    problem_of(client.post("/v1/approvals/nobody/approve/answer", json=body, headers=ADA), 404, "run_not_found")


def test_a_question_is_handed_on(opened: tuple[Site, TestClient, str]) -> None:
    made, client, run_id = opened
    client.post(f"/v1/approvals/{run_id}/approve/answer", json={"verb": "delegate", "assignee": "chiefs"}, headers=ADA)
    made.settle()
    assert client.get("/v1/approvals", params={"assignee": "editors"}, headers=ADA).json()["items"] == []
    (handed,) = client.get("/v1/approvals", params={"assignee": "chiefs"}, headers=ADA).json()["items"]
    assert (handed["assignee"], handed["reassigned_by"]) == ("chiefs", "ada")
