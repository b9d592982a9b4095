"""Slack, by its documented API: messages that its own models accept, clicks that its own verifier would accept."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from msgspec.structs import replace
from slack_sdk.models.blocks import Block
from slack_sdk.signature import Clock, SignatureVerifier
from tests.unit.notify.messages import CASE, OVER, message
from tests.unit.notify.servers import Endpoint, serving
from tests.unit.notify.site import DAY_MS, Site

from logkeel.notify.cases import Delivered, Refused, Retry
from logkeel.notify.clicks import SlackClicks
from logkeel.notify.config import Slack
from logkeel.notify.slack import SlackChannel, content

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
NOW_S = 1_700_000_000.0
CONFIG = Slack(token_env="T", signing_secret_env="S")
OK: tuple[int, dict[str, str], bytes] = (200, {}, json.dumps({"ok": True, "channel": "C1", "ts": "17.001"}).encode())


def channel(endpoint: Endpoint) -> SlackChannel:
    config = replace(CONFIG, api_url=f"http://127.0.0.1:{endpoint.port}/api")
    return SlackChannel(config, {"T": "xoxb-1", "S": SECRET})


def said(error: str) -> tuple[int, dict[str, str], bytes]:
    return (200, {}, json.dumps({"ok": False, "error": error}).encode())


def test_a_question_is_a_message_with_buttons_that_slack_takes() -> None:
    with serving() as endpoint:
        endpoint.answers = [OK]
        sent = message(recipient="#editors", link="https://x/y", token="to.ken")
        assert channel(endpoint).deliver(sent) == Delivered("C1/17.001")
    taken = endpoint.taken[0]
    assert taken.path == "/api/chat.postMessage"
    assert taken.headers["authorization"] == "Bearer xoxb-1"
    body = json.loads(taken.body)
    assert (body["channel"], body["text"]) == ("#editors", "Question: May &lt;this&gt; go out?")
    assert body["metadata"]["event_payload"] == {"key": "ntf_k1"}
    for block in Block.parse_all(body["blocks"]):
        block.validate_json()
    actions = body["blocks"][-1]["elements"]
    pressed = [(each["action_id"], each.get("value"), each.get("style")) for each in actions]
    assert pressed[:2] == [("logkeel:approve", "to.ken", "primary"), ("logkeel:reject", "to.ken", "danger")]
    assert (actions[2]["action_id"], actions[2]["url"]) == ("logkeel:open", "https://x/y")
    assert all(text["type"] == "plain_text" for text in texts(body["blocks"]))


def texts(value: Any) -> list[dict[str, Any]]:
    """Every text object below a value."""
    if isinstance(value, list):
        return [found for each in value for found in texts(each)]
    if isinstance(value, dict):
        own = [value] if isinstance(value.get("text"), str) and "type" in value else []
        return own + [found for each in value.values() for found in texts(each)]
    return []


def test_no_text_is_longer_than_slack_takes() -> None:
    long = "x" * 10_000
    question = CASE.question.__class__(
        path="p", kind="human", number=1, since_ms=0, question=long, assignee=long, allow=(long[:70], "edit", "respond")
    )
    large = message(case=replace(CASE, question=question), link="https://x/y", token="t" * 500)
    large = type(large)(**{**fields(large), "shown": {f"{long}{number}": long for number in range(60)}})
    blocks = content(large)["blocks"]
    assert len(blocks) <= 50
    for block in Block.parse_all(blocks):
        block.validate_json()


def fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def test_what_follows_goes_into_the_thread_and_the_answer_changes_the_message() -> None:
    with serving() as endpoint:
        endpoint.answers = [OK, OK]
        slack = channel(endpoint)
        assert slack.deliver(message("reminder", "#editors", receipt="C1/17.001")) == Delivered("")
        assert slack.deliver(message("answered", "#editors", case=OVER, receipt="C1/17.001")) == Delivered("")
    reply, change = (json.loads(each.body) for each in endpoint.taken)
    assert (reply["thread_ts"], reply["channel"], reply["text"]) == (
        "17.001",
        "C1",
        "Reminder: May &lt;this&gt; go out?",
    )
    assert "blocks" not in reply
    assert endpoint.taken[1].path == "/api/chat.update"
    assert (change["channel"], change["ts"]) == ("C1", "17.001")
    assert "reject by bob: too long" in json.dumps(change["blocks"])
    assert all(block["type"] != "actions" for block in change["blocks"])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((429, {"retry-after": "30"}, b""), Retry("Slack: too many requests", after_ms=30_000)),
        ((503, {}, b"<html>"), Retry("Slack: status 503")),
        (said("ratelimited"), Retry("Slack: ratelimited")),
        (said("channel_not_found"), Refused("Slack: channel_not_found")),
        ((302, {"location": "/elsewhere"}, b"{}"), Refused("Slack: status 302")),
    ],
)
def test_what_slack_answers(answer: tuple[int, dict[str, str], bytes], expected: object) -> None:
    with serving() as endpoint:
        endpoint.answers = [answer]
        assert channel(endpoint).deliver(message(recipient="#x")) == expected
    assert len(endpoint.taken) == 1


class Workspace(Site):
    """Somebody's Slack, with a question in a channel of it."""

    def __init__(self, endpoint: Endpoint | None = None) -> None:
        super().__init__(attributes={"notify": "hook"})
        asked = next(each for each in self.world.postbox.messages)
        self.token = asked.token
        api = CONFIG.api_url if endpoint is None else f"http://127.0.0.1:{endpoint.port}/api/"
        team = {"team": replace(CONFIG, api_url=api)}
        clicks = SlackClicks(team, {"S": SECRET}, self.links, self.book, self.send, now_s=lambda: NOW_S)
        self.serve(clicks.routes())

    def click(self, verb: str = "approve", user: str = "U1", *, sign: bool = True, **changed: Any) -> Any:
        """As Slack sends it."""
        click = {
            "type": "block_actions",
            "user": {"id": user, "username": f"name-of-{user}"},
            "actions": [{"action_id": f"logkeel:{verb}", "block_id": "logkeel", "value": self.token}],
            "response_url": "https://hooks.slack.com/actions/1",
            **changed,
        }
        body = urlencode({"payload": json.dumps(click)})
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return self.http.post("/slack/team", content=body, headers=headers | (signed(body) if sign else {}))


def signed(body: str, at_s: float = NOW_S, secret: str = SECRET) -> dict[str, str]:
    """By Slack's own library."""
    stamp = str(int(at_s))
    signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=body)
    assert signature is not None
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature}


def test_a_click_is_an_answer_and_the_second_one_the_same() -> None:
    workspace = Workspace()
    assert [workspace.click().status_code for _ in range(2)] == [200, 200]
    workspace.click("reject")
    workspace.click("reject", "U2")
    answers = workspace.answers()
    first = answers[0]
    assert (first.run_id, first.path, first.verb, first.answered_by) == (
        "r",
        "approve",
        "approve",
        "slack:U1 name-of-U1",
    )
    assert (first.question, first.incarnation) == (2, "0@0")
    assert [each.request_id == first.request_id for each in answers] == [True, True, True, False]


@pytest.mark.parametrize(
    "tamper",
    [
        lambda headers, body: {},
        lambda headers, body: headers | {"X-Slack-Signature": "v0=" + "0" * 64},
        lambda headers, body: headers | {"X-Slack-Request-Timestamp": str(int(NOW_S) + 1)},
        lambda headers, body: signed(body, NOW_S - 301),
        lambda headers, body: signed(body, NOW_S + 301),
        lambda headers, body: signed(body, secret="another"),
        lambda headers, body: signed(body + "&x=y"),
    ],
)
def test_what_slack_has_not_sent_now_is_refused(tamper: Callable[[dict[str, str], str], dict[str, str]]) -> None:
    workspace = Workspace()
    body = urlencode({"payload": json.dumps({"type": "block_actions"})})
    assert workspace.http.post("/slack/team", content=body, headers=tamper(signed(body), body)).status_code == 401
    assert workspace.answers() == []


def test_our_verdict_is_that_of_slacks_library() -> None:
    class Stopped(Clock):
        def now(self) -> float:
            return NOW_S

    workspace = Workspace()
    theirs = SignatureVerifier(SECRET, Stopped())
    body = urlencode({"payload": json.dumps({"type": "view_closed"})})
    for headers in (signed(body), signed(body, NOW_S - 299), signed(body, NOW_S - 301), signed(body, secret="x"), {}):
        ours = workspace.http.post("/slack/team", content=body, headers=headers).status_code == 200
        assert ours is theirs.is_valid_request(body, headers)


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "view_submission"},
        {"actions": []},
        {"actions": [{"action_id": "other:approve", "value": "x"}]},
        {"actions": [{"action_id": "logkeel:open"}]},
        {"actions": [{"action_id": "logkeel:approve", "value": "x"}]},
        {"user": {}},
    ],
)
def test_other_clicks_are_acknowledged_and_mean_nothing(changed: dict[str, Any]) -> None:
    workspace = Workspace()
    assert workspace.click(**changed | {"response_url": "http://127.0.0.1:1/"}).status_code == 200
    assert workspace.answers() == []


def test_who_is_too_late_is_told_who_was_first() -> None:
    with serving() as endpoint:
        workspace = Workspace(endpoint)
        world = workspace.world
        world.happens("question_answered", path="approve", name="reject", actor="bob", reason="no", request_id="q")
        world.run()
        workspace.refresh()
        own = f"http://127.0.0.1:{endpoint.port}/actions/1"
        assert workspace.click(response_url=own).status_code == 200
        workspace.click(response_url="http://127.0.0.1:1/elsewhere")
    assert workspace.answers() == []
    (told,) = endpoint.taken
    assert json.loads(told.body) == {
        "response_type": "ephemeral",
        "replace_original": False,
        "text": "reject by bob: no",
    }


def test_an_old_button_says_so() -> None:
    with serving() as endpoint:
        workspace = Workspace(endpoint)
        workspace.world.cluster.clock.advance(8 * DAY_MS)
        workspace.click(response_url=f"http://127.0.0.1:{endpoint.port}/actions/1")
    assert "the time of this link is over" in json.loads(endpoint.taken[0].body)["text"]
    assert workspace.answers() == []


def test_no_request_without_a_payload() -> None:
    workspace = Workspace()
    for body in ("", "payload=nothing", "payload=%ff", "payload=[]"):
        assert workspace.http.post("/slack/team", content=body, headers=signed(body)).status_code == 400
    assert workspace.http.post("/slack/others", content="").status_code == 404
