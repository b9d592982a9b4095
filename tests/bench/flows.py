"""W3, W4, W5, W7 and `each` on logkeel: the sizes are those of the peers' workload file. Asserts no time.

Each measurement returns plain figures. `scale`: of every size and duration, 0.1 is a tenth.
"""

import statistics
import time
from collections import deque
from typing import Any

from tests.bench import tenants
from tests.bench.application import Application, inputs_of
from tests.bench.flow_workflows import FILE
from tests.bench.turns import AGENTS, COMMANDS, turns_of

from logkeel.records import AnswerQuestion, RunCompleted, RunEvent
from logkeel.wire import decode

SAMPLE = 64
"""Runs whose pace says how long it takes until all are asleep."""

LEAD = 1.2
LEAST_LEAD_S = 3.0
LIVENESS_S = 900.0
VALUE = "x"


def measure(application: Application, scale: float) -> dict[str, Any]:
    """All of them, on one application."""
    return {
        "fan_out": fan_out(application, scale),
        "approvals": approvals(application, scale),
        "agent": agent(application),
        "each": items(application, scale),
        "timers": timers(application, scale),
        "tenants": tenants.tenants(application, scale),
    }


def fan_out(application: Application, scale: float) -> list[dict[str, Any]]:
    """W3: runs per second, and for one in flight milliseconds of a run; by `each`, and by `parallel`."""
    workload, rows = FILE.fan_out, []
    inputs = inputs_of(value=VALUE * workload.payload_bytes)
    for workflow in ("fan-out-each", "fan-out-parallel"):
        application.run_alone(workflow, inputs)
        for width in workload.in_flight:
            seconds, runs = _closed(application, workflow, inputs, width, seconds=workload.seconds * scale)
            row = {"workflow": workflow, "in_flight": width, "runs": runs, "ms": 1_000 * width * seconds / runs}
            rows.append({**row, "steps_per_s": (workload.width + 1) * runs / seconds})
    return rows


def approvals(application: Application, scale: float) -> list[dict[str, Any]]:
    """W5: `asked_ms` from request to question seen, `gone_on_ms` from answer to completion seen; p50 and p99."""
    workload = FILE.approvals
    return [
        _approvals(application, max(width, int(workload.runs * scale)), width, workload.payload_bytes)
        for width in workload.in_flight
    ]


def _approvals(application: Application, runs: int, width: int, payload_bytes: int) -> dict[str, Any]:
    inputs = inputs_of(value=VALUE * payload_bytes)
    topics = (application.names.run_events, application.names.run_completions)
    reader = application.client.reader("read_committed")
    reader.assign({place: end for topic in topics for place, end in application.ends(topic).items()})
    requested: dict[str, float] = {}
    answered: dict[str, float] = {}
    asked_s: list[float] = []
    gone_on_s: list[float] = []
    deadline = time.monotonic() + LIVENESS_S

    def ask(count: int) -> None:
        began = time.perf_counter()
        requested.update(dict.fromkeys(application.request(count, "approval", inputs), began))

    ask(min(width, runs))
    while len(gone_on_s) < runs:
        for record in reader.fetch(5_000, 0.02).records:
            message, now = decode(record.value or b""), time.perf_counter()
            if isinstance(message, RunEvent) and message.kind == "question_asked":
                asked_s.append(now - requested[message.run_id])
                answered[message.run_id] = now
                answer = AnswerQuestion(
                    run_id=message.run_id,
                    path=message.path or "",
                    verb="approve",
                    question=message.revision,
                    request_id=f"answer-{message.run_id}",
                )
                application.send(answer, message.run_id)
            elif isinstance(message, RunCompleted):
                gone_on_s.append(now - answered[message.run_id])
                ask(min(1, runs - len(requested)))
        if time.monotonic() > deadline:
            raise AssertionError(f"{len(gone_on_s)} of {runs} approvals have gone on")
    reader.close()
    application.until(lambda: application.completed == application.sent)
    return {"in_flight": width, "runs": runs, "asked": _quantiles(asked_s), "gone_on": _quantiles(gone_on_s)}


def agent(application: Application) -> list[dict[str, Any]]:
    """W7: milliseconds of a turn on the broker; records and bytes (in memory), medians of the first tenth of the
    turns, of all and of the last tenth.
    """
    workload, rows = FILE.agent, []
    turns = max(workload.turns)
    for form, workflow in AGENTS.items():
        inputs = inputs_of(value=VALUE * workload.payload_bytes, turns=turns)
        seconds = application.run_alone(workflow.name, inputs, liveness_s=LIVENESS_S)
        played = turns_of(form, turns, workload.payload_bytes)
        row: dict[str, Any] = {"form": form, "turns": turns, "turn_ms": 1_000 * seconds / turns}
        tenth = turns // 10
        for name, part in (("first", played[:tenth]), ("all", played), ("last", played[-tenth:])):
            totals = [turn.total(without=COMMANDS) for turn in part]
            row[name] = {
                "records": statistics.median(records for records, _ in totals),
                "bytes": statistics.median(size for _, size in totals),
                "command_bytes": statistics.median(turn.size_bytes[COMMANDS] for turn in part),
            }
        rows.append(row)
    return rows


def items(application: Application, scale: float) -> list[dict[str, Any]]:
    """`each` over the items in one run, then as many runs of one step, so many at a time.

    Items per second, and microseconds of processor time that engine and worker use for one, which a busy machine
    changes less. Ratios above 1 are in favour of `each`.
    """
    count, rows = int(FILE.items.items * scale), []
    for width in FILE.items.in_flight:
        before = _cpu_s(application)
        together = inputs_of(value=VALUE, width=count)
        each_s = application.run_alone(f"many-{width}", together, liveness_s=LIVENESS_S)
        between = _cpu_s(application)
        runs_s, _ = _closed(application, "one", inputs_of(value=VALUE), width, runs=count)
        each_cpu_s, runs_cpu_s = between - before, _cpu_s(application) - between
        row = {"items": count, "in_flight": width, "each_per_s": count / each_s, "runs_per_s": count / runs_s}
        row |= {"each_cpu_us": each_cpu_s * 1e6 / count, "runs_cpu_us": runs_cpu_s * 1e6 / count}
        rows.append({**row, "ratio": runs_s / each_s, "cpu_ratio": runs_cpu_s / each_cpu_s})
    return rows


def _cpu_s(application: Application) -> float:
    """Of all but the client."""
    return sum(seconds for name, seconds in application.cpu_s().items() if name != "client")


def timers(application: Application, scale: float) -> dict[str, Any]:
    """W4: seconds from the moment at which all sleepers are due to the end of the first, half and all of them.

    `asleep`: those that slept by then, by the events' times; the others came late, and their time says nothing.
    """
    workload = FILE.timers
    runs, value = int(workload.runs * scale), VALUE * workload.payload_bytes
    now_ms = int(time.time() * 1_000)
    took_s, _ = _closed(application, "sleeper", inputs_of(value=value, until_ms=now_ms), SAMPLE, runs=4 * SAMPLE)
    lead_s = LEAST_LEAD_S + LEAD * runs * took_s / (4 * SAMPLE)
    events = application.ends(application.names.run_events)
    due_s = time.time() + lead_s
    before = application.completed
    application.request(runs, "sleeper", inputs_of(value=value, until_ms=int(due_s * 1_000)))
    late_s: deque[float] = deque()
    deadline = time.monotonic() + LIVENESS_S
    while len(late_s) < runs:
        application.poll(0.02)
        late_s.extend([time.time() - due_s] * (application.completed - before - len(late_s)))
        if time.monotonic() > deadline:
            raise AssertionError(f"{len(late_s)} of {runs} sleepers have gone on")
    found = [decode(record.value or b"") for record in application.records(application.names.run_events, events)]
    asleep = {
        each.run_id
        for each in found
        if isinstance(each, RunEvent) and each.kind == "step_suspended" and each.at_ms <= due_s * 1_000
    }
    times = list(late_s)
    figures = {"first_s": times[0], "half_s": statistics.median(times), "all_s": times[-1]}
    return {"runs": runs, "asleep": len(asleep), **figures, "per_s": runs / max(times[-1], 0.001)}


def _closed(
    application: Application,
    workflow: str,
    inputs: Any,
    width: int,
    *,
    seconds: float | None = None,
    runs: int | None = None,
) -> tuple[float, int]:
    """Keep `width` runs in flight, for so long or so many; (seconds until all have ended, how many it were)."""
    began, before = time.perf_counter(), application.completed
    deadline = time.monotonic() + LIVENESS_S
    left = runs
    while True:
        missing = width - (application.sent - application.completed)
        if left is not None:
            missing = min(missing, left)
            left -= max(0, missing)
        elif seconds is not None and time.perf_counter() - began >= seconds:
            missing = 0
        application.request(max(0, missing), workflow, inputs)
        if application.sent == application.completed:
            return time.perf_counter() - began, application.completed - before
        application.poll(0.02)
        if time.monotonic() > deadline:
            raise AssertionError(f"{workflow}: {application.sent - application.completed} runs do not end")


def _quantiles(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(1_000 * each for each in seconds)
    return {"p50_ms": statistics.median(ordered), "p99_ms": ordered[int(0.99 * len(ordered))]}


def lines(rounds: list[dict[str, Any]]) -> list[str]:
    """For people: min-median-max over the rounds; bytes are the same in each."""
    found = []
    for rows in zip(*(each["fan_out"] for each in rounds), strict=True):
        name = f"W3 {rows[0]['workflow']} x {rows[0]['in_flight']}"
        speed = f"{spread([row['steps_per_s'] for row in rows])} steps/s"
        found.append(f"  {name:28} {spread([row['ms'] for row in rows])} ms a run, {speed}")
    found.append(_timers([each["timers"] for each in rounds]))
    for rows in zip(*(each["approvals"] for each in rounds), strict=True):
        found.append(f"  {'W5 approval x ' + str(rows[0]['in_flight']):28} {_approval(rows)}")
    for rows in zip(*(each["agent"] for each in rounds), strict=True):
        found += _agent(rows)
    for rows in zip(*(each["each"] for each in rounds), strict=True):
        rates = [spread([row[name] for row in rows]) for name in ("each_per_s", "runs_per_s")]
        ratio = f"ratio {spread([row['ratio'] for row in rows], 2)}  (floor: >= 0.8)"
        used = [spread([row[name] for row in rows]) for name in ("each_cpu_us", "runs_cpu_us")]
        used_ratio = spread([row["cpu_ratio"] for row in rows], 2)
        name = f"each x {rows[0]['in_flight']}, {rows[0]['items']} items"
        found.append(f"  {name:28} {rates[0]} items/s; as runs of one step {rates[1]} runs/s; {ratio}")
        found.append(f"  {'':28} processor time of one {used[0]} us; as a run {used[1]} us; ratio {used_ratio}")
    found.append(tenants.line([each["tenants"] for each in rounds]))
    return found


def _timers(rows: list[dict[str, Any]]) -> str:
    times = ", ".join(f"{name} {spread([row[f'{name}_s'] for row in rows], 2)} s" for name in ("first", "half", "all"))
    asleep = f"{min(row['asleep'] for row in rows)} of {rows[0]['runs']} slept when due"
    return f"  {'W4 ' + str(rows[0]['runs']) + ' timers at once':28} gone on: {times}; {asleep}"


def _approval(rows: Any) -> str:
    parts = []
    for words, name in (("request to question", "asked"), ("answer to end", "gone_on")):
        p50, p99 = ([row[name][quantile] for row in rows] for quantile in ("p50_ms", "p99_ms"))
        parts.append(f"{words} p50 {spread(p50, 1)}, p99 {spread(p99)} ms")
    return "; ".join(parts)


def _agent(rows: Any) -> list[str]:
    row = rows[0]
    times = f"{spread([each['turn_ms'] for each in rows], 1)} ms a turn"
    marks = [row[name] for name in ("first", "all", "last")]
    kept, commands = (" / ".join(f"{mark[name]:.0f}" for mark in marks) for name in ("bytes", "command_bytes"))
    counted = " / ".join(f"{mark['records']:.0f}" for mark in marks)
    name = f"W7 agent, {row['form']}, {row['turns']} turns"
    floor = "(floor: flat)"
    return [
        f"  {name:28} {times}; first tenth / all / last tenth: {counted} records, {kept} bytes  {floor}",
        f"  {'':28} beside it commands of {commands} bytes: what the step reads",
    ]


def spread(values: list[float], digits: int = 0) -> str:
    """min-median-max; one value alone stands for itself."""
    shown = [min(values), statistics.median(values), max(values)] if len(values) > 1 else values
    return "-".join(f"{value:.{digits}f}" for value in shown)
