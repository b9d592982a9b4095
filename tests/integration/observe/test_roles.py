"""Engine and worker as processes on a real broker: their metrics, their traces and every line of their logs."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from tests.integration.observe.counted import counted
from tests.ports import free_port
from tests.unit.observe.chapter import documented_lines
from tests.unit.observe.receiver import receiving

from logkeel.cli.provisioning import apply_application
from logkeel.cli.settings import Settings
from logkeel.cli.wiring import connect
from logkeel.client import Client
from logkeel.kafka import KafkaLogClient
from logkeel.observe.catalogue import ENGINE, NOTIFIER, WORKER, series

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

ROOT = Path(__file__).parents[3]
WAIT_S = 100.0


def scrape(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[:1] != "#")}


def until(met: Callable[[], bool], log: Path) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while True:
        try:
            if met():
                return
        except (urllib.error.URLError, ConnectionError):
            pass
        assert time.monotonic() < deadline_s, log.read_text()[-4000:]
        time.sleep(0.2)


def names(scraped: dict[str, float]) -> set[str]:
    return {name.partition("{")[0] for name in scraped}


def test_a_run_shows_in_metrics_traces_and_logs_of_both_roles(kafka_bootstrap: str, tmp_path: Path) -> None:
    settings = Settings(bootstrap_servers=kafka_bootstrap, prefix=f"seen{uuid4().hex[:6]}", partitions=2)
    apply_application(connect(settings).admin(), settings, ["default"])
    ports = {"engine": free_port(), "worker": free_port()}
    logs = {role: tmp_path / f"{role}.log" for role in ports}
    with receiving() as receiver:
        environment = {
            **os.environ,
            "LOGKEEL_BOOTSTRAP_SERVERS": kafka_bootstrap,
            "LOGKEEL_PREFIX": settings.prefix,
            "LOGKEEL_STATE_DIR": str(tmp_path / "state"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.port}",
        }
        commands = {"engine": ["engine"], "worker": ["worker", "tests.integration.observe.counted"]}
        processes = []
        for role, command in commands.items():
            with logs[role].open("wb") as written:
                arguments = [sys.executable, "-m", "logkeel.cli.main", *command, "--metrics-port", str(ports[role])]
                processes.append(subprocess.Popen(arguments, cwd=ROOT, env=environment, stdout=written, stderr=written))
        try:
            with Client(KafkaLogClient(kafka_bootstrap), prefix=settings.prefix) as client:
                assert client.start(counted, run_id="r-1", word="hello").result(WAIT_S) == "hello"
            lag = 'logkeel_lag_records{partition="%d",topic="' + settings.names.run_requests + '"}'
            ended = 'logkeel_runs_ended_total{status="succeeded",workflow="counted"}'
            until(lambda: {ended, lag % 0, lag % 1} <= set(scrape(ports["engine"])), logs["engine"])
            engine, worker = scrape(ports["engine"]), scrape(ports["worker"])
        finally:
            for process in processes:
                process.terminate()
            codes = [process.wait(60) for process in processes]
    assert codes == [0, 0]
    assert engine[ended] == 1
    assert engine['logkeel_used_total{step="repeat",unit="tokens",workflow="counted"}'] == 5
    assert engine['logkeel_partitions{state="active"}'] == 2
    assert engine['logkeel_runs_open{status="running",workflow="counted"}'] == 0
    done = 'logkeel_step_executions_total{outcome="succeeded",queue="default",step="repeat",workflow="counted"}'
    assert worker[done] == 1
    # Neither of the two tells what is the other's.
    for role, scraped, metrics in (("engine", engine, ENGINE), ("worker", worker, WORKER)):
        allowed = {name for metric in metrics for name in series(metric)} | {"logkeel_process_info"}
        assert {name for name in names(scraped) if not name.endswith("_created")} <= allowed, role
    (span,) = receiver.spans
    assert (span.name, span.attributes["gen_ai.usage.input_tokens"]) == ("invoke_agent repeat", 3)
    assert span.resource["service.name"] == "logkeel-worker"
    keys = documented_lines()
    events = set()
    for role, log in logs.items():
        for text in log.read_text().splitlines():
            if not text.startswith("{"):
                continue  # prose for people
            line = json.loads(text)
            events.add((role, line["event"]))
            assert set(line) == keys[line["role"], line["event"]], line
            if line["event"] == "step_ended":
                assert line["trace_id"] == span.trace
    assert events >= {
        *(("engine", event) for event in ("engine_started", "partitions_ready", "engine_stopped")),
        *(("worker", event) for event in ("worker_started", "step_started", "step_ended", "worker_stopped")),
    }


def test_engine_and_workers_of_one_process_share_one_door(kafka_bootstrap: str, tmp_path: Path) -> None:
    settings = Settings(bootstrap_servers=kafka_bootstrap, prefix=f"seen{uuid4().hex[:6]}", partitions=2)
    apply_application(connect(settings).admin(), settings, ["default"])
    port, log = free_port(), tmp_path / "log"
    environment = {
        **os.environ,
        "LOGKEEL_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "LOGKEEL_PREFIX": settings.prefix,
        "LOGKEEL_STATE_DIR": str(tmp_path / "state"),
        "LOGKEEL_METRICS_PORT": str(port),
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
    }
    command = [sys.executable, "-m", "logkeel.cli.main", "serve", "tests.integration.observe.counted"]
    with log.open("wb") as written:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=written, stderr=written)
    try:
        with Client(KafkaLogClient(kafka_bootstrap), prefix=settings.prefix) as client:
            assert client.start(counted, run_id="r-1", word="hello").result(WAIT_S) == "hello"
        ended = 'logkeel_runs_ended_total{status="succeeded",workflow="counted"}'
        until(lambda: ended in scrape(port), log)
        scraped = scrape(port)
    finally:
        process.terminate()
        code = process.wait(60)
    assert code == 0
    assert [name for name in scraped if name.startswith('logkeel_process_info{role="serve"')] != []
    done = 'logkeel_step_executions_total{outcome="succeeded",queue="default",step="repeat",workflow="counted"}'
    assert scraped[done] == 1
    # What is in the way of traces is told, and stops nobody.
    assert '"event":"traces_not_sent"' in log.read_text()


def test_a_notifier_tells_of_its_loop(kafka_bootstrap: str, tmp_path: Path) -> None:
    settings = Settings(bootstrap_servers=kafka_bootstrap, prefix=f"seen{uuid4().hex[:6]}", partitions=2)
    apply_application(connect(settings).admin(), settings, ["default"])
    port, log, config = free_port(), tmp_path / "log", tmp_path / "notify.toml"
    config.write_text("")
    options = ["-b", kafka_bootstrap, "--prefix", settings.prefix, "--state-dir", str(tmp_path / "state")]
    command = [sys.executable, "-m", "logkeel.cli.main", "notifier", str(config), *options, "--metrics-port", str(port)]
    with log.open("wb") as written:
        process = subprocess.Popen(command, cwd=ROOT, stdout=written, stderr=written)
    try:
        until(lambda: scrape(port).get('logkeel_partitions{state="active"}') == 2, log)
        scraped = scrape(port)
    finally:
        process.terminate()
        code = process.wait(60)
    assert code == 0, log.read_text()
    allowed = {name for metric in NOTIFIER for name in series(metric)} | {"logkeel_process_info"}
    assert {name for name in names(scraped) if not name.endswith("_created")} <= allowed
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    keys = documented_lines()
    # Of its loop a notifier tells what an engine does.
    for line in lines:
        documented = keys.get((line["role"], line["event"])) or keys["engine", line["event"]]
        assert set(line) == documented, line
    told = {line["event"] for line in lines if line["role"] == "notifier"}
    assert told >= {"notifier_started", "partitions_ready", "notifier_stopped"}
