"""Webhooks out: signed as the standard's own library expects, to public addresses only, redirects not followed."""

import base64
import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from standardwebhooks import Webhook
from tests.unit.notify.certificates import self_signed
from tests.unit.notify.messages import CASE, OVER, message
from tests.unit.notify.servers import Endpoint, serving

from logkeel.errors import ConfigInvalid
from logkeel.notify import webhooks
from logkeel.notify.addresses import is_public
from logkeel.notify.cases import KINDS, Delivered, Refused, Retry
from logkeel.notify.config import Hook
from logkeel.notify.webhooks import TYPES, HookChannel, outcome_of, payload_of

SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four b").decode()
OTHER = "whsec_" + base64.b64encode(b"another one, as long as that").decode()


def channel(endpoint: Endpoint, secrets: str = SECRET, **options: Any) -> HookChannel:
    config = Hook(url=f"http://127.0.0.1:{endpoint.port}/hook?a=b", secret_env="S", allow_private=True)
    return HookChannel(config, {"S": secrets}, **options)


def test_the_standards_own_library_verifies_what_is_sent() -> None:
    with serving() as endpoint:
        assert channel(endpoint, f"{SECRET} {OTHER}").deliver(message(link="https://x/y")) == Delivered()
    taken = endpoint.taken[0]
    assert taken.path == "/hook?a=b"
    assert taken.headers["host"] == f"127.0.0.1:{endpoint.port}"
    body, same = (Webhook(secret).verify(taken.body, taken.headers) for secret in (SECRET, OTHER))
    assert body == same
    assert body["type"] == "question.asked"
    assert body["timestamp"] == "1970-01-01T00:00:01.000Z"
    data = body["data"]
    assert (data["run_id"], data["path"], data["allow"]) == ("r1", "approve", ["approve", "edit", "reject"])
    assert data["shown"] == {"report": "a <b>fine</b> report", "pages": {"count": 3}}
    assert data["answer_url"] == "https://x/y"


def test_the_same_notification_has_the_same_id_and_the_time_of_the_attempt() -> None:
    times = iter((1_000.5, 2_000.5))
    with serving() as endpoint:
        one = channel(endpoint, now_s=lambda: next(times))
        endpoint.answers = [(500, {}, b"")]
        assert one.deliver(message()) == Retry("status 500")
        # The time is asked for twice in an attempt: to sign it, and to read Retry-After.
        times = iter((3_000.5, 4_000.5))
        assert one.deliver(message()) == Delivered()
    assert [each.headers["webhook-id"] for each in endpoint.taken] == ["ntf_k1", "ntf_k1"]
    assert [each.headers["webhook-timestamp"] for each in endpoint.taken] == ["1000", "3000"]
    assert endpoint.taken[0].body == endpoint.taken[1].body


def test_what_a_status_means() -> None:
    assert outcome_of(204, None, now_s=0) == Delivered()
    gone = outcome_of(410, None, now_s=0)
    assert isinstance(gone, Refused)
    assert gone.gone
    assert outcome_of(404, None, now_s=0) == Retry("status 404")
    assert outcome_of(503, "7", now_s=0) == Retry("status 503", after_ms=7_000)
    assert outcome_of(429, "Thu, 01 Jan 1970 00:01:00 GMT", now_s=20) == Retry("status 429", after_ms=40_000)
    assert outcome_of(429, "soon", now_s=0) == Retry("status 429")


def test_a_redirect_is_not_followed() -> None:
    with serving() as other, serving() as endpoint:
        endpoint.answers = [(307, {"location": f"http://127.0.0.1:{other.port}/"}, b"")]
        outcome = channel(endpoint).deliver(message())
    assert isinstance(outcome, Retry)
    assert "redirect" in outcome.reason
    assert other.taken == []


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.1.2.3"],
        ["169.254.169.254"],
        ["192.168.0.1"],
        ["100.64.0.1"],
        ["0.0.0.1"],
        ["224.0.0.1"],
        ["::1"],
        ["fe80::1%eth0"],
        ["fd00::1"],
        ["::ffff:10.0.0.1"],
        ["64:ff9b::a9fe:a9fe"],
        ["2002:a00:1::"],
        ["93.184.216.34", "10.0.0.1"],
        ["nonsense"],
        [],
    ],
)
def test_no_address_inside_of_a_network_is_ever_connected_to(addresses: list[str]) -> None:
    with serving() as endpoint:
        config = Hook(url=f"https://hook.example.com:{endpoint.port}/", secret_env="S")
        guarded = HookChannel(config, {"S": SECRET}, resolve=lambda host, port: addresses)
        outcome = guarded.deliver(message())
    assert isinstance(outcome, Retry)
    assert outcome.reason.startswith("not sent: hook.example.com")
    assert endpoint.taken == []


def test_public_addresses_are_public() -> None:
    assert all(is_public(each) for each in ("93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"))


def test_the_connection_goes_where_was_looked_and_the_certificate_is_the_hosts(tmp_path: Path) -> None:
    context, trusted = self_signed(tmp_path, "hook.example.com")
    looked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        looked.append(host)
        return ["127.0.0.1"]

    with serving(context) as endpoint:
        url = f"https://hook.example.com:{endpoint.port}/"
        config = Hook(url=url, secret_env="S", allow_private=True, ca_file=trusted)
        assert HookChannel(config, {"S": SECRET}, resolve=resolve).deliver(message()) == Delivered()
        assert endpoint.taken[0].headers["host"] == f"hook.example.com:{endpoint.port}"
        stranger = replace(config, url=url.replace("hook.", "other."))
        refused = HookChannel(stranger, {"S": SECRET}, resolve=resolve).deliver(message())
        distrusted = HookChannel(replace(config, ca_file=None), {"S": SECRET}, resolve=resolve).deliver(message())
    assert looked == ["hook.example.com", "other.example.com", "hook.example.com"]
    for outcome in (refused, distrusted):
        assert isinstance(outcome, Retry)
        assert "SSLCertVerificationError" in outcome.reason
    assert len(endpoint.taken) == 1


def test_an_endpoint_that_never_answers_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(webhooks, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = Hook(url=f"http://127.0.0.1:{silent.getsockname()[1]}/", secret_env="S", allow_private=True)
        outcome = HookChannel(config, {"S": SECRET}).deliver(message())
    assert isinstance(outcome, Retry)
    assert threading.active_count() < 50


def test_proxies_of_the_environment_are_not_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with serving() as endpoint:
        assert channel(endpoint).deliver(message()) == Delivered()


def test_the_end_says_how() -> None:
    body = payload_of(message("answered", case=OVER))
    assert (body["type"], body["timestamp"]) == ("question.answered", "1970-01-01T00:00:05.000Z")
    assert body["data"]["answer"] == {
        "verb": "reject",
        "by": "bob",
        "comment": "too long",
        "in_time": True,
        "at": "1970-01-01T00:00:00.005Z",
    }
    json.dumps(body)
    assert set(TYPES) == set(KINDS)


def test_a_large_value_is_told_by_its_size() -> None:
    large = message()
    body = payload_of(type(large)(case=CASE, delivery=large.delivery, shown={"report": "x" * 20_000}))
    assert body["data"]["shown"] == {"report": {"bytes": 20_002}}


@pytest.mark.parametrize("secret", ["abc", "whsec_!!!", "whsec_" + base64.b64encode(b"short").decode()])
def test_a_secret_that_is_none_is_named(secret: str) -> None:
    with pytest.raises(ConfigInvalid, match="the environment's S"):
        HookChannel(Hook(url="https://x.example.com", secret_env="S"), {"S": secret})


def test_signatures_equal_those_of_the_library() -> None:
    from logkeel.notify.signing import webhook_headers, webhook_key

    at = datetime.fromtimestamp(1_700_000_000, UTC)
    for body in ("{}", '{"ä": "\\u20ac"}', "x" * 1_000):
        ours = webhook_headers([webhook_key(SECRET)], "msg_1", 1_700_000_000, body.encode())
        assert ours["webhook-signature"] == Webhook(SECRET).sign("msg_1", at, body)
