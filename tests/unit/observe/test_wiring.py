"""Which process makes which spans, by the variables of OpenTelemetry alone."""

import pytest
from tests.unit.observe.receiver import receiving

from logkeel.cli.observing import tracing_calls, watching
from logkeel.cli.settings import Settings
from logkeel.simulation import SimulatedCluster


@pytest.fixture(autouse=True)
def _provider_of_the_process_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be set once in a process, and tests come and go."""
    monkeypatch.setattr("logkeel.observe.tracing.share", lambda provider: None)


@pytest.mark.parametrize("role", ["engine", "worker", "serve", "notifier"])
def test_nothing_makes_spans_unless_it_is_asked_for(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER"):
        monkeypatch.delenv(name, raising=False)
    with watching(SimulatedCluster().client(), Settings(), role) as watch:
        assert (watch.traces, watch.calls, watch.notifications) == (None, None, None)
    with tracing_calls("gateway") as tracer:
        assert tracer is None


@pytest.mark.parametrize("role", ["engine", "worker", "serve", "notifier"])
def test_all_but_engines_make_spans_where_they_are(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{receiver.port}")
        with watching(SimulatedCluster().client(), Settings(), role) as watch:
            found = {watch.traces is not None, watch.calls is not None, watch.notifications is not None}
            assert found == {role != "engine"}


def test_a_gateway_alone_says_who_it_is_and_sends_what_it_has_when_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{receiver.port}")
        with tracing_calls("gateway") as tracer:
            assert tracer is not None
            tracer.begin(None).end(method="POST", route="/v1/runs", status=500, run_id="r", request_id="q")
            tracer.begin(None)  # of a call that asked for nothing: never ended, never sent
        (span,) = receiver.spans
        assert (span.name, span.failed, span.resource["service.name"]) == ("POST /v1/runs", True, "logkeel-gateway")
