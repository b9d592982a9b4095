"""E-mail by SMTP (RFC 5321) over TLS: text and HTML, one message per notification. Implements `Channel`.

A repeated notification has the same Message-ID, so that mail programs show it once. A server that says no for good
(5xx) is not asked again; anything else is tried again by the schedule.
"""

import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Final

from logkeel.approvals.rendering import render
from logkeel.approvals.texts import value_text
from logkeel.notify.cases import ENDING, Outcome, Refused, Retry
from logkeel.notify.cases import Delivered as Sent
from logkeel.notify.channels import Message
from logkeel.notify.config import Mail, server_of
from logkeel.notify.texts import ending, facts, question_line, subject

TIMEOUT_S: Final = 20.0


class MailChannel:
    """One SMTP server. A connection per message: notifications are rare, and servers drop idle ones."""

    def __init__(self, config: Mail, environment: Mapping[str, str]) -> None:
        self._config = config
        self._host, self._port = server_of(config.server)
        self._user = environment[config.user_env] if config.user_env else None
        self._password = environment[config.password_env] if config.password_env else ""
        self._tls = None if config.tls == "none" else ssl.create_default_context(cafile=config.ca_file)

    def deliver(self, message: Message) -> Outcome:
        """Hand it to the server."""
        try:
            mail = letter(message, self._config.sender)
        except ValueError as error:
            return Refused(f"this is no address: {error}")
        try:
            with self._connected() as server:
                server.send_message(mail)
        except smtplib.SMTPResponseException as error:
            return _refused(error.smtp_code, error.smtp_error)
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            return _refused(code, said)
        except (smtplib.SMTPException, OSError) as error:
            return Retry(f"{self._config.server}: {type(error).__name__}: {error}")
        return Sent()

    def _connected(self) -> smtplib.SMTP:
        if self._config.tls == "implicit":
            server: smtplib.SMTP = smtplib.SMTP_SSL(self._host, self._port, timeout=TIMEOUT_S, context=self._tls)
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=TIMEOUT_S)
        try:
            if self._config.tls == "starttls":
                # Raises if the server offers none: nothing is ever sent in clear text instead.
                server.starttls(context=self._tls)
            if self._user is not None:
                server.login(self._user, self._password)
        except BaseException:
            server.close()
            raise
        return server


def letter(message: Message, sender: str) -> EmailMessage:
    """The mail. Raises ValueError for an address that is none."""
    case, delivery = message.case, message.delivery
    domain = parseaddr(sender)[1].rpartition("@")[2]
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = delivery.recipient
    mail["Subject"] = subject(message)
    mail["Message-ID"] = f"<{delivery.key}@{domain}>"
    thread = f"<{case.case_id}@{domain}>"
    mail["References"] = mail["In-Reply-To"] = thread
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Logkeel-Run"] = case.case_id
    mail["Idempotency-Key"] = delivery.key
    over = delivery.kind in ENDING
    values = {
        "lead": subject(message).partition(":")[0],
        "question": question_line(case),
        "facts": facts(case),
        "shown": [(name, value_text(value)) for name, value in message.shown.items()],
        "ending": ending(case) if over else "",
        "link": message.link,
        "verbs": ", ".join(case.question.allow),
        "command": "" if over or message.link else f"logkeel approvals show {case.run_id} --path {case.question.path}",
    }
    mail.set_content(render("logkeel.notify", "mail.txt", **values))
    mail.add_alternative(render("logkeel.notify", "mail.html", **values), subtype="html")
    return mail


def _refused(code: int, said: bytes | str) -> Outcome:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    reason = f"{code} {text}"
    return Refused(reason) if 500 <= code < 600 else Retry(reason)
