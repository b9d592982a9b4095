"""Traces through a gateway: the caller's context, a span for each call that asked for something, the run below it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.semconv.attributes import http_attributes
from starlette.testclient import TestClient
from tests.unit.gateway.site import Site, site
from tests.unit.observe.receiver import Got, Receiver, receiving
from tests.unit.runs.scripts import flow_of, plan_of, step_block

from logkeel.gateway.tracing import caller_of_headers
from logkeel.observe.tracing import CallTracing, make_provider
from logkeel.records.tracing import parse_traceparent

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADERS = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "vendor=1"}
BODY = {"workflow": "work", "input": {"topic": "kafka"}, "run_id": "r"}
SERVER = 2


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as it:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{it.port}")
        yield it


class Traced:
    """A site whose gateway sends spans; they have come once it is asked for them."""

    def __init__(self, made: Site, client: TestClient, receiver: Receiver) -> None:
        self.made, self.client, self.receiver = made, client, receiver

    def spans(self) -> list[Got]:
        """All that were sent."""
        assert provider_of[0].force_flush()
        return self.receiver.spans

    def headers(self) -> dict[str, str]:
        """Of the youngest request on the log."""
        *_, record = self.made.engine.records(self.made.engine.names.run_requests)
        return {name: value.decode() for name, value in record.headers}


provider_of = [make_provider({"service.name": "logkeel-gateway"})]


@pytest.fixture
def traced(tmp_path: Path, receiver: Receiver) -> Iterator[Traced]:
    provider_of[0] = make_provider({"service.name": "logkeel-gateway"})
    with site(tmp_path, tracer=CallTracing(provider_of[0])) as (made, client):
        made.engine.publish(plan_of(flow_of(step_block("a"))))
        yield Traced(made, client, receiver)
    provider_of[0].shutdown()


def test_a_start_is_a_span_below_the_caller_and_above_the_run(traced: Traced) -> None:
    traced.client.post("/v1/runs", json=BODY, headers=HEADERS)
    (span,) = traced.spans()
    assert (span.name, span.kind, span.trace, span.parent) == ("POST /v1/runs", SERVER, TRACE, CALLER)
    assert span.resource["service.name"] == "logkeel-gateway"
    assert span.attributes["logkeel.run.id"] == span.attributes["session.id"] == "r"
    assert span.attributes["http.response.status_code"] == 202
    assert traced.headers() == {"traceparent": f"00-{TRACE}-{span.span}-01", "tracestate": "vendor=1"}
    traced.made.settle()
    (command,) = traced.made.engine.commands()
    assert command.trace is not None
    assert command.trace.traceparent == f"00-{TRACE}-{span.span}-01"


def test_without_a_caller_the_run_is_in_the_trace_of_the_call(traced: Traced) -> None:
    traced.client.post("/v1/runs", json=BODY)
    (span,) = traced.spans()
    place = parse_traceparent(traced.headers()["traceparent"])
    assert place is not None
    assert (place.trace_id, place.span_id, span.parent) == (span.trace, span.span, "")


def test_each_call_that_asked_is_one_span_and_no_other_is_any(traced: Traced) -> None:
    client = traced.client
    client.post("/v1/runs", json=BODY)
    traced.made.settle()
    client.get("/v1/runs/r")
    client.post("/v1/runs", json={"workflow": 7})
    client.post("/v1/runs/nobody/cancel", json={})
    client.post("/v1/runs/r/resolve", json={"path": "a", "decision": "retry"})
    for verb, body in (("signals", {"name": "s"}), ("pause", {}), ("resume", {}), ("fork", {}), ("cancel", {})):
        assert client.post(f"/v1/runs/r/{verb}", json=body, headers=HEADERS).status_code == 202
        traced.made.settle()
    spans = traced.spans()
    verbs = ("signals", "pause", "resume", "fork", "cancel")
    assert [span.name for span in spans] == ["POST /v1/runs", *(f"POST /v1/runs/{{run_id}}/{verb}" for verb in verbs)]
    assert {(span.trace, span.parent) for span in spans[1:]} == {(TRACE, CALLER)}
    assert len({span.span for span in spans}) == len(spans)
    assert len({span.attributes["logkeel.request.id"] for span in spans}) == len(spans)
    assert not any(span.failed for span in spans)


def test_a_call_that_is_sent_again_is_a_call_of_its_own_and_one_request(traced: Traced) -> None:
    for _ in range(2):
        traced.client.post("/v1/runs", json=BODY, headers={**HEADERS, "Idempotency-Key": "k"})
    first, second = traced.spans()
    assert first.span != second.span
    assert first.attributes["logkeel.request.id"] == second.attributes["logkeel.request.id"] == "k"
    traced.made.settle()
    (command,) = traced.made.engine.commands()
    assert command.trace is not None
    assert command.trace.traceparent == f"00-{TRACE}-{first.span}-01"


def test_a_request_that_nobody_acknowledges_is_a_span_that_has_failed(
    traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logkeel.client.client.SEND_TIMEOUT_S", 0.1)
    traced.client.post("/v1/runs", json=BODY)
    traced.made.settle()
    traced.made.engine.cluster.stop()
    answer = traced.client.post("/v1/runs/r/cancel", json={})
    assert answer.status_code == 503
    assert [span.failed for span in traced.spans()] == [False, True]


def test_a_caller_who_keeps_no_trace_is_believed(traced: Traced) -> None:
    dropped = {"traceparent": f"00-{TRACE}-{CALLER}-00"}
    traced.client.post("/v1/runs", json=BODY, headers=dropped)
    assert traced.spans() == []
    place = parse_traceparent(traced.headers()["traceparent"])
    assert place is not None
    assert (place.trace_id, place.sampled) == (TRACE, False)


def test_attribute_names_are_those_that_were_published(traced: Traced) -> None:
    traced.client.post("/v1/runs", json=BODY)
    (span,) = traced.spans()
    published = {value for name, value in vars(http_attributes).items() if name.isupper() and isinstance(value, str)}
    assert {name for name in span.attributes if not name.startswith("logkeel.")} <= published | {"session.id"}
    assert not any("kafka" in str(value) for value in span.attributes.values()), "no content"


def test_where_no_traces_are_sent_the_callers_context_goes_through(tmp_path: Path) -> None:
    with site(tmp_path) as (made, client):
        made.engine.publish(plan_of(flow_of(step_block("a"))))
        client.post("/v1/runs", json=BODY, headers=HEADERS)
        client.post("/v1/runs", json={**BODY, "run_id": "s"})
        made.settle()
        commands = {command.identity.run_id: command for command in made.engine.commands()}
        assert commands["r"].trace is not None
        assert commands["r"].trace.traceparent == HEADERS["traceparent"]
        assert commands["r"].trace.tracestate == "vendor=1"
        assert commands["s"].trace is None


@pytest.mark.parametrize("header", ["", "00-0-0-01", "nonsense", f"ff-{TRACE}-{CALLER}-01"])
def test_what_is_no_context_is_left_out(header: str) -> None:
    assert caller_of_headers([(b"traceparent", header.encode()), (b"tracestate", b"vendor=1")]) is None
    long = [(b"traceparent", HEADERS["traceparent"].encode()), (b"tracestate", b"x" * 513)]
    kept = caller_of_headers(long)
    assert kept is not None
    assert kept.tracestate is None
