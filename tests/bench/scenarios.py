"""The measurements. Each returns plain figures; nothing here asserts a time."""

import statistics
import time
from typing import Any
from uuid import uuid4

from tests.bench.application import Application, cpu_s, size_of

from logkeel.log import OutputRecord, Record, TopicPlan

STEPS = 3


def alone(application: Application, runs: int) -> dict[str, float]:
    """A 3-step run with nothing else going on: milliseconds from request to completion event."""
    for _ in range(20):
        application.run_alone("noop")
    times = sorted(application.run_alone("noop") * 1_000 for _ in range(runs))
    return {
        "runs": runs,
        "p50_ms": statistics.median(times),
        "p99_ms": times[int(0.99 * (len(times) - 1))],
        "min_ms": times[0],
    }


def in_flight(application: Application, width: int, seconds: float, *, broker_pid: int | None = None) -> dict[str, Any]:
    """`width` runs are kept in flight; counted is what completes while they are.

    `cpu_us_per_step`: what each process used for it; `broker_pid` adds the broker. `log_client_us_per_step`: how much
    of that its log's client used, on threads of its own; the rest is Python, and what Python calls.
    """
    application.request(width)
    application.until(lambda: application.sent - application.completed < width)
    _keep(application, width, min(3.0, seconds / 2))
    completed, before, clients = application.completed, _cpu(application, broker_pid), application.log_client_s()
    took = _keep(application, width, seconds)
    used = {name: seconds - before[name] for name, seconds in _cpu(application, broker_pid).items()}
    of_clients = {name: seconds - clients[name] for name, seconds in application.log_client_s().items()}
    steps = STEPS * (application.completed - completed)
    application.until(lambda: application.completed == application.sent)
    return {
        "in_flight": width,
        "runs_per_s": steps / STEPS / took,
        "steps_per_s": steps / took,
        "cpu_us_per_step": {name: seconds * 1e6 / steps for name, seconds in used.items()},
        "log_client_us_per_step": {name: seconds * 1e6 / steps for name, seconds in of_clients.items()},
    }


def _cpu(application: Application, broker_pid: int | None) -> dict[str, float]:
    return application.cpu_s() | ({} if broker_pid is None else {"broker": cpu_s(broker_pid)})


def _keep(application: Application, width: int, seconds: float) -> float:
    began = time.perf_counter()
    while time.perf_counter() < began + seconds:
        application.poll(0.02)
        missing = width - (application.sent - application.completed)
        if missing > 0:
            application.request(missing)
    return time.perf_counter() - began


def changelog(application: Application, runs: int) -> dict[str, float]:
    """Bytes and records that one step adds to the changelog, start and end of its run included."""
    topic = application.names.run_state
    before = application.ends(topic)
    application.request(runs)
    application.until(lambda: application.completed == application.sent)
    found = application.records(topic, before)
    size = sum(map(size_of, found))
    return {"runs": runs, "bytes_per_step": size / (STEPS * runs), "rows_per_step": len(found) / (STEPS * runs)}


def beside_a_megabyte(application: Application) -> dict[str, float]:
    """What a step that writes 10 bytes adds to the changelog of a run that holds 1 MB: with the step less without."""
    sizes = []
    for workflow in ("big", "big-and-note"):
        before = application.ends(application.names.run_state)
        application.run_alone(workflow)
        sizes.append(sum(map(size_of, application.records(application.names.run_state, before))))
    return {"state_bytes": sizes[0], "added_bytes": sizes[1] - sizes[0]}


def chain(application: Application) -> dict[str, Any]:
    """W2, one run of 30 steps alone: bytes of command, result, history and changelog that belong to each step.

    What the run's first turn and its last one write is left out: they begin and end a run, not a step.
    """
    names = application.names
    topics = (names.step_commands("default"), names.step_results, names.run_events, names.run_state)
    before = {topic: application.ends(topic) for topic in topics}
    application.run_alone("chain")
    sizes = [_sizes_by_turn(application.records(topic, before[topic])) for topic in topics]
    middle = [sum(bytes_of_turn) for bytes_of_turn in zip(*(each[1:-1] for each in sizes), strict=False)]
    return {"steps": len(middle) + 2, "bytes_by_step": middle, "first": middle[0], "last": middle[-1]}


def _sizes_by_turn(records: list[Record]) -> list[int]:
    """Bytes of records per transaction: a marker leaves a gap in the offsets. Results come one by one, without."""
    sizes: list[int] = []
    expected = None
    for record in sorted(records, key=lambda each: each.offset):
        if record.offset != expected or record.topic.endswith("step-results"):
            sizes.append(0)
        sizes[-1] += size_of(record)
        expected = record.offset + 1
    return sizes


def restart(application: Application, repeats: int, width: int) -> dict[str, float]:
    """kill -9 of the engine under load: seconds from the new process to the next completion."""
    times = []
    for _ in range(repeats):
        application.request(width)
        application.until(lambda: application.completed > application.sent - width)
        application.engine.kill()
        while application.poll(0.5):
            pass
        if application.completed == application.sent:  # it died too late: these wait for its successor
            application.request(width)
        began = time.perf_counter()
        application.engine.start()
        before = application.completed
        application.until(lambda before=before: application.completed > before)  # type: ignore[misc]
        times.append(time.perf_counter() - began)
        application.until(lambda: application.completed == application.sent)
    return {"repeats": repeats, "in_flight": width, "median_s": statistics.median(times), "worst_s": max(times)}


def reference(application: Application) -> dict[str, float]:
    """What this machine and broker do right now, without logkeel: a shared machine's speed drifts by half.

    `transaction_ms`: a bare transaction of one record to each of three partitions, median, two producers in turn. A
    3-step run needs four of them one after the other. `python_ms`: a fixed piece of Python.
    """
    topics = [f"bare-{uuid4().hex[:6]}-{number}" for number in range(3)]
    admin = application.client.admin()
    admin.create_topics([TopicPlan(topic, 1) for topic in topics])
    producers = [application.client.transactional_producer(f"{topics[0]}-{name}") for name in "ab"]
    for producer in producers:
        producer.init_transactions(10.0)
    times = []
    for number in range(300):
        producer = producers[number % 2]
        began = time.perf_counter()
        producer.begin()
        for topic in topics:
            producer.produce(OutputRecord(topic, b"key", b"v" * 300, 0))
        producer.flush(10.0)
        producer.commit(10.0)
        times.append((time.perf_counter() - began) * 1_000)
    for producer in producers:
        producer.close()
    admin.delete_topics(topics)
    admin.close()
    return {"transaction_ms": statistics.median(times[100:]), "python_ms": min(_fixed_work() for _ in range(5))}


def _fixed_work() -> float:
    began = time.perf_counter()
    table: dict[int, str] = {}
    for number in range(100_000):
        table[number & 1_023] = str(number)
    return (time.perf_counter() - began) * 1_000
