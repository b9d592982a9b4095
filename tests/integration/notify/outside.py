"""The world outside of a notifier: a mail server, a webhook's receiver, Slack; and somebody who answers by each."""

import base64
import datetime as dt
import email
import email.policy
import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope
from slack_sdk.signature import SignatureVerifier
from standardwebhooks import Webhook
from tests.ports import free_port
from tests.unit.notify.servers import Endpoint, serving

SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four b").decode()
ENVIRONMENT = {
    "LOGKEEL_NOTIFY_KEY": "a-key-of-this-test-that-is-long-enough",
    "HOOK_SECRET": SECRET,
    "SLACK_TOKEN": "xoxb-1",
    "SLACK_SECRET": "shh",
}
SLACK_SAYS = (
    200,
    {"content-type": "application/json"},
    json.dumps({"ok": True, "channel": "C1", "ts": "1.5"}).encode(),
)


@dataclass
class Inbox:
    """What the mail server took: (Message-ID, the text)."""

    letters: list[tuple[str, str]] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep it."""
        assert isinstance(envelope.content, bytes)
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = mail.get_body(("plain",))
        assert body is not None
        self.letters.append((str(mail["Message-ID"]), body.get_content()))
        return "250 OK"


@dataclass
class Outside:
    """All of it. `pages`, `gateway`: the ports where the notifier and the gateway serve."""

    inbox: Inbox
    smtp_port: int
    hook: Endpoint
    slack: Endpoint
    pages: int
    gateway: int
    verified: list[dict[str, Any]] = field(default_factory=list)

    def config(self) -> str:
        """The file of a notifier that tells everybody."""
        return f"""
public_url = "http://127.0.0.1:{self.pages}"
[channels.mail]
kind = "email"
server = "127.0.0.1:{self.smtp_port}"
tls = "none"
sender = "logkeel@example.com"
[channels.audit]
kind = "webhook"
url = "http://127.0.0.1:{self.hook.port}/"
secret_env = "HOOK_SECRET"
allow_private = true
[channels.team]
kind = "slack"
token_env = "SLACK_TOKEN"
signing_secret_env = "SLACK_SECRET"
api_url = "http://127.0.0.1:{self.slack.port}/api/"
[routes]
editors = ["mail:ada@example.com", "team:#editors", "audit"]
[inbound.decisions]
secret_env = "HOOK_SECRET"
run_id = "run"
path = "path"
verb = "verb"
"""

    # What came about a run

    def link(self, run_id: str) -> str | None:
        """The link that Ada has got."""
        for _, text in list(self.inbox.letters):
            found = re.search(r"http://\S+/answers/\S+", text)
            if found and f"run: {run_id} " in text:
                return found[0]
        return None

    def button(self, run_id: str) -> str | None:
        """What the buttons in Slack carry."""
        for taken in list(self.slack.taken):
            body = json.loads(taken.body)
            if f"run: {run_id} " in json.dumps(body) and taken.path.endswith("postMessage"):
                values = [each.get("value") for each in body["blocks"][-1].get("elements", ())]
                return next((value for value in values if value), None)
        return None

    def changed(self, run_id: str) -> bool:
        """Whether its message in Slack says how it ended."""
        updates = [each.body for each in list(self.slack.taken) if each.path.endswith("/chat.update")]
        return any(f"run: {run_id} ".encode() in body for body in updates)

    def hooked(self, run_id: str) -> list[dict[str, Any]]:
        """The webhooks about it, verified when they are seen first: that is soon."""
        for each in list(self.hook.taken)[len(self.verified) :]:
            self.verified.append(Webhook(SECRET).verify(each.body, each.headers))
        return [body for body in self.verified if body["data"]["run_id"] == run_id]

    def ids(self, run_id: str) -> dict[str, list[str]]:
        """Keys of what came, as often as it came, by channel."""
        hooks = [each for each in list(self.hook.taken) if json.loads(each.body)["data"]["run_id"] == run_id]
        return {
            "mail": [key for key, text in list(self.inbox.letters) if f"run: {run_id} " in text],
            "audit": [each.headers["webhook-id"] for each in hooks],
        }

    # Answers; False: the notifier, or the gateway, is not there

    def by_mail(self, run_id: str, verb: str) -> bool:
        """Ada opens her link, as a scanner did before her, and presses a button."""
        link = self.link(run_id)
        return link is not None and self._asked("GET", link) == 200 and self._asked("POST", link, {"verb": verb}) < 500

    def by_slack(self, run_id: str, verb: str) -> bool:
        """Somebody presses a button in Slack."""
        click = {
            "type": "block_actions",
            "user": {"id": "U1", "username": "bob"},
            "actions": [{"action_id": f"logkeel:{verb}", "value": self.button(run_id)}],
        }
        body = urlencode({"payload": json.dumps(click)})
        stamp = str(int(time.time()))
        signature = SignatureVerifier(ENVIRONMENT["SLACK_SECRET"]).generate_signature(timestamp=stamp, body=body)
        headers = {"x-slack-request-timestamp": stamp, "x-slack-signature": signature or ""}
        return self._asked("POST", f"http://127.0.0.1:{self.pages}/slack/team", body, headers) == 200

    def by_webhook(self, run_id: str, verb: str) -> bool:
        """A program decides."""
        now = dt.datetime.now(dt.UTC)
        body = json.dumps({"run": run_id, "path": "approve", "verb": verb})
        headers = {
            "webhook-id": f"msg_{run_id}",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(SECRET).sign(f"msg_{run_id}", now, body),
        }
        return self._asked("POST", f"http://127.0.0.1:{self.pages}/webhooks/decisions", body, headers) == 202

    def by_gateway(self, run_id: str, verb: str) -> bool:
        """Somebody answers by HTTP. Where the question is open no more, the history says who has answered it."""
        place = f"http://127.0.0.1:{self.gateway}/v1"
        body = json.dumps({"verb": verb, "answered_by": "carol"})
        headers = {"content-type": "application/json", "idempotency-key": f"carol-{run_id}"}
        told = self._asked("POST", f"{place}/approvals/{run_id}/approve/answer", body, headers)
        return told == 202 or (told == 404 and "question_answered" in self._read(f"{place}/runs/{run_id}/history"))

    @staticmethod
    def _read(url: str) -> str:
        try:
            return httpx.get(url, timeout=10).text
        except httpx.HTTPError:
            return ""

    def _asked(
        self, method: str, url: str, body: str | dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> int:
        assert urlsplit(url).port in (self.pages, self.gateway)
        data, content = (body, None) if isinstance(body, dict) else (None, body)
        try:
            return httpx.request(method, url, data=data, content=content, headers=headers, timeout=10).status_code
        except httpx.HTTPError:
            return 599


@contextmanager
def outside() -> Iterator[Outside]:
    """For as long as the block lasts."""
    with ExitStack() as stack:
        inbox, port = Inbox(), free_port()
        controller = Controller(inbox, hostname="127.0.0.1", port=port, ready_timeout=30)
        controller.start()
        stack.callback(controller.stop)
        hook, slack = stack.enter_context(serving()), stack.enter_context(serving())
        slack.usual = SLACK_SAYS
        yield Outside(inbox, port, hook, slack, free_port(), free_port())
