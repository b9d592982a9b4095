"""Pages: who may see and answer, forms that are ours alone, and that a form sent twice is one answer."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient
from tests.unit.gateway.site import Site, site
from tests.unit.runs.flows import plan_with
from tests.unit.runs.scripts import flow_of, step_block

from logkeel.definitions import HumanBlock
from logkeel.gateway.access import Role, token_line
from logkeel.gateway.ui.sessions import BROWSER, SESSION, own_path
from logkeel.log import read_topic
from logkeel.records import AnswerQuestion
from logkeel.wire import decode_as

SCHEMA = (
    '{"type": "object", "properties": {"to": {"type": "string"}, "copies": {"type": "integer"}}, "required": ["to"]}'
)
EVIL = "<script>alert(1)</script>"
ASKED = HumanBlock(
    id="approve",
    question=f"Send it? {EVIL}",
    writes="decision",
    answer="letter",
    allow=("approve", "edit", "reject"),
    answer_schema=SCHEMA,
    assignee="editors",
)
ROLES = (("ada", Role.APPROVER), ("bob", Role.OPERATOR))
TOKENS = ";".join(token_line(name, [role], name) for name, role in ROLES)
ADA, BOB = ({"Authorization": f"Bearer {name}"} for name in ("ada", "bob"))


class House:
    """A site with a run that asks, and a browser that follows nothing by itself."""

    def __init__(self, made: Site, http: TestClient, run_id: str) -> None:
        self.made, self.http, self.run_id = made, http, run_id
        self.question = f"/ui/approvals/{run_id}/approve"

    def sign_in(self, token: str) -> None:
        page = self.http.get("/ui/login").text
        form = {"token": token, "next": "/ui/runs", "form_token": hidden(page, "form_token")}
        assert self.http.post("/ui/login", data=form).headers["location"] == "/ui/runs"

    def form(self, **entries: str) -> dict[str, str]:
        page = self.http.get(self.question).text
        return {**{name: hidden(page, name) for name in ("form_token", "question", "key")}, **entries}

    def answers(self) -> list[AnswerQuestion]:
        topic = self.made.engine.names.run_requests
        found = [record.value or b"" for record in read_topic(self.made.engine.client, topic)]
        return [decode_as(value, AnswerQuestion) for value in found if is_answer(value)]


def is_answer(value: bytes) -> bool:
    try:
        decode_as(value, AnswerQuestion)
    except Exception:  # noqa: BLE001 - a record of another kind, or JSON
        return False
    return True


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, name
    return found[1]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with site(tmp_path, tokens=TOKENS, max_wait_s=0.0) as (made, http):
        http.follow_redirects = False
        made.engine.publish(plan_with(flow_of(ASKED, step_block("a"))))
        body = {"workflow": "work", "input": {"topic": EVIL}}
        run_id = http.post("/v1/runs", json=body, headers=BOB).json()["run_id"]
        made.settle()
        yield House(made, http, run_id)


def test_without_a_session_every_page_leads_to_the_sign_in(house: House) -> None:
    for path in ("/ui/", "/ui/approvals", house.question, "/ui/runs", f"/ui/runs/{house.run_id}"):
        answer = house.http.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/ui/login?next={quote(path, safe='')}")
    assert house.http.get(f"/ui/runs/{house.run_id}", headers=ADA).status_code == 303  # a cookie, and nothing else


def test_a_session_is_a_cookie_that_pages_alone_take(house: House) -> None:
    house.sign_in("ada")
    assert house.http.cookies[SESSION] == "ada"
    assert house.http.get("/ui/runs").status_code == 200
    assert house.http.get("/v1/runs").status_code == 401
    page = house.http.get("/ui/login").text
    form = {"token": "nobody", "form_token": hidden(page, "form_token")}
    refused = house.http.post("/ui/login", data=form)
    assert refused.status_code == 401
    assert "set-cookie" not in refused.headers
    token = hidden(house.http.get("/ui/runs").text, "form_token")
    house.http.post("/ui/logout", data={"form_token": token})
    assert house.http.get("/ui/runs").status_code == 303


def test_cookies_are_kept_from_scripts_and_other_sites(house: House) -> None:
    page = house.http.get("/ui/login")
    form = {"token": "ada", "form_token": hidden(page.text, "form_token")}
    for answer in (page, house.http.post("/ui/login", data=form)):
        words = answer.headers["set-cookie"].lower()
        assert "httponly" in words
        assert "samesite=strict" in words
        assert "path=/ui" in words
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    house.sign_in("ada")
    for path in ("/ui/", house.question, "/ui/runs", f"/ui/runs/{house.run_id}"):
        text = house.http.get(path).text
        assert re.findall(r"<script(?! src=)", text) == []
        assert re.findall(r"\son\w+=|\sstyle=|javascript:", text) == []
        assert EVIL not in text


def test_a_question_is_listed_shown_and_answered(house: House) -> None:
    house.sign_in("ada")
    assert house.question in house.http.get("/ui/approvals", params={"assignee": "editors"}).text
    assert house.question not in house.http.get("/ui/approvals", params={"assignee": "others"}).text
    page = house.http.get(house.question).text
    assert 'name="value.to"' in page
    assert 'value="edit"' in page
    form = house.form(verb="edit", comment="nicer", **{"value.to": "Bob", "value.copies": "2"})
    answer = house.http.post(house.question, data=form)
    assert answer.status_code == 303, answer.text
    assert "on its way" in house.http.get(answer.headers["location"]).text
    house.made.settle()
    assert "Your answer was taken" in house.http.get(answer.headers["location"]).text
    run = house.http.get(f"/v1/runs/{house.run_id}", headers=ADA).json()
    assert [(each["verb"], each["by"], each["comment"]) for each in run["answers"]] == [("edit", "ada", "nicer")]
    assert house.http.get(house.question).status_code == 404


def test_a_form_that_is_sent_twice_is_one_request_and_another_one_is_not(house: House) -> None:
    house.sign_in("ada")
    form = house.form(verb="approve")
    for _ in range(2):
        assert house.http.post(house.question, data=form).status_code == 303
    late = house.http.post(house.question, data={**form, "verb": "reject"})
    ids = [each.request_id for each in house.answers()]
    assert len(ids) == 3
    assert ids[0] == ids[1] != ids[2]
    house.made.settle()
    assert "came too late" in house.http.get(late.headers["location"]).text
    run = house.http.get(f"/v1/runs/{house.run_id}", headers=ADA).json()
    assert [each["verb"] for each in run["answers"]] == ["approve"]


@pytest.mark.parametrize("harm", ["no token", "other token", "other site", "other browser"])
def test_a_form_of_another_page_does_nothing(house: House, harm: str) -> None:
    house.sign_in("ada")
    form, headers = house.form(verb="approve"), dict[str, str]()
    match harm:
        case "no token":
            del form["form_token"]
        case "other token":
            form["form_token"] = "0" * 64
        case "other site":
            headers = {"Sec-Fetch-Site": "same-site"}
        case _:
            house.http.cookies.set(BROWSER, "x" * 43, domain="127.0.0.1", path="/ui")
    assert house.http.post(house.question, data=form, headers=headers).status_code == 403
    assert house.answers() == []


def test_who_may_not_answer_sees_the_question_and_no_form(house: House) -> None:
    house.sign_in("bob")
    page = house.http.get(house.question).text
    assert "takes the role approver" in page
    assert 'name="verb"' not in page
    form = {"form_token": hidden(page, "form_token"), "verb": "approve", "key": "k"}
    assert house.http.post(house.question, data=form).status_code == 403
    assert house.answers() == []


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"verb": "edit", "value.to": "x", "value.copies": "two"}, "copies: has to be a whole number"),
        ({"verb": "edit", "value": "{}"}, "&#39;to&#39; is a required property"),
        ({"verb": "respond", "value.to": "x"}, "takes approve, edit, reject"),
        ({"verb": "delegate", "assignee": " "}, "needs an assignee"),
        ({"verb": "sing"}, "verb"),
    ],
)
def test_an_answer_that_does_not_fit_can_be_mended(house: House, entries: dict[str, str], said: str) -> None:
    house.sign_in("ada")
    form = house.form(comment="<mine>", **entries)
    answer = house.http.post(house.question, data=form)
    assert answer.status_code == 422
    assert said in answer.text
    assert "&lt;mine&gt;" in answer.text
    assert hidden(answer.text, "key") == form["key"]
    assert house.answers() == []


def test_a_question_is_handed_on_and_then_answered(house: House) -> None:
    house.sign_in("ada")
    assert house.http.post(house.question, data=house.form(verb="delegate", assignee="chiefs")).status_code == 303
    house.made.settle()
    assert house.question in house.http.get("/ui/approvals?assignee=chiefs").text
    assert house.http.post(house.question, data=house.form(verb="approve")).status_code == 303
    house.made.settle()
    run = house.http.get(f"/v1/runs/{house.run_id}", headers=ADA).json()
    assert [each["verb"] for each in run["answers"]] == ["approve"]


def test_a_form_of_a_question_that_is_over_answers_no_later_one(house: House) -> None:
    house.sign_in("ada")
    assert house.http.post(house.question, data=house.form(verb="approve", question="99")).status_code == 404
    assert house.answers() == []


def test_a_run_is_drawn_with_what_it_does(house: House) -> None:
    house.sign_in("ada")
    place = f"/ui/runs/{house.run_id}"
    page = house.http.get(place).text
    assert '<g class="human odd waiting">' in page or '<g class="human waiting">' in page
    assert "an answer: Send it?" in page
    assert f'data-follow="{place}/events?after=' in page
    house.http.post(house.question, data=house.form(verb="approve"))
    house.made.settle()
    live = house.http.get(f"{place}/live").text
    assert live.startswith("<div") or '<div id="live"' in live
    assert "dispatched" in live
    house.made.finish()
    house.made.settle()
    page = house.http.get(place).text
    assert "succeeded" in page
    assert "data-follow" not in page
    assert "run completed" in house.http.get(f"{place}/history").text
    assert house.http.get(f"{place}/events").status_code == 200


def test_runs_are_filtered_and_empty_filters_are_none(house: House) -> None:
    house.sign_in("ada")
    empty = dict.fromkeys(("workflow", "status", "step", "assignee", "attribute"), "")
    for given, is_there in (
        (empty, True),
        ({**empty, "status": "running"}, True),
        ({**empty, "status": "failed"}, False),
        ({"waiting_for": "human"}, True),
        ({"assignee": "others"}, False),
        ({"paused": "true"}, False),
    ):
        assert (f"/ui/runs/{house.run_id}" in house.http.get("/ui/runs", params=given).text) is is_there, given
    for wrong in ({"status": "lost"}, {"cursor": "x"}, {"colour": "red"}):
        answer = house.http.get("/ui/runs", params=wrong)
        assert answer.status_code in (400, 422)
        assert answer.headers["content-type"].startswith("text/html")


def test_problems_are_pages(house: House) -> None:
    house.sign_in("ada")
    for path in ("/ui/runs/nobody", f"/ui/approvals/{house.run_id}/nowhere", "/ui/colours"):
        answer = house.http.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")


def test_files_are_ours_and_kept_until_they_change(house: House) -> None:
    for name in ("ui.css", "ui.js"):
        file = house.http.get(f"/ui/static/{name}")
        assert file.status_code == 200
        assert "http" not in file.text
        again = house.http.get(f"/ui/static/{name}", headers={"If-None-Match": file.headers["etag"]})
        assert again.status_code == 304
    assert house.http.get("/ui/static/..%2Fpages.py").status_code == 400


def test_where_nobody_signs_in_who_answers_says_a_name_and_forms_are_guarded_all_the_same(tmp_path: Path) -> None:
    with site(tmp_path, max_wait_s=0.0) as (made, http):
        http.follow_redirects = False
        made.engine.publish(plan_with(flow_of(ASKED, step_block("a"))))
        run_id = http.post("/v1/runs", json={"workflow": "work", "input": {"topic": "x"}}).json()["run_id"]
        made.settle()
        house = House(made, http, run_id)
        assert http.get("/ui/login?next=/ui/runs").headers["location"] == "/ui/runs"
        assert http.post(house.question, data={"verb": "approve", "name": "Eve"}).status_code == 403
        assert http.post(house.question, data=house.form(verb="approve")).status_code == 422
        assert http.post(house.question, data=house.form(verb="approve", name="Eve")).status_code == 303
        assert [each.answered_by for each in house.answers()] == ["Eve"]


@pytest.mark.parametrize(
    "place", ["//evil.example.com", "https://evil.example.com", "/v1/runs", "/ui/\n", "/ui\\x", ""]
)
def test_the_sign_in_leads_to_pages_of_ours(place: str) -> None:
    assert own_path(place) == "/ui/"


def test_the_sign_in_leads_back() -> None:
    assert own_path("/ui/runs/a%2Fb?request=7") == "/ui/runs/a%2Fb?request=7"
