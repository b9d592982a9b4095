"""Draws the dashboards: `python deploy/observability/grafana/draw.py`. A test compares the files with it."""

import json
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent
WIDTH, HEIGHT = 12, 8
PER_ROW = 24 // WIDTH


class Panel(NamedTuple):
    """One panel; `queries` are (PromQL, legend)."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    description: str = ""


def quantile(share: float, metric: str, by: str) -> str:
    """A quantile of a histogram."""
    return (
        f"histogram_quantile({share}, sum by (le, {by})"
        f' (rate({metric}_bucket{{workflow=~"$workflow"}}[$__rate_interval])))'
    )


def rate(metric: str, by: str, more: str = "") -> str:
    """What a counter gains a second; `more`: further matchers."""
    return f'sum by ({by}) (rate({metric}{{workflow=~"$workflow"{more}}}[$__rate_interval]))'


RUNS = (
    Panel(
        "Runs in flight",
        "short",
        (('sum by (workflow, status) (logkeel_runs_open{workflow=~"$workflow"})', "{{workflow}} {{status}}"),),
        "Runs that have not ended, as the engines that own them know.",
    ),
    Panel(
        "Runs started and ended",
        "cps",
        (
            (
                rate("logkeel_runs_started_total", "workflow"),
                "{{workflow}} started",
            ),
            (
                rate("logkeel_runs_ended_total", "workflow, status"),
                "{{workflow}} {{status}}",
            ),
        ),
    ),
    Panel(
        "Where runs stand",
        "short",
        (
            (
                'sum by (workflow, step, phase) (logkeel_steps_open{workflow=~"$workflow"}) > 0',
                "{{workflow}} {{step}} {{phase}}",
            ),
        ),
        "Open steps. in_doubt waits for a human's decision, suspended for a time, a signal or an answer.",
    ),
    Panel(
        "Oldest open step",
        "s",
        (
            (
                'max by (workflow, step, phase) (logkeel_step_open_age_seconds{workflow=~"$workflow"})',
                "{{workflow}} {{step}} {{phase}}",
            ),
        ),
        "Since its first dispatch. The runs behind it: logkeel run list, or the read model.",
    ),
    Panel(
        "Results of steps",
        "cps",
        (
            (
                rate("logkeel_step_results_total", "workflow, step, outcome"),
                "{{workflow}} {{step}} {{outcome}}",
            ),
            (
                rate("logkeel_step_retries_total", "workflow, step") + " > 0",
                "{{workflow}} {{step}} retried",
            ),
        ),
    ),
    Panel(
        "Executions by outcome",
        "cps",
        (
            (
                rate("logkeel_step_executions_total", "workflow, queue, outcome"),
                "{{workflow}} {{queue}} {{outcome}}",
            ),
        ),
        "As the workers saw them; put_back: the claim was too old, and nothing was called.",
    ),
    Panel(
        "Duration of steps",
        "s",
        (
            (quantile(0.5, "logkeel_step_seconds", "workflow, step"), "{{workflow}} {{step}} p50"),
            (quantile(0.95, "logkeel_step_seconds", "workflow, step"), "{{workflow}} {{step}} p95"),
        ),
    ),
    Panel(
        "From schedule to start",
        "s",
        ((quantile(0.95, "logkeel_schedule_to_start_seconds", "workflow, queue"), "{{workflow}} {{queue}} p95"),),
        "More than a second with free workers means that a queue lacks workers or partitions.",
    ),
    Panel(
        "Journaled calls",
        "s",
        ((quantile(0.95, "logkeel_call_seconds", "workflow, step, outcome"), "{{workflow}} {{step}} {{outcome}} p95"),),
    ),
    Panel(
        "Waiting for humans",
        "short",
        (
            ('sum by (workflow) (logkeel_humans_waited_for{workflow=~"$workflow"})', "{{workflow}} questions"),
            (
                'max by (workflow) (logkeel_human_wait_age_seconds{workflow=~"$workflow"}) / 3600',
                "{{workflow}} oldest, hours",
            ),
        ),
    ),
    Panel(
        "Tokens a minute",
        "short",
        (
            (
                rate("logkeel_used_total", "workflow, step, unit", ', unit=~".*tokens"') + " * 60",
                "{{workflow}} {{step}} {{unit}}",
            ),
        ),
    ),
    Panel(
        "Cost an hour",
        "currencyUSD",
        (
            (
                rate("logkeel_used_total", "workflow, step", ', unit="usd_micros"') + " * 3600 / 1e6",
                "{{workflow}} {{step}}",
            ),
        ),
    ),
)

PLATFORM = (
    Panel(
        "Processes",
        "short",
        (("sum by (role, version) (logkeel_process_info)", "{{role}} {{version}}"),),
    ),
    Panel(
        "Lag",
        "short",
        (("sum by (topic) (max by (topic, partition) (logkeel_lag_records))", "{{topic}}"),),
        "Each process reports all partitions of its groups; they are counted once.",
    ),
    Panel(
        "Transactions",
        "cps",
        (("sum by (instance) (rate(logkeel_transactions_total[$__rate_interval]))", "{{instance}}"),),
    ),
    Panel(
        "Commit",
        "s",
        (
            (
                "histogram_quantile(0.5, sum by (le) (rate(logkeel_commit_seconds_bucket[$__rate_interval])))",
                "p50",
            ),
            (
                "histogram_quantile(0.99, sum by (le) (rate(logkeel_commit_seconds_bucket[$__rate_interval])))",
                "p99",
            ),
        ),
    ),
    Panel(
        "Records a transaction",
        "short",
        (
            (
                "sum(rate(logkeel_batch_records_sum[5m])) / sum(rate(logkeel_batch_records_count[5m]))",
                "mean",
            ),
        ),
    ),
    Panel(
        "Timers",
        "short",
        (
            ("sum(logkeel_timers_pending)", "set"),
            ("sum(rate(logkeel_timers_fired_total[$__rate_interval]))", "fired a second"),
        ),
    ),
    Panel(
        "Partitions",
        "short",
        (("sum by (state) (logkeel_partitions)", "{{state}}"),),
        "An assigned partition that is not active restores, or waits for the log.",
    ),
    Panel(
        "Restore",
        "short",
        (
            ("sum by (instance) (logkeel_restore_remaining_records)", "{{instance}} left"),
            ("sum by (instance) (rate(logkeel_restored_records_total[$__rate_interval]))", "{{instance}} a second"),
        ),
    ),
    Panel(
        "Executions under way",
        "short",
        (("sum by (queue) (logkeel_steps_running)", "{{queue}}"),),
    ),
    Panel(
        "Calls of gateways",
        "cps",
        (
            (
                "sum by (method, route, status) (rate(logkeel_gateway_requests_total[$__rate_interval]))",
                "{{method}} {{route}} {{status}}",
            ),
            ("sum(logkeel_gateway_streams)", "streams"),
        ),
    ),
    Panel(
        "Read models",
        "short",
        (
            ("max by (workflow, status) (logkeel_runs)", "{{workflow}} {{status}}"),
            ("max by (kind) (logkeel_waits)", "waits: {{kind}}"),
        ),
        "Each gateway has the whole; they differ by what they have not read yet.",
    ),
    Panel(
        "Position of read models",
        "short",
        (("sum by (instance, topic) (logkeel_gateway_position)", "{{instance}} {{topic}}"),),
    ),
    Panel(
        "Notifications",
        "cps",
        (
            (
                "sum by (channel, outcome) (rate(logkeel_notifications_total[$__rate_interval]))",
                "{{channel}} {{outcome}}",
            ),
        ),
    ),
    Panel(
        "Stuck runs",
        "short",
        (("sum by (workflow, reason) (logkeel_runs_stuck)", "{{workflow}}: {{reason}}"),),
        "By `logkeel insight`; which ones they are stands on its output topic.",
    ),
    Panel(
        "The last whole window",
        "short",
        (
            ("sum by (workflow, step) (logkeel_window_started)", "{{workflow}} {{step}} started"),
            ("sum by (workflow, step, outcome) (logkeel_window_ended)", "{{workflow}} {{step}} {{outcome}}"),
            ("sum by (workflow, step, unit) (logkeel_window_used)", "{{workflow}} {{step}} {{unit}}"),
            ("sum by (workflow, step) (logkeel_error_clusters)", "{{workflow}} {{step}} shapes of errors"),
        ),
    ),
    Panel(
        "Durations in it",
        "s",
        (
            ("max by (workflow, step) (logkeel_window_mean_seconds)", "{{workflow}} {{step}} mean"),
            ("max by (workflow, step) (logkeel_window_max_seconds)", "{{workflow}} {{step}} longest"),
        ),
    ),
    Panel(
        "What goes wrong",
        "short",
        (
            (
                "sum by (topic) (increase(logkeel_dead_letters_total[$__rate_interval])) > 0",
                "dead letters: {{topic}}",
            ),
            ("sum by (where) (increase(logkeel_loop_errors_total[$__rate_interval])) > 0", "{{where}}"),
        ),
    ),
)


def drawn(panel: Panel, number: int) -> dict[str, Any]:
    """One panel as Grafana has it."""
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": source,
        "gridPos": {
            "x": WIDTH * (number % PER_ROW),
            "y": HEIGHT * (number // PER_ROW),
            "w": WIDTH,
            "h": HEIGHT,
        },
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}},
        "targets": [
            {"refId": chr(ord("A") + place), "expr": expression, "legendFormat": legend, "datasource": source}
            for place, (expression, legend) in enumerate(panel.queries)
        ],
    }


def dashboard(uid: str, title: str, panels: tuple[Panel, ...], *, by_workflow: bool) -> dict[str, Any]:
    """A dashboard as Grafana imports it."""
    variables: list[dict[str, Any]] = [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}
    ]
    if by_workflow:
        variables.append(
            {
                "name": "workflow",
                "type": "query",
                "label": "Workflow",
                "datasource": {"type": "prometheus", "uid": "${datasource}"},
                "query": "label_values(logkeel_runs_started_total, workflow)",
                "includeAll": True,
                "multi": True,
                "allValue": ".*",
                "current": {"text": "All", "value": "$__all"},
                "refresh": 2,
            }
        )
    return {
        "uid": uid,
        "title": title,
        "tags": ["logkeel"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": variables},
        "panels": [drawn(panel, number) for number, panel in enumerate(panels)],
    }


def texts() -> dict[str, str]:
    """The files, by name."""
    boards = {
        "runs.json": dashboard("logkeel-runs", "logkeel: runs", RUNS, by_workflow=True),
        "platform.json": dashboard("logkeel-platform", "logkeel: platform", PLATFORM, by_workflow=False),
    }
    return {name: json.dumps(board, indent=2) + "\n" for name, board in boards.items()}


if __name__ == "__main__":
    for name, text in texts().items():
        (FOLDER / name).write_text(text)
