"""`logkeel insight` is killed -9 while it works: no count, sum or maximum is wrong, no stuck run is missed or made up.

`INSIGHT_KILLS=20` for the record; two by default.
"""

import os
import random
import time
from typing import Any

import msgspec
import pytest
from tests.integration.insight.events import write
from tests.integration.insight.process import PARTITIONS, Process
from tests.unit.insight.events import event

from logkeel.cli.settings import Settings
from logkeel.cli.wiring import connect
from logkeel.insight.windows import window_start
from logkeel.log import LogClient, TopicPartition
from logkeel.log.reading import read_topic
from logkeel.records import ErrorInfo, RunEvent

KILLS = int(os.environ.get("INSIGHT_KILLS", "2"))
pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(180 + 60 * KILLS)]

RUNS_A_ROUND = 40
WINDOW_MS = 60_000
ERROR = ErrorInfo(code="http", message="no answer after 12 s", kind="retryable")


def lives(index: int, at_ms: int) -> tuple[list[RunEvent], str | None]:
    """The events of one run that began at `at_ms`, and why it is stuck, if it is."""
    run_id, took_ms = f"r{index}", 100 + 13 * (index % 500)
    step = {"path": "0/ask", "step": "ask", "attempt": 1}
    begun = [event(run_id, 1, "run_started", at_ms), event(run_id, 2, "step_dispatched", at_ms, **step)]
    match index % 10:
        case 3:
            return begun, "worker"
        case 4:
            return [begun[0], event(run_id, 2, "limit_asked", at_ms, path="0/ask", name="api")], "limit"
        case 5:
            return [begun[0], event(run_id, 2, "wait_started", at_ms, path="0/z", name="sleep", due_ms=at_ms)], "timer"
        case _:
            pass
    end_ms = at_ms + took_ms
    failed = index % 10 == 6
    more: dict[str, Any] = {"started_at_ms": at_ms, "amounts": {"tokens": index % 7}}
    done = event(run_id, 3, "step_failed" if failed else "step_succeeded", end_ms, **step, **more)
    if failed:
        done = msgspec.structs.replace(done, error=ERROR)
    return [*begun, done, event(run_id, 4, "run_completed", end_ms, status="failed" if failed else "succeeded")], None


class Expected:
    """What the events amount to, counted once each and without any of insight's code but the windows' beginnings."""

    def __init__(self) -> None:
        self.tallies: dict[bytes, dict[str, Any]] = {}
        self.failures = {0: 0, 1: 0}
        self.stuck: dict[str, str] = {}

    def add(self, partition: int, events: list[RunEvent], reason: str | None) -> None:
        for each in events:
            if each.kind in ("limit_asked", "wait_started"):
                continue
            key = msgspec.json.encode(["tally", partition, "w", each.step or "", window_start(each.at_ms, WINDOW_MS)])
            tally = self.tallies.setdefault(key, {"started": 0, "ended": 0, "max_ms": 0, "tokens": 0})
            if each.kind in ("run_started", "step_dispatched"):
                tally["started"] += 1
                continue
            tally["ended"] += 1
            tally["max_ms"] = max(tally["max_ms"], each.at_ms - events[0].at_ms)
            tally["tokens"] += each.amounts.get("tokens", 0)
            self.failures[partition] += each.kind == "step_failed"
        if reason is not None:
            self.stuck[events[0].run_id] = reason


def said(document: dict[str, Any]) -> dict[str, Any]:
    """A tally of the output topic as `Expected` has it."""
    ended, used = document["ended"], document["used"]
    return {
        "started": document["started"],
        "ended": sum(ended.values()),
        "max_ms": document["max_ms"],
        "tokens": used.get("tokens", 0),
    }


def test_no_maximum_is_wrong_and_no_stuck_run_is_missed(insight: Process) -> None:
    settings = insight.settings
    client, chance = connect(settings), random.Random(41)
    expected, index = Expected(), 0
    # Old enough for every reason but a human's, and within what is kept.
    began_ms = int(time.time() * 1000) - 2 * 3_600_000
    for life in range(KILLS + 1):
        for partition in range(PARTITIONS):
            batch: list[RunEvent] = []
            for _ in range(RUNS_A_ROUND):
                events, reason = lives(index, began_ms + index * 500)
                expected.add(partition, events, reason)
                batch += events
                index += 1
            gone = [event(f"never{index}", 1, "run_started", began_ms)]
            write(settings.bootstrap_servers, settings.names.run_events, gone, committed=False, partition=partition)
            write(settings.bootstrap_servers, settings.names.run_events, batch, partition=partition)
        before = rows_written(client, settings)
        insight.start()
        if life < KILLS:
            # Somewhere within what this life has to do: 320 events, of which most change two rows or more.
            upto = before + chance.randrange(1, 400)
            insight.wait_for(lambda upto=upto: rows_written(client, settings) >= upto)  # type: ignore[misc]
            insight.kill()
    insight.wait_for(lambda: all_told(client, settings, expected))
    counts = [document["count"] for document in documents(client, settings, "cluster").values()]
    assert sorted(counts) == sorted(expected.failures.values())
    assert_nothing_was_ever_too_much(client, settings, expected)


def all_told(client: LogClient, settings: Settings, expected: Expected) -> bool:
    stuck = latest(client, settings, "stuck", "reason")
    tallies = {key: said(each) for key, each in documents(client, settings, "tally").items()}
    return stuck == expected.stuck and tallies == expected.tallies


def rows_written(client: LogClient, settings: Settings) -> int:
    places = [TopicPartition(settings.names.insight_state, each) for each in range(PARTITIONS)]
    return sum(client.admin().end_offsets(places, committed_only=False).values())


def documents(client: LogClient, settings: Settings, kind: str) -> dict[bytes, dict[str, Any]]:
    """The newest documents of a kind by key."""
    found: dict[bytes, dict[str, Any]] = {}
    for record in read_topic(client, settings.names.insight):
        assert record.key is not None
        if record.value is None:
            found.pop(record.key, None)
        elif msgspec.json.decode(record.value)["kind"] == kind:
            found[record.key] = msgspec.json.decode(record.value)
    return found


def latest(client: LogClient, settings: Settings, kind: str, name: str) -> dict[str, str]:
    return {each["run_id"]: each[name] for each in documents(client, settings, kind).values()}


def assert_nothing_was_ever_too_much(client: LogClient, settings: Settings, expected: Expected) -> None:
    """At no time, on the way there."""
    for record in read_topic(client, settings.names.insight):
        if record.value is None:
            continue
        assert record.key is not None
        document = msgspec.json.decode(record.value)
        if document["kind"] == "stuck":
            assert document["run_id"] in expected.stuck
        elif document["kind"] == "tally":
            final = expected.tallies[record.key]
            assert all(value <= final[name] for name, value in said(document).items())
