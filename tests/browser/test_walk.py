"""From the sign-in to the end of a run, as a person sees it; and the same without scripts and on a phone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser.walking import browsing, served, shoot
from tests.unit.gateway.site import Site
from tests.unit.runs.flows import plan_with
from tests.unit.runs.scripts import flow_of, step_block

from logkeel.client import Client
from logkeel.definitions import HumanBlock, ParallelBlock
from logkeel.gateway.access import Role, token_line

SCHEMA = (
    '{"type": "object", "required": ["to"], "properties": {"to": {"type": "string", "maxLength": 80, "title": "To",'
    ' "description": "Who gets it"}, "copies": {"type": "integer", "title": "Copies"},'
    ' "tone": {"enum": ["warm", "cold"], "title": "Tone"}}}'
)
ASKED = HumanBlock(
    id="approve",
    question="May this letter go out?",
    writes="decision",
    answer="letter",
    allow=("approve", "edit", "reject"),
    answer_schema=SCHEMA,
    assignee="editors",
    shows=("topic",),
    timeout_ms=7_200_000,
    on_timeout="reject",
)
FLOW = flow_of(
    ParallelBlock(id="look", branches=(step_block("a"), step_block("b"))), ASKED, step_block("c"), step_block("d")
)
RUN = "letters/2026-11-28"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as opened:
        yield opened


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Site, str]]:
    with served(tmp_path, tokens=token_line("ada", [Role.APPROVER], "adas-token")) as (site, address):
        site.engine.publish(plan_with(FLOW))
        client: Client = site.parts.client
        client.start("work", run_id=RUN, topic="Dear Bob, the log is durable.")
        site.settle()
        site.finish()
        site.settle()
        yield site, address


def sign_in(page: Page, address: str) -> None:
    page.goto(f"{address}/ui/")
    page.get_by_label("Your token").fill("adas-token")
    page.get_by_role("button", name="Sign in").click()


def test_a_walk(place: tuple[Site, str], browser: Browser) -> None:
    site, address = place
    page = browser.new_context(viewport={"width": 1200, "height": 900}).new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    foreign: list[str] = []
    page.on("request", lambda request: None if request.url.startswith(address) else foreign.append(request.url))

    page.goto(f"{address}/ui/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    shoot(page, "1-sign-in")
    sign_in(page, address)
    expect(page.get_by_role("link", name="May this letter go out?")).to_be_visible()
    shoot(page, "2-inbox")

    watching = page.context.new_page()
    watching.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    watching.goto(f"{address}/ui/runs")
    shoot(watching, "3-runs")
    watching.get_by_role("link", name=RUN).click()
    expect(watching.locator("g.human.waiting")).to_be_visible()
    shoot(watching, "4-run-waits")

    page.get_by_role("link", name="May this letter go out?").click()
    expect(page.get_by_text("the log is durable")).to_be_visible()
    page.get_by_label("To", exact=True).fill("Bob")
    page.get_by_label("Copies").fill("two")
    page.get_by_role("button", name="Edit").click()
    expect(page.get_by_role("alert")).to_contain_text("copies: has to be a whole number")
    shoot(page, "5-question-mended")
    page.get_by_label("Copies").fill("2")
    page.get_by_label("Tone").select_option("warm")
    page.get_by_label("Comment").fill("nicer so")
    page.get_by_role("button", name="Edit").click()
    expect(page.get_by_text("on its way")).to_be_visible()

    site.settle()
    # Nobody has touched the other page: the event stream has.
    expect(watching.locator("g.step.open")).to_have_count(1)
    shoot(watching, "6-run-goes-on")
    site.finish()
    site.settle()
    site.finish()
    site.settle()
    expect(watching.get_by_role("status")).to_contain_text("succeeded")
    expect(watching.locator("g.step.done")).to_have_count(4)
    shoot(watching, "7-run-succeeded")
    (answer,) = site.parts.model.run(RUN).value.answers
    assert (answer.verb, answer.by, answer.comment) == ("edit", "ada", "nicer so")

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    # The refused form was answered with 422, which browsers log.
    assert [each for each in said if "422" not in each] == []
    assert foreign == []


def test_on_a_phone_and_without_scripts(place: tuple[Site, str], browser: Browser) -> None:
    site, address = place
    context = browser.new_context(viewport={"width": 360, "height": 740}, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, address)
    for name, path in (("inbox", "/ui/"), ("runs", "/ui/runs"), ("run", f"/ui/runs/{RUN.replace('/', '%2F')}")):
        page.goto(f"{address}{path}")
        shoot(page, f"phone-{name}")
        box = page.locator("main").bounding_box()
        assert box is not None
        assert box["width"] <= 360
    page.get_by_role("link", name="an answer: May this letter go out?").click()
    shoot(page, "phone-question")
    page.get_by_role("button", name="Approve").click()
    site.settle()
    page.get_by_role("link", name="Load again").click()
    expect(page.get_by_role("status")).to_contain_text("running")
    (answer,) = site.parts.model.run(RUN).value.answers
    assert answer.verb == "approve"
