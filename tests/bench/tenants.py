"""A tenant at its limit beside another one: how much slower the other's runs get. Asserts no time.

Both run the same workflow, whose one step has a limit for each tenant. `calm` keeps below its limit; `greedy` has
hundreds of runs that wait in its line while a few hold its slots for long. Measured are calm's runs alone, beside
greedy's, and alone again, since a shared machine drifts.
"""

import statistics
import time
from typing import Any

from tests.bench.application import Application, inputs_of
from tests.bench.flow_workflows import HELD_S, SLOTS

from logkeel.records import RunCompleted, RunEvent
from logkeel.wire import decode

SECONDS = 10.0
GREEDY = 300
LIVENESS_S = 300.0
CALM_IN_FLIGHT = SLOTS // 2


def tenants(application: Application, scale: float) -> dict[str, Any]:
    """Runs per second and milliseconds of a run (p50, p99) of the calm tenant: `before`, `beside` and `after`.

    `ratio`: its rate beside greedy's over its mean rate alone. `waiting`: how many of greedy's runs waited meanwhile.
    """
    watch = _Watch(application)
    seconds = max(1.0, SECONDS * scale)
    _calm(application, watch, seconds / 4)
    before = _calm(application, watch, seconds)
    greedy = set(application.request(GREEDY, "metered", inputs_of(tenant="greedy", value="x")))
    watch.until(lambda: len(watch.asked & greedy) == GREEDY)
    beside = _calm(application, watch, seconds)
    waiting = len(greedy - watch.granted)
    watch.until(lambda: greedy <= watch.ended)
    after = _calm(application, watch, seconds)
    watch.close()
    application.until(lambda: application.completed == application.sent)
    alone = statistics.mean((before["runs_per_s"], after["runs_per_s"]))
    figures = {"before": before, "beside": beside, "after": after}
    return {**figures, "ratio": beside["runs_per_s"] / alone, "greedy": GREEDY, "waiting": waiting, "held_s": HELD_S}


class _Watch:
    """Follows events and completions: whose runs asked for a slot, have one, have ended."""

    def __init__(self, application: Application) -> None:
        topics = (application.names.run_events, application.names.run_completions)
        self._reader = application.client.reader("read_committed")
        self._reader.assign({place: end for topic in topics for place, end in application.ends(topic).items()})
        self.asked: set[str] = set()
        self.granted: set[str] = set()
        self.ended: set[str] = set()

    def look(self) -> list[str]:
        """Read what has come; ids of the runs that have ended."""
        ended = []
        for record in self._reader.fetch(5_000, 0.02).records:
            message = decode(record.value or b"")
            if isinstance(message, RunCompleted):
                ended.append(message.run_id)
            elif isinstance(message, RunEvent) and message.kind in ("limit_asked", "limit_granted"):
                (self.asked if message.kind == "limit_asked" else self.granted).add(message.run_id)
        self.ended.update(ended)
        return ended

    def until(self, met: Any) -> None:
        """Look until it is so."""
        deadline = time.monotonic() + LIVENESS_S
        while not met():
            self.look()
            if time.monotonic() > deadline:
                raise AssertionError("the greedy tenant's runs do not move")

    def close(self) -> None:
        """Read no more."""
        self._reader.close()


def _calm(application: Application, watch: _Watch, seconds: float) -> dict[str, float]:
    """Keep calm's runs in flight, so many below its limit."""
    inputs = inputs_of(tenant="calm", value="x")
    began = time.perf_counter()
    open_since: dict[str, float] = {}
    times: list[float] = []
    took = 0.0
    while not took:
        now = time.perf_counter()
        if now - began < seconds:
            missing = CALM_IN_FLIGHT - len(open_since)
            open_since.update(dict.fromkeys(application.request(missing, "metered", inputs), now))
        elif not open_since:
            took = now - began
        for run_id in watch.look():
            if run_id in open_since:
                times.append(time.perf_counter() - open_since.pop(run_id))
        if now - began > LIVENESS_S:
            raise AssertionError("the calm tenant's runs do not end")
    ordered = sorted(1_000 * each for each in times)
    p99 = ordered[int(0.99 * (len(ordered) - 1))]
    return {"runs_per_s": len(times) / took, "p50_ms": statistics.median(ordered), "p99_ms": p99}


def line(rows: list[dict[str, Any]]) -> str:
    """For people: medians over the rounds."""
    rates = {name: statistics.median(row[name]["runs_per_s"] for row in rows) for name in ("before", "beside", "after")}
    p50 = {name: statistics.median(row[name]["p50_ms"] for row in rows) for name in ("before", "beside", "after")}
    waiting = min(row["waiting"] for row in rows)
    shown = ", ".join(f"{name} {rates[name]:.0f}/s (p50 {p50[name]:.0f} ms)" for name in rates)
    ratio = statistics.median(row["ratio"] for row in rows)
    name = "tenant beside one at its limit"
    return f"  {name:28} {shown}; {waiting} of the other's waited; ratio {ratio:.2f}  (floor: >= 0.9)"
