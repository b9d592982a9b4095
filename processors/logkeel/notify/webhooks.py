"""Standard Webhooks 1.0, outgoing. Implements `Channel`; the schedule of retries is the notifier's.

The answer's status decides, its body is not read: 2xx is delivered, 410 switches the endpoint off, anything else comes
again, redirects too, which are not followed. The connection goes to an address that was looked at (`addresses`), and
environment variables for proxies are not heeded.
"""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from logkeel.errors import ConfigInvalid
from logkeel.notify.addresses import AddressForbidden, allowed_address
from logkeel.notify.cases import Delivered, Kind, Outcome, Refused, Retry
from logkeel.notify.channels import Message
from logkeel.notify.config import Hook, secrets_of
from logkeel.notify.signing import webhook_headers, webhook_key

TIMEOUT_S: Final = 20.0
SHOWN_BYTES: Final = 16 * 1024
"""A larger value is told by its size: a webhook should stay small, and its receiver can ask."""

TYPES: Mapping[Kind, str] = {
    "asked": "question.asked",
    "reminder": "question.reminded",
    "escalated": "question.escalated",
    "delegated": "question.delegated",
    "answered": "question.answered",
    "withdrawn": "question.withdrawn",
}

Resolve = Callable[[str, int], Sequence[str]]


def resolved(host: str, port: int) -> list[str]:
    """The addresses of a name, the best one first. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class HookChannel:
    """One endpoint."""

    def __init__(
        self,
        config: Hook,
        environment: Mapping[str, Any],
        *,
        resolve: Resolve = resolved,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """Raises `ConfigInvalid` for a secret that is none."""
        self._config = config
        self._keys = webhook_keys(environment, config.secret_env)
        parts = urlsplit(config.url)
        self._host = parts.hostname or ""
        self._secure = parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._tls = ssl.create_default_context(cafile=config.ca_file) if self._secure else None
        self._resolve = resolve
        self._now_s = now_s

    def deliver(self, message: Message) -> Outcome:
        """One attempt."""
        return self.post(message.delivery.key, msgspec.json.encode(payload_of(message)))

    def post(self, key: str, body: bytes) -> Outcome:
        """One attempt with any body; `key` is the webhook's id, by which receivers know what comes twice."""
        headers = webhook_headers(self._keys, key, int(self._now_s()), body)
        try:
            addresses = self._resolve(self._host, self._port)
            address = allowed_address(self._host, addresses, allow_private=self._config.allow_private)
            status, retry_after = self._posted(address, headers | {"content-type": "application/json"}, body)
        except AddressForbidden as error:
            return Retry(f"not sent: {error}")
        except (OSError, http.client.HTTPException) as error:
            return Retry(f"{self._host}: {type(error).__name__}: {error}")
        return outcome_of(status, retry_after, now_s=self._now_s())

    def _posted(self, address: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str | None]:
        connection = _Pinned(self._host, self._port, address, self._tls)
        # Each read has its time-out; this bounds them all together, so that a slow endpoint keeps no thread.
        limit = threading.Timer(TIMEOUT_S, connection.cut)
        limit.daemon = True
        limit.start()
        try:
            connection.request("POST", self._path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.getheader("retry-after")
        finally:
            limit.cancel()
            connection.close()


class _Pinned(http.client.HTTPConnection):
    """Connects to an address; name and certificate are those of the host."""

    def __init__(self, host: str, port: int, address: str, tls: ssl.SSLContext | None) -> None:
        super().__init__(host, port, timeout=TIMEOUT_S)
        self.default_port = 80 if tls is None else 443
        self._address = address
        self._tls = tls

    def connect(self) -> None:
        """As the class above, to the address that was looked at."""
        plain = socket.create_connection((self._address, self.port), TIMEOUT_S)
        self.sock = plain
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)

    def cut(self) -> None:
        """End whatever it waits for."""
        if self.sock is not None:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return


def outcome_of(status: int, retry_after: str | None, *, now_s: float) -> Outcome:
    """What a status means, by Standard Webhooks 1.0."""
    if 200 <= status < 300:
        return Delivered()
    if status == 410:
        return Refused("410: the endpoint is gone, and switched off until its address or revision changes", gone=True)
    if 300 <= status < 400:
        return Retry(f"{status}: redirects are not followed; change the address")
    return Retry(f"status {status}", after_ms=_after_ms(retry_after, now_s))


def payload_of(message: Message) -> dict[str, Any]:
    """The body: the type, when it happened, and everything that a receiver needs to act."""
    case, delivery = message.case, message.delivery
    question, answer = case.question, case.answer
    at_ms = question.since_ms if delivery.kind == "asked" else (case.over_ms or delivery.next_ms)
    data: dict[str, Any] = {
        "run_id": case.run_id,
        "incarnation": case.incarnation,
        "workflow": case.workflow,
        "version": case.version,
        "path": question.path,
        "number": question.number,
        "question": question.question,
        "assignee": question.assignee,
        "allow": list(question.allow),
        "asked_at": _iso(question.since_ms),
        "due_at": None if question.due_ms is None else _iso(question.due_ms),
        "shown": {name: _bounded(value) for name, value in message.shown.items()},
    }
    if message.link is not None:
        data["answer_url"] = message.link
    if answer is not None:
        data["answer"] = {
            "verb": answer.verb,
            "by": answer.by,
            "comment": answer.comment,
            "in_time": answer.in_time,
            "at": _iso(answer.at_ms),
        }
    return {"type": TYPES[delivery.kind], "timestamp": _iso(at_ms), "data": data}


def webhook_keys(environment: Mapping[str, Any], name: str) -> list[bytes]:
    """The keys under a variable's name. Raises `ConfigInvalid`."""
    try:
        return [webhook_key(secret) for secret in secrets_of(environment, name)]
    except ValueError as error:
        raise ConfigInvalid(f"the environment's {name}: {error}", name=name) from error


def _bounded(value: Any) -> Any:
    size_bytes = len(msgspec.json.encode(value))
    return value if size_bytes <= SHOWN_BYTES else {"bytes": size_bytes}


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _after_ms(text: str | None, now_s: float) -> int | None:
    """Seconds, or a date (RFC 9110, 10.2.3); None for anything else."""
    if text is None:
        return None
    if text.strip().isdigit():
        return int(text) * 1000
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0, int((at.timestamp() - now_s) * 1000))
