"""Puts metrics and traces beside a process: nothing unless a port, or the variables of OpenTelemetry, ask for it."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Protocol

import structlog

from logkeel.cli.logged_loop import LoggedLoop, Role
from logkeel.cli.output import say
from logkeel.cli.settings import Settings
from logkeel.exactly_once import Observer, SeveralObservers
from logkeel.kafka import SystemClock
from logkeel.log import LogClient

if TYPE_CHECKING:
    from logkeel.exactly_once import TransactionalLoop
    from logkeel.insight.application import Insight
    from logkeel.observe.engine import EngineMetrics
    from logkeel.observe.registry import Labels, Metrics
    from logkeel.observe.tracing import CallTracing, NotificationTracing, TracerProvider
    from logkeel.observe.worker import StepMetrics
    from logkeel.runs import RunSettings
    from logkeel.steps import StepObserver


log = structlog.get_logger("logkeel.process")


class Runs(Protocol):
    """A worker that says how many executions are under way."""

    @property
    def running(self) -> int: ...


class Counted(Protocol):
    """A notifier that tells what becomes of deliveries: channel and outcome; and of each attempt, for its span."""

    def counted_by(self, counted: Callable[[str, str], None]) -> None: ...

    def traced_by(self, tracer: "NotificationTracing") -> None: ...


@dataclass(slots=True)
class Watch:
    """Who looks on in this process. Without metrics and traces it is the log alone."""

    settings: Settings
    client: LogClient
    metrics: "Metrics | None" = None
    traces: "Callable[[str], StepObserver] | None" = None
    calls: "CallTracing | None" = None
    notifications: "NotificationTracing | None" = None
    run_settings: "RunSettings | None" = None
    _closing: ExitStack = field(default_factory=ExitStack)
    _of_queue: "dict[str, StepMetrics]" = field(default_factory=dict)
    engine: "EngineMetrics | None" = None

    def of_loop(self, role: Role = "engine") -> Observer:
        """What the loop of an engine or notifier tells; `engine` hears of its runs, too."""
        if self.metrics is None:
            return LoggedLoop(role)
        from logkeel.observe.engine import EngineMetrics

        self.engine = EngineMetrics(self.metrics, SystemClock().now_ms)
        return SeveralObservers((LoggedLoop(role), self.engine))

    def of_steps(self, queue: str) -> "tuple[StepObserver, ...]":
        """Whom the worker of this queue tells, beside the log."""
        found: list[StepObserver] = []
        if self.traces is not None:
            found.append(self.traces(self.settings.names.worker_group(queue)))
        if self.metrics is not None:
            from logkeel.observe.worker import StepMetrics

            self._of_queue[queue] = StepMetrics(self.metrics, queue)
            found.append(self._of_queue[queue])
        return tuple(found)

    def loop_made(self, loop: "TransactionalLoop") -> None:
        """The engine is there: its timers and its lag can be asked for."""
        if self.metrics is None:
            return
        from logkeel.observe import catalogue

        self.metrics.read(catalogue.TIMERS, lambda: {(): loop.pending_timers})
        names = self.settings.names
        self._watch_lag(names.engine_group, names.run_requests, names.step_results)

    def notifier_made(self, notifier: Counted) -> None:
        """As `loop_made`; what becomes of deliveries is counted, and each attempt is a span."""
        if self.notifications is not None:
            notifier.traced_by(self.notifications)
        if self.metrics is None:
            return
        from logkeel.observe import catalogue

        metrics, names = self.metrics, self.settings.names
        notifier.counted_by(lambda channel, outcome: metrics.add(catalogue.NOTIFICATIONS, 1, (channel, outcome)))
        self._watch_lag(names.notifier_group, names.run_events)

    def insight_made(self, insight: "Insight") -> None:
        """As `loop_made`: the figures of its last sweep."""
        if self.metrics is None:
            return
        from logkeel.observe import catalogue

        for metric, name in catalogue.INSIGHT_FIGURES.items():
            self.metrics.read(metric, partial(_figure, insight, name))
        names = self.settings.names
        self._watch_lag(names.insight_group, names.run_events, names.run_completions)

    def worker_made(self, worker: Runs, queue: str) -> None:
        """As `loop_made`."""
        if self.metrics is None:
            return
        self._of_queue[queue].counting(lambda: worker.running)
        names = self.settings.names
        self._watch_lag(names.worker_group(queue), names.step_commands(queue))

    def _watch_lag(self, group: str, *topics: str) -> None:
        """How far this group is behind on these topics, while metrics are served."""
        from logkeel.observe.lag import LagWatch

        if self.metrics is not None:
            lag = LagWatch(self.metrics, self.client.admin(), group, topics)
            self._closing.callback(lag.close)
            lag.start()


def _figure(insight: "Insight", name: str) -> "Mapping[Labels, float]":
    found: Mapping[Labels, float] = getattr(insight.figures, name)
    return found


@contextmanager
def watching(client: LogClient, settings: Settings, role: str) -> Iterator[Watch]:
    """Serve metrics and send traces while the block runs, if they are asked for. Raises `ConfigInvalid`."""
    watch = Watch(settings, client)
    with ExitStack() as stack:
        if settings.metrics_port:
            from logkeel.observe import catalogue
            from logkeel.observe.registry import Metrics, serve

            watch.metrics = Metrics()
            watch.metrics.set(catalogue.PROCESS_INFO, 1, (role, version("logkeel")))
            server = serve(watch.metrics, settings.metrics_host, settings.metrics_port)
            stack.callback(server.close)
            say(f"metrics on http://{settings.metrics_host}:{server.port}/metrics")
        stack.enter_context(watch._closing)
        _trace(watch, role)
        yield watch


@contextmanager
def tracing_calls(role: str) -> "Iterator[CallTracing | None]":
    """What makes the spans of a gateway alone; None if no traces are asked for, or they cannot be sent."""
    with ExitStack() as stack:
        provider = _provider(role, stack) if _asked(role) else None
        if provider is None:
            yield None
            return
        from logkeel.observe.tracing import CallTracing

        yield CallTracing(provider)


def _trace(watch: Watch, role: str) -> None:
    """Send traces if the variables of OpenTelemetry say so. What is in the way of that stops nobody from working."""
    if not _asked(role):
        return
    from logkeel.runs import RunSettings  # A worker starts without the engine's rooms.

    watch.run_settings = RunSettings(traces_causes=True)
    if role in ("engine", "insight"):
        return  # They make no spans.
    provider = _provider(role, watch._closing)
    if provider is None:
        return
    from logkeel.observe.tracing import CallTracing, NotificationTracing, StepTracing

    watch.notifications = NotificationTracing(provider)
    watch.traces = lambda group: StepTracing(provider, group)
    watch.calls = CallTracing(provider)


def _asked(role: str) -> bool:
    """Whether traces are to be sent."""
    from logkeel.observe.switches import wanted

    asked = wanted(os.environ)
    if asked.refusal is not None:
        log.warning("traces_not_sent", role=role, reason=asked.refusal)
    return asked.traces


def _provider(role: str, closing: ExitStack) -> "TracerProvider | None":
    """What sends spans until `closing` is closed; None if its packages are missing."""
    try:
        from logkeel.observe.tracing import make_provider, share
    except ImportError as error:
        reason = f"{error.name} is not installed: pip install 'logkeel[otel]', or set OTEL_SDK_DISABLED=true"
        log.warning("traces_not_sent", role=role, reason=reason)
        return None
    provider = make_provider({"service.name": f"logkeel-{role}", "service.version": version("logkeel")})
    share(provider)
    closing.callback(provider.shutdown)
    return provider
