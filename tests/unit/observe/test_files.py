"""Dashboards, rules and documentation are built on the metrics that exist, and Prometheus' own tool takes them."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unit.observe.application import WatchedApplication, desk
from tests.unit.observe.chapter import TEXT
from tests.unit.observe.test_engine_metrics import start

from logkeel.observe.catalogue import ENGINE, GATEWAY, INSIGHT, METRICS, NOTIFIER, WORKER, Metric, series

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "observability"
RULES = FOLDER / "prometheus" / "rules.yaml"
METRIC_OF = {name: metric for metric in METRICS for name in series(metric)}
TARGET_LABELS = {"instance", "job", "le"}
PROMTOOL = shutil.which("promtool", path=f"{Path(sys.executable).parent}") or shutil.which("promtool")

needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not here: make promtool")


def queries() -> list[str]:
    """Every PromQL of dashboards and documentation, with Grafana's variables filled in."""
    found = re.findall(r"```promql\n(.+?)\n```", TEXT, re.DOTALL)
    for path in sorted((FOLDER / "grafana").glob("*.json")):
        panels = json.loads(path.read_text())["panels"]
        found += [target["expr"] for panel in panels for target in panel["targets"]]
    return [text.replace("$__rate_interval", "5m").replace("$workflow", ".*") for text in found]


def promtool(*arguments: str) -> str:
    done = subprocess.run([PROMTOOL or "", *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_name_and_label_that_is_asked_for_exists() -> None:
    texts = [*queries(), RULES.read_text(), (FOLDER / "prometheus" / "rules_test.yaml").read_text()]
    asked = re.findall(r"(logkeel_\w+)(?:\{([^}]*)\})?", "\n".join(texts))
    assert {name for name, _ in asked} <= set(METRIC_OF)
    for name, matchers in asked:
        labels = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", matchers))
        assert labels <= {*METRIC_OF[name].labels, *TARGET_LABELS}, (name, matchers)
    shown = {METRIC_OF[name] for query in queries() for name in re.findall(r"logkeel_\w+", query)}
    assert set(METRICS) - shown == set(), "a metric that no dashboard shows"


def test_dashboards_are_what_the_drawing_draws() -> None:
    path = FOLDER / "grafana" / "draw.py"
    spec = importlib.util.spec_from_file_location("draw", path)
    assert spec is not None
    assert spec.loader is not None
    draw: Any = importlib.util.module_from_spec(spec)
    sys.modules["draw"] = draw
    spec.loader.exec_module(draw)
    for name, text in draw.texts().items():
        assert (path.parent / name).read_text() == text, f"python {path.relative_to(ROOT)}"
        board = json.loads(text)
        assert [panel["id"] for panel in board["panels"]] == list(range(1, len(board["panels"]) + 1))
        assert all(target["legendFormat"] for panel in board["panels"] for target in panel["targets"])


ROLES = {"engine": ENGINE, "worker": WORKER, "notifier": NOTIFIER, "insight": INSIGHT, "gateway": GATEWAY}


def of_roles(metric: Metric) -> str:
    return " ".join(role for role, metrics in ROLES.items() if metric in metrics) or "all"


def test_the_documentation_lists_every_metric_as_it_is() -> None:
    rows = []
    for each in METRICS:
        labels = " ".join(f"`{label}`" for label in each.labels)
        rows.append(f"| `{each.name}` | {each.kind} | {labels} | {of_roles(each)} | {each.help} |")
    assert re.findall(r"^\| `logkeel_.+$", TEXT, re.MULTILINE) == rows


def test_a_gateway_writes_the_metrics_that_the_catalogue_says() -> None:
    text = (ROOT / "processors" / "logkeel" / "gateway" / "health.py").read_text()
    assert dict(re.findall(r"# TYPE (\w+) (\w+)", text)) == {metric.name: metric.kind for metric in GATEWAY}
    for metric in GATEWAY:
        labels = [re.findall(r'(\w+)="', found) for found in re.findall(rf"{metric.name}{{{{(.+?)}}}}", text)]
        assert labels == ([list(metric.labels)] if metric.labels else []), metric.name


@needs_promtool
def test_rules_do_what_their_tests_say() -> None:
    assert "SUCCESS" in promtool("check", "rules", str(RULES))
    assert "SUCCESS" in promtool("test", "rules", str(FOLDER / "prometheus" / "rules_test.yaml"))


@needs_promtool
def test_every_query_is_promql(tmp_path: Path) -> None:
    rules = [{"record": f"query:{number}", "expr": text} for number, text in enumerate(queries())]
    path = tmp_path / "rules.yaml"
    path.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))  # JSON is YAML
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(path))


@needs_promtool
def test_the_four_questions_are_answered_by_what_an_engine_serves(tmp_path: Path) -> None:
    with WatchedApplication([desk]) as application:
        for number in range(2):
            application.send(start(f"r-{number}", "a", "torn"), key=f"r-{number}")
        humans = 'logkeel_humans_waited_for{workflow="desk"}'
        assert application.run_until(lambda: application.values().get(humans, 0) == 2)
        application.cluster.advance(3_600_000.0)
        application.send(start("r-2", "late"), key="r-2")
        working = 'logkeel_steps_open{phase="dispatched",step="find",workflow="desk"}'
        assert application.run_until(lambda: application.values().get(working, 0) == 1 or _turn(application))
        scraped = application.values()
    questions = re.findall(r"```promql\n(.+?)\n```", TEXT, re.DOTALL)
    ages = {name: value for name, value in scraped.items() if name.startswith("logkeel_step_open_age_seconds{")}
    expected = [
        {'{workflow="desk", step="find", phase="dispatched"}': 1.0},
        {name.removeprefix("logkeel_step_open_age_seconds"): value for name, value in ages.items()},
        {'{workflow="desk", step="go_right"}': 2.0, '{workflow="desk", step="read"}': 2.0},
        {'{workflow="desk", status="running"}': 1.0, '{workflow="desk", status="waiting_for_human"}': 2.0},
    ]
    asked = [
        {
            "expr": question,
            "eval_time": "1h",
            "exp_samples": [{"labels": labels, "value": value} for labels, value in answers.items()],
        }
        for question, answers in zip(questions, expected, strict=True)
    ]
    # Counters come from nothing within the hour that one question looks back.
    given = [
        {"series": name, "values": f"0 0 {value}" if "_total" in name else f"{value}x2"}
        for name, value in scraped.items()
    ]
    tests = [{"interval": "30m", "input_series": given, "promql_expr_test": asked}]
    written = {"evaluation_interval": "30m", "tests": tests}
    path = tmp_path / "test.yaml"
    path.write_text(json.dumps(written))
    assert "SUCCESS" in promtool("test", "rules", str(path))


def _turn(application: WatchedApplication) -> bool:
    """The engine alone, so that a command stays with nobody for a moment."""
    application._engine.turn()
    return application.values().get('logkeel_steps_open{phase="dispatched",step="find",workflow="desk"}', 0) == 1
