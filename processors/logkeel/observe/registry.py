"""Prometheus: the only importer of prometheus_client. Makes the metrics of `catalogue` and serves them.

Values that are known at any time (gauges of where runs stand) are asked for when somebody scrapes; counters and
histograms are moved by those who count. Any thread may do both.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from logkeel.errors import ConfigInvalid
from logkeel.observe.catalogue import Metric

Labels = tuple[str, ...]
Reading = Callable[[], Mapping[Labels, float]]
"""Values of a gauge by its labels, as they are now; on the thread of whoever scrapes."""


class _Readings(Collector):
    def __init__(self, readings: list[tuple[Metric, Reading]]) -> None:
        self._readings = readings

    def collect(self) -> Iterator[GaugeMetricFamily]:
        found: dict[Metric, dict[Labels, float]] = {}
        for metric, reading in self._readings:
            found.setdefault(metric, {}).update(reading())
        for metric, values in found.items():
            family = GaugeMetricFamily(metric.name, metric.help, labels=list(metric.labels))
            for labels, value in values.items():
                family.add_metric(list(labels), value)
            yield family

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return []


@dataclass(slots=True)
class Metrics:
    """The metrics of a process. Those that are never moved do not show."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    _made: dict[Metric, Counter | Gauge | Histogram] = field(default_factory=dict)
    _children: dict[tuple[Metric, Labels], Counter | Gauge | Histogram] = field(default_factory=dict)
    _readings: list[tuple[Metric, Reading]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.registry.register(_Readings(self._readings))

    def add(self, metric: Metric, amount: float = 1.0, labels: Labels = ()) -> None:
        """Move a counter or gauge on."""
        child = self._child(metric, labels)
        if isinstance(child, Counter | Gauge):
            child.inc(amount)

    def set(self, metric: Metric, value: float, labels: Labels = ()) -> None:
        """Set a gauge."""
        child = self._child(metric, labels)
        if isinstance(child, Gauge):
            child.set(value)

    def observe(self, metric: Metric, value: float, labels: Labels = ()) -> None:
        """Count a value in a histogram."""
        child = self._child(metric, labels)
        if isinstance(child, Histogram):
            child.observe(value)

    def read(self, metric: Metric, reading: Reading) -> None:
        """From now on, ask for this gauge when somebody scrapes. Several readings of one gauge are joined."""
        self._readings.append((metric, reading))

    def text(self) -> bytes:
        """All of them in Prometheus' text format."""
        return generate_latest(self.registry)

    def _child(self, metric: Metric, labels: Labels) -> Counter | Gauge | Histogram:
        child = self._children.get((metric, labels))
        if child is None:
            made = self._made.get(metric) or self._make(metric)
            child = self._children[metric, labels] = made.labels(*labels) if labels else made
        return child

    def _make(self, metric: Metric) -> Counter | Gauge | Histogram:
        if metric.kind == "histogram":
            it: Counter | Gauge | Histogram = Histogram(
                metric.name, metric.help, metric.labels, registry=self.registry, buckets=metric.buckets
            )
        elif metric.kind == "counter":
            it = Counter(metric.name, metric.help, metric.labels, registry=self.registry)
        else:
            it = Gauge(metric.name, metric.help, metric.labels, registry=self.registry)
        self._made[metric] = it
        return it


@dataclass(frozen=True, slots=True)
class MetricsServer:
    """Answers GET on a thread of its own."""

    server: WSGIServer
    thread: threading.Thread

    @property
    def port(self) -> int:
        """Where it listens; another than asked for if that was 0."""
        return int(self.server.server_port)

    def close(self) -> None:
        """Stop; idempotent."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5.0)


def serve(metrics: Metrics, host: str, port: int) -> MetricsServer:
    """Serve the metrics from now on. Raises `ConfigInvalid` if nobody can listen there."""
    try:
        server, thread = start_http_server(port, addr=host, registry=metrics.registry)
    except OSError as error:
        raise ConfigInvalid(
            f"metrics cannot be served on {host}:{port}: {error.strerror or error}; give --metrics-port another number"
        ) from error
    return MetricsServer(server, thread)
