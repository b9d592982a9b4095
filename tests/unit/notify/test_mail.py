"""Mail against a real SMTP server: over TLS or not at all, text and HTML, the same message under the same id."""

import email
import email.policy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword
from msgspec.structs import replace
from tests.ports import free_port
from tests.unit.notify.certificates import self_signed
from tests.unit.notify.messages import CASE, OVER, message

from logkeel.notify.cases import Delivered, Refused, Retry
from logkeel.notify.config import Mail
from logkeel.notify.mail import MailChannel

LINK = "https://approvals.example.com/answers/t.k"


class Inbox:
    """What the server took; `reply` is what it says to the next one."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.reply = "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Envelope, address: str, options: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if address.startswith("nobody"):
            return "550 no such person"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        if self.reply.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            self.letters.append(email.message_from_bytes(content, policy=email.policy.default))
        return self.reply


def known(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"me", b"secret")
    return AuthResult(success=right, handled=False)


@contextmanager
def serving(inbox: Inbox, **options: Any) -> Iterator[int]:
    port = free_port()
    controller = Controller(inbox, hostname="127.0.0.1", port=port, ready_timeout=30, **options)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


Channels = Callable[..., MailChannel]


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def channel(inbox: Inbox, tmp_path: Path) -> Iterator[MailChannel]:
    context, trusted = self_signed(tmp_path)
    options = {"tls_context": context, "require_starttls": True, "authenticator": known, "auth_required": True}
    with serving(inbox, **options) as port:
        config = Mail(
            server=f"localhost:{port}",
            sender="Logkeel <logkeel@example.com>",
            ca_file=trusted,
            user_env="USER",
            password_env="PASSWORD",
        )
        yield MailChannel(config, {"USER": "me", "PASSWORD": "secret"})


def test_a_question_comes_as_text_and_html_with_a_link(channel: MailChannel, inbox: Inbox) -> None:
    assert channel.deliver(message(link=LINK)) == Delivered()
    mail = inbox.letters[0]
    assert (mail["To"], mail["Subject"]) == ("ada@example.com", "Question: May <this> go out?")
    assert mail["Auto-Submitted"] == "auto-generated"
    text, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    plain, marked = text.get_content(), html.get_content()
    assert LINK in plain
    assert LINK in marked
    assert "a <b>fine</b> report" in plain
    assert "a &lt;b&gt;fine&lt;/b&gt; report" in marked
    assert "<b>fine" not in marked
    assert '"count": 3' in plain
    assert "approve, edit, reject" in plain
    assert "answer by: 1970-01-03 00:00 UTC" in plain


def test_the_same_notification_is_the_same_message(channel: MailChannel, inbox: Inbox) -> None:
    for _ in range(2):
        channel.deliver(message())
    channel.deliver(message("answered", case=OVER))
    ids = [str(mail["Message-ID"]) for mail in inbox.letters]
    assert ids[0] == ids[1] == "<ntf_k1@example.com>"
    assert len({str(mail["References"]) for mail in inbox.letters}) == 1


def test_the_end_is_told_without_a_link(channel: MailChannel, inbox: Inbox) -> None:
    channel.deliver(message("answered", case=OVER))
    body = inbox.letters[0].get_body(("plain",))
    assert body is not None
    assert "reject by bob: too long" in body.get_content()
    assert "http" not in body.get_content()


def test_without_pages_the_command_is_told(channel: MailChannel, inbox: Inbox) -> None:
    channel.deliver(message())
    body = inbox.letters[0].get_body(("plain",))
    assert body is not None
    assert "logkeel approvals show r1 --path approve" in body.get_content()


def test_a_question_cannot_write_headers(channel: MailChannel, inbox: Inbox) -> None:
    evil = CASE.question.__class__(
        path="p", kind="human", number=1, since_ms=0, question="hi\r\nBcc: eve@example.com\u202e", allow=("approve",)
    )
    assert channel.deliver(message(case=replace(CASE, question=evil))) == Delivered()
    assert inbox.letters[0]["Bcc"] is None
    assert inbox.letters[0]["Subject"] == "Question: hi Bcc: eve@example.com\\u202e".replace("hi Bcc", "hi\\r Bcc")
    refused = channel.deliver(message(recipient="ada@example.com\r\nBcc: eve@example.com"))
    assert isinstance(refused, Refused)
    assert len(inbox.letters) == 1


@pytest.mark.parametrize(
    ("reply", "expected"),
    [("451 later", Retry("451 later")), ("554 never", Refused("554 never")), ("421 bye", Retry("421 bye"))],
)
def test_a_server_that_says_no(channel: MailChannel, inbox: Inbox, reply: str, expected: object) -> None:
    inbox.reply = reply
    assert channel.deliver(message()) == expected


def test_an_unknown_recipient_is_refused(channel: MailChannel) -> None:
    assert channel.deliver(message(recipient="nobody@example.com")) == Refused("550 no such person")


def test_nothing_is_sent_in_clear_text_or_to_a_stranger(inbox: Inbox, tmp_path: Path) -> None:
    context, trusted = self_signed(tmp_path)
    with serving(inbox) as port:
        open_server = Mail(server=f"127.0.0.1:{port}", sender="a@b.c", ca_file=trusted)
        outcome = MailChannel(open_server, {}).deliver(message())
    assert isinstance(outcome, Retry)
    assert "STARTTLS" in outcome.reason
    with serving(inbox, tls_context=context) as port:
        stranger = Mail(server=f"127.0.0.1:{port}", sender="a@b.c")
        outcome = MailChannel(stranger, {}).deliver(message())
    assert isinstance(outcome, Retry)
    assert "certificate" in outcome.reason
    assert inbox.letters == []


def test_a_server_that_is_away_is_asked_again() -> None:
    with serving(Inbox()) as port:
        pass
    outcome = MailChannel(Mail(server=f"127.0.0.1:{port}", sender="a@b.c", tls="none"), {}).deliver(message())
    assert isinstance(outcome, Retry)
    assert "ConnectionRefusedError" in outcome.reason
