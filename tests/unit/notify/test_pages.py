"""The pages: GET shows, POST decides, and however often somebody clicks, it is one answer."""

from collections.abc import Sequence
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.unit.notify.site import DAY_MS, Site

from logkeel.approvals.forms import problems_of
from logkeel.notify import pages
from logkeel.notify.cases import Case
from logkeel.notify.pages import application
from logkeel.notify.replies import Schema


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "SETTLE_S", 0.0)


@pytest.fixture
def site() -> Site:
    return Site()


def test_opening_the_link_shows_the_question_and_changes_nothing(site: Site) -> None:
    page, *others = (site.http.get(site.path()) for _ in range(3))
    assert {each.status_code for each in (page, *others)} == {200}
    assert "May this go out?" in page.text
    assert "a fine report" in page.text
    assert '<button name="verb" value="approve">' in page.text
    assert "You answer as ada@example.com" in page.text
    assert site.http.head(site.path()).status_code == 200
    assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert site.answers() == []


def test_two_clicks_are_one_request(site: Site) -> None:
    first = site.http.post(site.path(), data={"verb": "approve", "comment": " fine "})
    assert first.status_code == 303
    assert "Your answer was sent: approve" in site.http.get(first.headers["location"]).text
    site.http.post(site.path(), data={"verb": "approve"})
    site.http.post(site.path(), data={"verb": "reject"})
    answers = site.answers()
    assert len({each.request_id for each in answers}) == 1
    first_word = answers[0]
    assert (first_word.run_id, first_word.path, first_word.verb) == ("r", "approve", "approve")
    assert (first_word.answered_by, first_word.comment) == ("ada@example.com", "fine")
    assert (first_word.question, first_word.incarnation) == (2, "0@0")


def test_the_page_says_who_was_first(site: Site) -> None:
    site.world.happens("question_answered", path="approve", name="reject", actor="bob", reason="no", request_id="q")
    site.world.run()
    site.refresh()
    page = site.http.get(site.path())
    assert "reject by bob: no" in page.text
    assert "<form" not in page.text
    late = site.http.post(site.path(), data={"verb": "approve"})
    assert late.status_code == 409
    assert "reject by bob: no" in late.text
    assert site.answers() == []


@pytest.mark.parametrize("method", ["get", "post"])
def test_foreign_and_old_links_are_refused(site: Site, method: str) -> None:
    assert getattr(site.http, method)("/answers/nonsense").status_code == 404
    assert getattr(site.http, method)(site.path()[:-1]).status_code == 404
    site.world.cluster.clock.advance(8 * DAY_MS)
    assert getattr(site.http, method)(site.path()).status_code == 410
    assert site.answers() == []


def test_a_question_that_was_forgotten_is_not_answered(site: Site) -> None:
    case = site.world.cases()["r approve"]
    site.world.happens("run_completed", status="cancelled")
    site.world.run(turns=220, step_ms=3_600_000)
    site.refresh()
    fresh = site.links.link(case, "ada@example.com")
    assert fresh is not None
    assert site.http.post(f"/answers/{fresh[1]}", data={"verb": "approve"}).status_code == 404
    assert site.answers() == []


def test_an_answer_that_does_not_fit_is_told_so_and_can_be_mended() -> None:
    site = Site(attributes={"allow": "approve,edit"})
    assert "takes approve, edit" in site.http.post(site.path(), data={"verb": "drop"}).text
    empty = site.http.post(site.path(), data={"verb": "edit", "value": " ", "comment": "<mine>"})
    assert empty.status_code == 422
    assert "&lt;mine&gt;" in empty.text
    assert site.answers() == []


@pytest.mark.parametrize(
    ("form", "payload"),
    [
        ({"value": '{"title": "On logs"}', "json": "on"}, b'{"title":"On logs"}'),
        ({"value": "42\r\n"}, b'"42\\n"'),
    ],
)
def test_without_a_form_who_answers_says_what_it_is(form: dict[str, str], payload: bytes) -> None:
    site = Site(attributes={"allow": "approve,edit", "answer": "report"})
    page = site.http.get(site.path()).text
    assert "It is JSON" in page
    assert ">\na fine report</textarea>" in page  # a line end behind the tag is none of the content
    assert site.http.post(site.path(), data={"verb": "edit", "value": "{", "json": "on"}).status_code == 422
    site.http.post(site.path(), data={"verb": "edit", **form})
    (answer,) = site.answers()
    assert answer.payload is not None
    assert answer.payload.data == payload


class Reports:
    """The form of reports, checked by the production code."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema

    def schema(self, case: Case) -> dict[str, Any]:
        return self._schema

    def problems(self, value: Any, schema: Schema) -> Sequence[str]:
        return problems_of(value, schema)


def test_an_answer_has_to_fit_its_form() -> None:
    wanted = {"type": "object", "required": ["title"], "properties": {"title": {"type": "string"}}}
    site = Site(forms=Reports(wanted), attributes={"allow": "approve,edit"})
    page = site.http.get(site.path()).text
    assert "has to fit this schema" in page
    assert 'name="value.title"' in page
    for value in ("no json", "{}", '{"title": 1}'):
        assert site.http.post(site.path(), data={"verb": "edit", "value": value}).status_code == 422
    assert site.answers() == []
    assert site.http.post(site.path(), data={"verb": "edit", "value": '{"title": "x"}'}).status_code == 303
    assert site.http.post(site.path(), data={"verb": "edit", "value.title": "x"}).status_code == 303
    assert [each.payload and each.payload.data for each in site.answers()] == [b'{"title":"x"}'] * 2


@pytest.mark.parametrize("schema", [{"type": "string"}, {"anyOf": [{"type": "string"}, {"type": "null"}]}])
def test_a_text_is_a_text_where_one_is_wanted(schema: dict[str, Any]) -> None:
    site = Site(forms=Reports(schema), attributes={"allow": "approve,edit"})
    assert "JSON" not in site.http.get(site.path()).text
    site.http.post(site.path(), data={"verb": "edit", "value": "42"})
    (answer,) = site.answers()
    assert answer.payload is not None
    assert answer.payload.data == b'"42"'


def test_who_shares_a_link_says_a_name() -> None:
    site = Site(attributes={"notify": "hook"})
    assert 'name="name"' in site.http.get(site.path("hook")).text
    assert site.http.post(site.path("hook"), data={"verb": "approve"}).status_code == 422
    site.http.post(site.path("hook"), data={"verb": "approve", "name": "Eve\nE."})
    site.http.post(site.path("hook"), data={"verb": "approve", "name": "Mallory"})
    answers = site.answers()
    assert [each.answered_by for each in answers] == ["Eve E.", "Mallory"]
    assert len({each.request_id for each in answers}) == 2


def test_without_a_broker_nothing_is_promised(site: Site) -> None:
    site.failing = True
    failed = site.http.post(site.path(), data={"verb": "approve", "comment": "mine"})
    assert failed.status_code == 503
    assert "mine" in failed.text
    site.failing = False
    assert site.http.post(site.path(), data={"verb": "approve"}).status_code == 303


def test_a_body_has_a_limit(site: Site) -> None:
    large = site.http.post(site.path(), content=b"verb=approve&comment=" + b"x" * pages.BODY_BYTES)
    assert large.status_code == 413
    assert site.answers() == []


def test_probes() -> None:
    ready = False
    http = TestClient(application([], lambda: ready))
    assert (http.get("/livez").status_code, http.get("/readyz").status_code) == (200, 503)
    ready = True
    assert http.get("/readyz").status_code == 200
