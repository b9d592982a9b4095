"""What a scrape sees: names, labels and the door; and the lag of a group."""

import urllib.error
import urllib.request
from typing import get_args

import pytest

from logkeel.errors import ConfigInvalid
from logkeel.log import OutputRecord, TopicPartition, TopicPlan
from logkeel.observe import catalogue
from logkeel.observe.lag import LagWatch, lag_of
from logkeel.observe.registry import Metrics, serve
from logkeel.simulation import SimulatedCluster

BOUNDED = {
    *("workflow", "step", "queue", "role", "version", "topic", "partition", "status", "phase", "outcome", "state"),
    *("where", "unit", "channel", "kind", "method", "route", "reason"),
}


def test_labels_are_bounded_and_names_follow_the_conventions() -> None:
    names = [metric.name for metric in catalogue.METRICS]
    assert len(set(names)) == len(names)
    for metric in catalogue.METRICS:
        assert metric.kind in get_args(catalogue.Kind)
        assert set(metric.labels) <= BOUNDED, metric
        assert metric.name.startswith("logkeel_")
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric
        assert (metric.kind == "histogram") == bool(metric.buckets), metric


def test_metrics_are_served_where_they_are_said_to_be_and_nowhere_else() -> None:
    metrics = Metrics()
    metrics.add(catalogue.RUNS_STARTED, 2, ("research",))
    metrics.read(catalogue.TIMERS, lambda: {(): 7})
    server = serve(metrics, "127.0.0.1", 0)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        assert 'logkeel_runs_started_total{workflow="research"} 2.0' in text
        assert "logkeel_timers_pending 7.0" in text
        with pytest.raises(ConfigInvalid, match="--metrics-port"):
            serve(metrics, "127.0.0.1", server.port)
    finally:
        server.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=1)


def test_lag_is_what_lies_behind_the_committed_offset() -> None:
    cluster = SimulatedCluster()
    client = cluster.client()
    admin = client.admin()
    admin.create_topics([TopicPlan("commands", 2, 1)])
    producer = client.producer()
    for _ in range(3):
        producer.produce(OutputRecord("commands", None, b"x", 0))
    producer.flush(1.0)
    assert lag_of(admin, "workers", ["commands", "no-such-topic"]) == {}
    admin.set_group_offsets("workers", {TopicPartition("commands", n): (0, "") for n in range(2)})
    assert lag_of(admin, "workers", ["commands"]) == {
        TopicPartition("commands", 0): 3,
        TopicPartition("commands", 1): 0,
    }
    metrics = Metrics()
    watch = LagWatch(metrics, admin, "workers", ["commands"])
    watch.ask()
    assert 'logkeel_lag_records{partition="0",topic="commands"} 3.0' in metrics.text().decode()
