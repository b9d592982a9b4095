"""Every metric there is, as data: its name, kind, labels, unit and meaning. Pure.

Labels are bounded by code and configuration (workflows, steps, queues, topics, partitions), never by traffic: no run
id, no name of a call, no error code of an author. `docs/observability.md`, the dashboards and the alert rules are
compared with this list by a test.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]

LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""A commit takes some 4 ms; one of more than 10 s has timed out."""

DURATION_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""From a look-up to a long call of a model."""

BATCH_RECORDS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One metric; `name` as PromQL knows it, a counter's with `_total`. `buckets`: upper bounds of a histogram."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_STEP = ("workflow", "step")

PROCESS_INFO = Metric("logkeel_process_info", "gauge", "1: what this process is", ("role", "version"))
LAG = Metric(
    "logkeel_lag_records",
    "gauge",
    "Records between the committed offset of the group that reads a partition and its end",
    ("topic", "partition"),
)
DEAD_LETTERS = Metric("logkeel_dead_letters_total", "counter", "Records that went to the dead letters", ("topic",))

RUNS_OPEN = Metric(
    "logkeel_runs_open",
    "gauge",
    "Runs that have not ended; status is running, paused or waiting_for_human",
    ("workflow", "status"),
)
RUNS_STARTED = Metric("logkeel_runs_started_total", "counter", "Runs that were accepted", ("workflow",))
RUNS_ENDED = Metric("logkeel_runs_ended_total", "counter", "Runs that have ended", ("workflow", "status"))
STEPS_OPEN = Metric(
    "logkeel_steps_open",
    "gauge",
    "Steps that have not ended; phase is dispatched, started, waiting, in_doubt or suspended",
    ("workflow", "step", "phase"),
)
STEP_AGE = Metric(
    "logkeel_step_open_age_seconds",
    "gauge",
    "Since the first dispatch of the oldest open step of that name and phase",
    ("workflow", "step", "phase"),
)
HUMANS = Metric("logkeel_humans_waited_for", "gauge", "Questions that nobody has answered", ("workflow",))
HUMAN_AGE = Metric(
    "logkeel_human_wait_age_seconds", "gauge", "For how long the oldest open question has waited", ("workflow",)
)
STEP_RESULTS = Metric(
    "logkeel_step_results_total",
    "counter",
    "Results of step executions that counted; outcome is succeeded, failed or in_doubt",
    ("workflow", "step", "outcome"),
)
RETRIES = Metric("logkeel_step_retries_total", "counter", "Further attempts that were scheduled", ("workflow", "step"))
USED = Metric(
    "logkeel_used_total",
    "counter",
    "What steps have used, as settled: tokens, usd_micros and other units of budgets",
    ("workflow", "step", "unit"),
)
TRANSACTIONS = Metric("logkeel_transactions_total", "counter", "Transactions that were committed")
COMMIT = Metric(
    "logkeel_commit_seconds", "histogram", "From the begin of a transaction to its rows in the store", (), LATENCY_S
)
BATCH = Metric("logkeel_batch_records", "histogram", "Input records per transaction", (), BATCH_RECORDS)
TIMERS_FIRED = Metric("logkeel_timers_fired_total", "counter", "Timers and wake-ups that fired")
TIMERS = Metric("logkeel_timers_pending", "gauge", "Timers that are set")
PARTITIONS = Metric("logkeel_partitions", "gauge", "Partitions; state is assigned or active", ("state",))
RESTORE = Metric(
    "logkeel_restore_remaining_records", "gauge", "Changelog offsets that are left to replay", ("partition",)
)
RESTORED = Metric("logkeel_restored_records_total", "counter", "Changelog records that were replayed")
LOOP_ERRORS = Metric(
    "logkeel_loop_errors_total",
    "counter",
    "Errors the loop reacts to by itself; they matter if they last",
    ("where",),
)

RUNNING = Metric("logkeel_steps_running", "gauge", "Executions under way in this worker", ("queue",))
EXECUTIONS = Metric(
    "logkeel_step_executions_total",
    "counter",
    "Executions that have ended; outcome as in the line step_ended of the log",
    ("workflow", "step", "queue", "outcome"),
)
STEP_SECONDS = Metric(
    "logkeel_step_seconds", "histogram", "How long executions took", ("workflow", "step", "queue"), DURATION_S
)
TO_START = Metric(
    "logkeel_schedule_to_start_seconds",
    "histogram",
    "From the dispatch of a command by the engine's clock to its start by the worker's",
    ("workflow", "queue"),
    DURATION_S,
)
CALL_SECONDS = Metric(
    "logkeel_call_seconds",
    "histogram",
    "How long tries of journaled calls took; replayed ones do not count",
    ("workflow", "step", "outcome"),
    DURATION_S,
)

NOTIFICATIONS = Metric(
    "logkeel_notifications_total",
    "counter",
    "Attempts to tell somebody; outcome is delivered, retry or refused",
    ("channel", "outcome"),
)

RUNS_STUCK = Metric(
    "logkeel_runs_stuck", "gauge", "Runs that get no further, as of the last sweep", ("workflow", "reason")
)
WINDOW_STARTED = Metric(
    "logkeel_window_started", "gauge", "Runs (step empty) or attempts begun in the last whole window", _STEP
)
WINDOW_ENDED = Metric(
    "logkeel_window_ended", "gauge", "Runs or attempts that ended in the last whole window", (*_STEP, "outcome")
)
WINDOW_MEAN = Metric("logkeel_window_mean_seconds", "gauge", "How long those that ended took, on average", _STEP)
WINDOW_MAX = Metric("logkeel_window_max_seconds", "gauge", "How long the longest of those that ended took", _STEP)
WINDOW_USED = Metric("logkeel_window_used", "gauge", "Tokens, cost and other units used in it", (*_STEP, "unit"))
ERROR_CLUSTERS = Metric("logkeel_error_clusters", "gauge", "Different shapes of errors that are kept", _STEP)
INSIGHT_FIGURES = {
    RUNS_STUCK: "stuck",
    WINDOW_STARTED: "started",
    WINDOW_ENDED: "ended",
    WINDOW_MEAN: "mean_s",
    WINDOW_MAX: "max_s",
    WINDOW_USED: "used",
    ERROR_CLUSTERS: "clusters",
}
"""The names of insight's figures."""

GATEWAY = (
    Metric("logkeel_runs", "gauge", "Runs by status, as the read model knows them", ("workflow", "status")),
    Metric("logkeel_waits", "gauge", "What runs wait for, as the read model knows it", ("kind",)),
    Metric("logkeel_gateway_position", "gauge", "Up to where the read model reflects the log", ("topic", "partition")),
    Metric("logkeel_gateway_streams", "gauge", "Streams of events that somebody listens to"),
    Metric("logkeel_gateway_requests_total", "counter", "Calls that were answered", ("method", "route", "status")),
)
"""A gateway writes them itself, beside its other answers (`logkeel.gateway.health`)."""

ENGINE = (
    *(RUNS_OPEN, RUNS_STARTED, RUNS_ENDED, STEPS_OPEN, STEP_AGE, HUMANS, HUMAN_AGE, STEP_RESULTS, RETRIES, USED),
    *(TRANSACTIONS, COMMIT, BATCH, TIMERS_FIRED, TIMERS, PARTITIONS, RESTORE, RESTORED, LOOP_ERRORS, DEAD_LETTERS, LAG),
)
WORKER = (RUNNING, EXECUTIONS, STEP_SECONDS, TO_START, CALL_SECONDS, DEAD_LETTERS, LAG)
LOOP = (TRANSACTIONS, COMMIT, BATCH, TIMERS_FIRED, PARTITIONS, RESTORE, RESTORED, LOOP_ERRORS, DEAD_LETTERS, LAG)
NOTIFIER = (*LOOP, NOTIFICATIONS)
INSIGHT = (*INSIGHT_FIGURES, LAG)
METRICS = tuple(dict.fromkeys((PROCESS_INFO, *ENGINE, *WORKER, *NOTIFIER, *INSIGHT, *GATEWAY)))


def series(metric: Metric) -> frozenset[str]:
    """The names of its series, as PromQL writes them."""
    if metric.kind != "histogram":
        return frozenset({metric.name})
    return frozenset(metric.name + ending for ending in ("_bucket", "_count", "_sum"))
