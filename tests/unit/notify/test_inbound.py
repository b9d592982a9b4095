"""Webhooks in: signed as the standard's own library does it, once per id, as signals and answers."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook
from starlette.testclient import TestClient

from logkeel.client import Client
from logkeel.log import TopicPlan, read_topic
from logkeel.notify.config import Inbound
from logkeel.notify.inbound import InboundHooks
from logkeel.notify.pages import application
from logkeel.records import AnswerQuestion, SignalRun
from logkeel.records.topics import TopicNames
from logkeel.simulation import SimulatedCluster
from logkeel.wire import decode_as

SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four b").decode()
OLD = "whsec_" + base64.b64encode(b"the former one, being changed").decode()
KINDS: tuple[type[SignalRun | AnswerQuestion], ...] = (SignalRun, AnswerQuestion)
NOW = datetime(2026, 11, 28, tzinfo=UTC)
HOOKS = {
    "payments": Inbound(
        secret_env="P",
        run_id="data.order.id",
        signal="paid",
        payload="data",
        correlation="data.invoice",
        routing_key="data.customer",
        types=("invoice.paid",),
    ),
    "decisions": Inbound(secret_env="P", run_id="run", path="where.0", verb="verdict", by="who", payload="."),
}
PAID: dict[str, Any] = {"type": "invoice.paid", "data": {"order": {"id": 17}, "invoice": "i-1", "customer": "c-1"}}
DECIDED: dict[str, Any] = {"run": "r1", "where": ["approve"], "verdict": "edit", "who": "ada"}


class Site:
    """The endpoints, in front of an application's topics."""

    def __init__(self) -> None:
        self.log = SimulatedCluster().client()
        names = TopicNames("sim")
        self.log.admin().create_topics([TopicPlan(names.run_requests, 1), TopicPlan(names.run_completions, 1)])
        client = Client(self.log, prefix="sim")
        hooks = InboundHooks(HOOKS, {"P": f"{SECRET} {OLD}"}, client, now_s=NOW.timestamp)
        self.http = TestClient(application(hooks.routes(), lambda: True))

    def post(self, name: str, body: Any, *, secret: str = SECRET, at: datetime = NOW, **headers: Any) -> Any:
        """Signed by the library; `headers` instead of its own."""
        data = body if isinstance(body, str) else json.dumps(body)
        signed = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(secret).sign("msg_1", at, data),
        }
        return self.http.post(f"/webhooks/{name}", content=data, headers=signed | headers)

    def requests(self) -> list[SignalRun | AnswerQuestion]:
        """What was sent to the engine."""
        records = read_topic(self.log, "sim.run-requests")
        return [decode_as(record.value or b"", *KINDS) for record in records]


def test_a_webhook_is_a_signal_and_its_repetition_the_same_one() -> None:
    site = Site()
    assert [site.post("payments", PAID).status_code for _ in range(2)] == [202, 202]
    first, second = site.requests()
    assert isinstance(first, SignalRun)
    assert (first.run_id, first.name, first.correlation, first.routing_key) == ("17", "paid", "i-1", "c-1")
    assert first.payload is not None
    assert json.loads(first.payload.data or b"") == PAID["data"]
    assert first.request_id == second.request_id == "webhook-payments-msg_1"


def test_a_webhook_is_an_answer() -> None:
    site = Site()
    site.post("decisions", DECIDED, secret=OLD)
    (answer,) = site.requests()
    assert isinstance(answer, AnswerQuestion)
    assert (answer.run_id, answer.path, answer.verb, answer.answered_by) == ("r1", "approve", "edit", "ada")
    assert answer.payload is not None
    assert json.loads(answer.payload.data or b"") == DECIDED


@pytest.mark.parametrize(
    ("headers", "more"),
    [
        ({"webhook-signature": "v1,AAAA"}, {}),
        ({"webhook-signature": "v1a,AAAA v2,BBBB"}, {}),
        ({"webhook-signature": "v1,\xe4"}, {}),
        ({"webhook-id": ""}, {}),
        ({"webhook-id": "msg.1"}, {}),
        ({"webhook-id": "other"}, {}),
        ({"webhook-timestamp": "soon"}, {}),
        ({"webhook-timestamp": "1" * 400}, {}),
        ({}, {"at": NOW - timedelta(seconds=301)}),
        ({}, {"at": NOW + timedelta(seconds=301)}),
        ({}, {"secret": "whsec_" + base64.b64encode(b"the secret of somebody else").decode()}),
    ],
)
def test_what_is_not_signed_now_by_the_sender_is_refused(headers: dict[str, str], more: dict[str, Any]) -> None:
    site = Site()
    changed: dict[str, Any] = {name: value.encode("latin-1") for name, value in headers.items()} | more
    assert site.post("payments", PAID, **changed).status_code == 401
    assert site.requests() == []


def test_a_body_that_was_changed_is_refused() -> None:
    site = Site()
    signature = Webhook(SECRET).sign("msg_1", NOW, json.dumps(PAID))
    other = PAID | {"data": PAID["data"] | {"order": {"id": 18}}}
    changed: dict[str, Any] = {"webhook-signature": signature}
    assert site.post("payments", other, **changed).status_code == 401
    assert site.requests() == []


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("others", PAID, 404),
        ("payments", PAID | {"type": "invoice.made"}, 200),
        ("payments", [], 200),
        ("payments", "no json", 400),
        ("payments", PAID | {"data": {}}, 400),
        ("payments", PAID | {"data": PAID["data"] | {"order": {"id": True}}}, 400),
        ("decisions", DECIDED | {"where": []}, 400),
        ("decisions", [], 400),
    ],
)
def test_what_cannot_be_mapped_is_told_so(name: str, body: Any, status: int) -> None:
    site = Site()
    assert site.post(name, body).status_code == status
    assert site.requests() == []
