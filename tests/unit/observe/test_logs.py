"""The lines of engine and worker have the keys that docs/observability.md says."""

import ast
import json
import sys
import threading
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.unit.observe.chapter import documented_lines

from logkeel.cli.logged_loop import LoggedLoop, logged, told
from logkeel.cli.logs import configure_logs
from logkeel.exactly_once import BatchCounts, LoopPorts, LoopSettings, TransactionalLoop, take_slot
from logkeel.records import StartRun
from logkeel.records.topics import TopicNames
from logkeel.runs import RunProcessor
from logkeel.simulation import MemoryStoreDirectory, SimulatedCluster
from logkeel.testing.memory import MemoryApplication
from logkeel.workflow import Fail, State, StepContext, Workflow

ROOT = Path(__file__).parents[3]


class Word(State):
    """One field."""

    word: str | None = None


failing = Workflow("failing", state=Word, returns="word")


@failing.step(writes=lambda s: s.word, timeout="5s")
def say(step: StepContext) -> str:
    step.logger.info("said", length=5)
    return "hello"


@failing.step(writes=lambda s: s.word, timeout="5s")
def fail(word: str) -> str:
    raise Fail("no_such_word", "not in the book")


failing.flow(say, fail)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[StringIO]:
    """What a process writes on standard error."""
    stream = StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logs("debug", json_lines=True)
    # Loggers of modules outlive this test.
    structlog.configure(cache_logger_on_first_use=False)
    yield stream
    structlog.reset_defaults()


def read(written: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_every_step_has_a_line_at_its_start_and_one_at_its_end(written: StringIO) -> None:
    with MemoryApplication([failing]) as application:
        application.send(StartRun(workflow="failing", run_id="r-1"), key="r-1")
        assert application.run_until(lambda: application.outcome("r-1") is not None)
    lines = [line for line in read(written) if line["event"] in ("step_started", "step_ended", "said")]
    assert [(line["event"], line["step"], line.get("outcome"), line.get("error")) for line in lines] == [
        ("step_started", "say", None, None),
        ("said", "say", None, None),
        ("step_ended", "say", "succeeded", None),
        ("step_started", "fail", None, None),
        ("step_ended", "fail", "failed", "no_such_word"),
    ]
    keys = documented_lines()
    for line in lines:
        if line["event"] != "said":
            assert set(line) == keys["worker", line["event"]], line
    assert {line["trace_id"] for line in lines} == {lines[0]["trace_id"]}
    assert {line["run_id"] for line in lines} == {"r-1"}
    assert [line["offset"] for line in lines if line["event"] == "step_started"] == [0, 2]  # 1: a marker


def test_the_life_of_an_engine_is_told(tmp_path: Path, written: StringIO) -> None:
    cluster, names = SimulatedCluster(), TopicNames("memory")
    loop = TransactionalLoop(
        LoopPorts(cluster.client(), cluster.clock, MemoryStoreDirectory()),
        RunProcessor(names, partitions=1),
        LoopSettings(application="memory", group_id="engine", background_threads=False),
        observer=LoggedLoop(),
    )
    stop = threading.Event()
    stop.set()
    lock = take_slot(tmp_path)
    logged(loop, lock)(stop)
    lock.release()
    lines = read(written)
    assert lines[0]["event"] == "engine_started"
    assert (lines[-1]["event"], lines[-1]["error"]) == ("engine_stopped", None)
    observer = LoggedLoop()
    observer.rebalance("assigned", [0, 1])
    observer.rebalance("revoked", [0])
    observer.rebalance("lost", [1])
    observer.resync_started([0])
    observer.resync_finished([0], 17, 0.25)
    observer.poisoned("logkeel.run-requests", 0, 9, ValueError("not Avro"))
    observer.error("fetch", TimeoutError())
    observer.batch_committed(
        BatchCounts(records=1, timers=0, outputs=2, rows=3, poison=0, process_s=0.0, commit_s=0.0041)
    )
    with told("notifier", slot=3):
        LoggedLoop("notifier").error("fetch", TimeoutError())
    keys = documented_lines()
    keys |= {("notifier", event): each for (role, event), each in keys.items() if role == "engine"} | keys
    lines = read(written)
    assert [line["event"] for line in lines[-3:]] == ["notifier_started", "loop_error", "notifier_stopped"]
    assert {line["role"] for line in lines[-3:]} == {"notifier"}
    for line in lines:
        assert set(line) == keys[line["role"], line["event"]], line


def test_what_is_no_json_is_written_as_text(written: StringIO) -> None:
    structlog.get_logger(role="worker").info("said", where=Path("a/b"), who={"Ada"}, share=1e308 * 10)
    (line,) = read(written)
    assert line["where"] == "PosixPath('a/b')"
    assert line["who"] in (["Ada"], "{'Ada'}")
    assert line["share"] is None


def test_each_line_that_the_code_can_write_is_documented() -> None:
    """Literal event names of the roles, read from the code."""
    written = set()
    folders = {"cli": "engine", "steps": "worker", "gateway": "gateway", "readmodel": "gateway", "notify": "notifier"}
    for folder, role in folders.items():
        for path in sorted((ROOT / "processors" / "logkeel" / folder).rglob("*.py")):
            for call in ast.walk(ast.parse(path.read_text())):
                match call:
                    case ast.Call(
                        func=ast.Attribute(
                            value=ast.Name("log") | ast.Attribute(attr="_log"),
                            attr="debug" | "info" | "warning" | "error" | "exception",
                        ),
                        args=[ast.Constant(str(event)), *_],
                    ):
                        written.add((role, event))
                    case _:
                        pass
    assert ("worker", "step_ended") in written
    assert {("engine", "loop_error"), ("gateway", "read_model_caught_up"), ("notifier", "notified")} <= written
    keys = set(documented_lines())
    assert {(role, event) for role, event in written if ("any", event) not in keys} <= keys
