"""`python -m tests.bench.readmodel [--runs N]`: the read model at size. Asserts nothing; figures as JSON on stdout.

`events_per_s`: bytes as they come from the log, decoded, folded and committed in batches, by one process, no broker.
`pages`: a page of 50 runs with JSON made of them, by filter, from the beginning and from places amid the order. `cpu_`:
what this process used of a core, which says more where others use the machine too.
"""

import argparse
import json
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from logkeel.cli.garbage import collect_rarely
from logkeel.log import TopicPartition
from logkeel.projection.documents import summary
from logkeel.readmodel import FILE_NAME, Filters, ReadModel
from logkeel.readmodel.writer import Read, Writer
from logkeel.records import EventKind, FieldWrite, Payload, RunEvent
from logkeel.wire import decode_as, encode

SOURCE: Final = TopicPartition("logkeel.run-events", 0)
BATCH: Final = 8_000
AT_ONCE: Final = 5_000
"""Runs whose events are mixed, as those of a busy application are."""
T0_MS: Final = 1_700_000_000_000
PAGES: Final = 40

FILTERS: Final[dict[str, Filters]] = {
    "all": Filters(),
    "running": Filters(status="running"),
    "workflow and status": Filters(workflow="work-3", status="running"),
    "step": Filters(step="review"),
    "waiting for a human": Filters(waiting_for="human"),
    "attribute": Filters(attributes={"customer": "42"}),
    "attribute and status": Filters(attributes={"customer": "42"}, status="failed"),
    "step and workflow": Filters(step="review", workflow="work-7"),
    "age": Filters(started_before_ms=T0_MS + 5_000, status="running"),
    "nothing meets it": Filters(status="failed", step="review"),
}


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="the read model at size")
    parser.add_argument("--runs", type=int, default=1_000_000)
    options = parser.parse_args()
    collect_rarely()  # As every command does.
    with tempfile.TemporaryDirectory(prefix="logkeel-readmodel-") as scratch:
        path = Path(scratch) / FILE_NAME
        projected = _project(path, options.runs)
        with closing(ReadModel(path)) as model:
            pages = {name: _pages(model, filters) for name, filters in FILTERS.items()}
            counted = _timed(model.counts)
        size = sum(each.stat().st_size for each in Path(scratch).iterdir())
    report = {
        "machine": {"python": platform.python_version(), "processor": platform.machine()},
        "runs": options.runs,
        **projected,
        "bytes_per_run": size // options.runs,
        "pages": pages,
        "worst_p95_ms": max(each["p95_ms"] for each in pages.values()),
        "worst_cpu_p95_ms": max(each["cpu_p95_ms"] for each in pages.values()),
        "counts_ms": round(counted * 1_000, 2),
    }
    print(json.dumps(report, indent=2))


def _project(path: Path, runs: int) -> dict[str, Any]:
    """Write the histories of so many runs; making their bytes is not counted."""
    events, spent_s, cpu_s, offset = 0, 0.0, 0.0, 0
    with closing(Writer(path)) as writer:
        batch: list[bytes] = []
        for data in _histories(runs):
            batch.append(data)
            if len(batch) < BATCH:
                continue
            began, cpu_began = time.perf_counter(), time.process_time()
            reads = [Read(SOURCE, offset + n, decode_as(each, RunEvent), each) for n, each in enumerate(batch)]
            offset += len(batch)
            writer.write(reads, {SOURCE: offset})
            spent_s += time.perf_counter() - began
            cpu_s += time.process_time() - cpu_began
            events += len(batch)
            batch = []
    return {
        "events": events,
        "events_per_s": round(events / spent_s),
        "cpu_us_per_event": round(cpu_s / events * 1e6, 1),
    }


def _histories(runs: int) -> Iterator[bytes]:
    """Events of runs that end, fail, or stand at a step or with a human; `AT_ONCE` of them mixed."""
    chance = random.Random(1)
    for begin in range(0, runs, AT_ONCE):
        group = [_history(number, chance) for number in range(begin, min(begin + AT_ONCE, runs))]
        for step in range(max(map(len, group))):
            for history in group:
                if step < len(history):
                    yield history[step]


def _history(number: int, chance: random.Random) -> list[bytes]:
    run = RunEvent(
        run_id=f"run-{number:09}",
        incarnation=f"0-{number}-0",
        revision=1,
        kind="run_started",
        at_ms=T0_MS + number,
        workflow=f"work-{number % 10}",
        version="1",
        definition_digest="d" * 64,
        request_id=f"request-{number}",
        attributes={"customer": str(chance.randrange(1_000))},
    )
    events = [run]

    def then(kind: EventKind, **details: Any) -> None:
        last = events[-1]
        cleared = replace(run, request_id=None, attributes={})
        events.append(replace(cleared, revision=last.revision + 1, at_ms=last.at_ms + 50, kind=kind, **details))

    draft = FieldWrite(field="draft", payload=Payload(encoding="json", data=b'"' + b"x" * 100 + b'"'))
    then("step_dispatched", path="write", step="write", attempt=1, dispatch=1)
    then("step_succeeded", path="write", step="write", attempt=1, writes=(draft,), holder="w", started_at_ms=T0_MS)
    then("step_dispatched", path="review", step="review", attempt=1, dispatch=1)
    ending = chance.random()
    if ending < 0.9:
        then("step_succeeded", path="review", step="review", attempt=1, holder="w", started_at_ms=T0_MS)
        if ending < 0.1:
            then("question_asked", path="approve", reason="?", actor="editors", attributes={"allow": "approve,reject"})
        else:
            then("run_completed", status="failed" if ending < 0.15 else "succeeded")
    return [encode(event) for event in events]


def _pages(model: ReadModel, filters: Filters) -> dict[str, float]:
    chance = random.Random(2)
    took: list[float] = []
    used: list[float] = []
    cursor: str | None = None
    for _ in range(PAGES):
        found: list[str | None] = []

        def page(cursor: str | None = cursor, found: list[str | None] = found) -> None:
            answer = model.runs(filters, cursor=cursor, limit=50).value
            json.dumps([summary(view, T0_MS) for view in answer.items])
            found.append(answer.next_cursor)

        began_s = time.thread_time()
        took.append(_timed(page) * 1_000)
        used.append((time.thread_time() - began_s) * 1_000)
        cursor = found[0] if chance.random() < 0.9 else None
    return {
        "p50_ms": round(statistics.median(took), 2),
        "p95_ms": round(_p95(took), 2),
        "cpu_p95_ms": round(_p95(used), 2),
    }


def _p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


def _timed(action: Any) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
