"""Slack: a question as a message with buttons (Block Kit), changed when it was answered. Implements `Channel`.

What a run says goes into `plain_text`, where Slack makes nothing of it: no mention, no link. A channel of Slack that
has the question already gets what follows as a reply in its thread, so that there is one message with buttons.

Slack knows no idempotency key: a message whose posting was not recorded is posted again, and both have working buttons;
the key stands in the message's metadata.
"""

import http.client
import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import msgspec

from logkeel.approvals.texts import one_line, value_text
from logkeel.notify.cases import ENDING, Delivered, Outcome, Refused, Retry
from logkeel.notify.channels import Message
from logkeel.notify.config import Slack
from logkeel.notify.texts import ending, facts, question_line, subject

TIMEOUT_S: Final = 20.0
ANSWER_BYTES: Final = 1_048_576
ACTION: Final = "logkeel:"
"""Begins the action id of a button; the verb follows."""

OPEN: Final = "open"
"""The action of a button that only leads to the page."""

ON_THE_PAGE: Final = ("edit", "respond")
"""Verbs that need a text: they are said on the page."""

HEADER_CHARACTERS, SECTION_CHARACTERS, BUTTON_CHARACTERS = 150, 2_900, 75
SHOWN_BLOCKS: Final = 20
"""Slack takes 50 blocks; more than this nobody reads there."""

PASSING: Final = frozenset({"ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"})
"""Errors of Slack that may pass; all others are the same tomorrow."""


class SlackChannel:
    """One Slack application, by its bot token."""

    def __init__(self, config: Slack, environment: Mapping[str, str]) -> None:
        self._token = environment[config.token_env].strip()
        self._api = config.api_url if config.api_url.endswith("/") else f"{config.api_url}/"

    def deliver(self, message: Message) -> Outcome:
        """Post, reply, or change the message that is there."""
        channel, _, stamp = message.receipt.partition("/")
        over = message.delivery.kind in ENDING
        if over and stamp:
            return self._call("chat.update", {"channel": channel, "ts": stamp, **content(message)})
        body = {"channel": message.delivery.recipient, "unfurl_links": False, **content(message)}
        body["metadata"] = {"event_type": "logkeel_question", "event_payload": {"key": message.delivery.key}}
        if stamp:
            body |= {"channel": channel, "thread_ts": stamp, "reply_broadcast": True}
        return self._call("chat.postMessage", body, keep=not stamp)

    def _call(self, method: str, body: Mapping[str, Any], *, keep: bool = False) -> Outcome:
        """`keep`: the message that comes of it is the one to change later."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json; charset=utf-8"}
        try:
            status, retry_after, said = post(urljoin(self._api, method), headers, msgspec.json.encode(body))
        except (OSError, http.client.HTTPException) as error:
            return Retry(f"Slack: {type(error).__name__}: {error}")
        if status == 429:
            after_ms = int(retry_after) * 1000 if retry_after and retry_after.isdigit() else None
            return Retry("Slack: too many requests", after_ms=after_ms)
        try:
            answer = msgspec.json.decode(said, type=dict[str, Any])
        except msgspec.DecodeError:
            return Retry(f"Slack: status {status}")
        if answer.get("ok") is True:
            return Delivered(f"{answer.get('channel', '')}/{answer.get('ts', '')}" if keep else "")
        reason = str(answer.get("error", f"status {status}"))
        return Retry(f"Slack: {reason}") if reason in PASSING or status >= 500 else Refused(f"Slack: {reason}")


def content(message: Message) -> dict[str, Any]:
    """Text and blocks. A reply in a thread has no buttons: the message above it has them."""
    case, over = message.case, message.delivery.kind in ENDING
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(question_line(case), HEADER_CHARACTERS)},
        {"type": "section", "fields": [_plain(f"{name}: {value}", 2_000) for name, value in facts(case)]},
    ]
    if over:
        blocks.append({"type": "section", "text": _plain(ending(case), SECTION_CHARACTERS)})
    elif message.receipt:
        return {"text": _escaped(subject(message))}
    else:
        for name, value in list(message.shown.items())[:SHOWN_BLOCKS]:
            text = f"{one_line(name)}\n{value_text(value, SECTION_CHARACTERS - 300)}"
            blocks.append({"type": "section", "text": _plain(text, SECTION_CHARACTERS)})
        buttons = _buttons(message)
        if buttons:
            blocks.append({"type": "actions", "block_id": "logkeel", "elements": buttons})
    return {"text": _escaped(subject(message)), "blocks": blocks}


def post(url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str | None, bytes]:
    """(status, Retry-After, body) of one POST; redirects are not followed.

    Raises OSError, `http.client.HTTPException`.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection = (
        http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=ssl.create_default_context())
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    )
    try:
        connection.request("POST", parts.path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.getheader("retry-after"), answer.read(ANSWER_BYTES)
    finally:
        connection.close()


def _buttons(message: Message) -> list[dict[str, Any]]:
    allow = message.case.question.allow
    buttons = [
        {
            "type": "button",
            "action_id": f"{ACTION}{verb}",
            "value": message.token,
            "text": _plain(verb, BUTTON_CHARACTERS),
        }
        | ({"style": "primary"} if verb == "approve" else {"style": "danger"} if verb == "reject" else {})
        for verb in allow
        if verb not in ON_THE_PAGE and message.token is not None
    ]
    if message.link is not None:
        text = _plain(", ".join((*(verb for verb in allow if verb in ON_THE_PAGE), "with a comment")) + " …", 75)
        buttons.append({"type": "button", "action_id": f"{ACTION}{OPEN}", "url": message.link, "text": text})
    return buttons


def _plain(text: str, limit: int) -> dict[str, Any]:
    cut = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return {"type": "plain_text", "text": cut or " ", "emoji": False}


def _escaped(text: str) -> str:
    """Slack's control characters in a text that it looks into."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
