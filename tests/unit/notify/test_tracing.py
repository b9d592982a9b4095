"""Spans of notifications: one for each attempt, in the trace of the run, the same when it is made twice."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.ledger.crashing import CrashNow, CrashPlan
from tests.unit.notify.world import World
from tests.unit.observe.receiver import Got, Receiver, receiving

from logkeel.notify import rows
from logkeel.notify.cases import Refused, Retry
from logkeel.notify.processor import KEEP_MS
from logkeel.observe.tracing import NotificationTracing, make_provider
from logkeel.records import TraceContext
from logkeel.records.tracing import trace_id_of

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
STARTED_BY = TraceContext(traceparent=f"00-{TRACE}-{CALLER}-01")
CLIENT = 3


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as it:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{it.port}")
        yield it


@contextmanager
def traced(world: World) -> Iterator[None]:
    """Notifiers that send spans, which have come when the block has ended."""
    provider = make_provider({"service.name": "logkeel-notifier"})
    world.tracer = NotificationTracing(provider)
    yield
    provider.shutdown()


def by_channel(receiver: Receiver) -> dict[str, Got]:
    return {span.attributes["logkeel.notification.channel"]: span for span in receiver.spans}


def test_each_notification_is_a_span_in_the_trace_of_who_started_the_run(receiver: Receiver) -> None:
    world = World()
    with traced(world):
        world.happens("run_started", trace=STARTED_BY)
        world.asks()
        world.run()
    assert {(span.name, span.kind, span.trace, span.parent) for span in receiver.spans} == {
        ("notify asked", CLIENT, TRACE, "")
    }
    assert {span.links for span in receiver.spans} == {((TRACE, CALLER),)}
    spans = by_channel(receiver)
    assert spans.keys() == {"mail", "hook"}
    mail = spans["mail"].attributes
    assert (mail["session.id"], mail["logkeel.step.path"], mail["logkeel.notification.attempt"]) == ("r", "approve", 1)
    assert mail["logkeel.notification.outcome"] == "delivered"
    assert {span.attributes["logkeel.notification.key"] for span in receiver.spans} == world.postbox.keys()
    assert spans["mail"].resource["service.name"] == "logkeel-notifier"
    assert not any("ada" in repr(span) or "report" in repr(span) for span in receiver.spans), "nobody and nothing told"


def test_a_run_that_nobody_traces_has_the_trace_of_its_executions(receiver: Receiver) -> None:
    world = World()
    with traced(world):
        world.happens("run_started")
        world.asks()
        world.run()
    assert {(span.trace, span.links) for span in receiver.spans} == {(trace_id_of("r", "0@0", None), ())}


def test_what_does_not_get_through_is_a_failed_span_and_its_repetition_another_one(receiver: Receiver) -> None:
    world = World()
    world.postbox.answers = [Retry("the secret is 42"), Refused("no such address")]
    with traced(world):
        world.asks()
        world.run(turns=400, step_ms=1_000)
    outcomes = sorted(
        (span.attributes["logkeel.notification.attempt"], span.attributes["logkeel.notification.outcome"], span.failed)
        for span in receiver.spans
    )
    assert outcomes == [(1, "refused", True), (1, "retry", True), (2, "delivered", False)]
    assert len({span.span for span in receiver.spans}) == 3
    assert not any("secret" in repr(span) for span in receiver.spans)


class DiesAfterAMessage(CrashPlan):
    """The first message gets through, and before anybody has noted that the notifier dies."""

    def call(self, name: str, function: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if name != "deliver" or self.dead:
            return super().call(name, function, arguments, named)
        function(*arguments, **named)
        self.dead = True
        raise CrashNow(name)


def test_who_sends_it_again_after_a_crash_is_the_same_span(receiver: Receiver) -> None:
    world = World()
    with traced(world):
        world.asks()
        assert not world.run(DiesAfterAMessage())
        assert world.run()
    spans = [span.span for span in receiver.spans]
    assert len(world.postbox.got) == len(spans) == 3, "one of the two was told twice"
    assert len(set(spans)) == len(world.postbox.keys()) == 2


def test_the_trace_of_a_run_is_forgotten_with_it() -> None:
    world = World()
    world.happens("run_started", trace=STARTED_BY)
    world.happens("run_completed", status="succeeded")
    world.run()
    store = world.stores.open("notifier", 0)
    assert [data for _, data in store.scan(*rows.below(rows.TRACE))] == [STARTED_BY.traceparent.encode()]
    store.close()
    world.run(turns=60, step_ms=KEEP_MS // 20)
    store = world.stores.open("notifier", 0)
    assert list(store.scan(*rows.below(rows.TRACE))) == []
    store.close()
