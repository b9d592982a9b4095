"""Results to Markdown. Pure: the same results give the same text."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from statistics import median
from typing import Any

from tests.bench.peers import flow_tables
from tests.bench.peers.table_cells import Row, spread, systems, table, values

BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
KILLED = {"worker": "worker killed", "server": "engine or server killed"}


def document(results: Mapping[str, Any]) -> str:
    """Every table, for `docs/benchmarks.md`."""
    parts = [_foot(results)]
    durability = results["durability"]
    order = list(durability)

    def of(name: str) -> list[Row]:
        """In the order of the systems, however they took turns."""
        return sorted(results.get(name, ()), key=lambda row: order.index(row["system"]))

    if rows := of("measured"):
        parts += ["## Throughput, closed loop", throughput(rows, durability)]
        parts += ["## Latency at fixed rates, open loop", latency(rows, durability)]
        parts += ["## Cost of 1 000 steps", cost(rows)]
    if flows := of("flows"):
        parts += ["## Fan-out, approvals and timers", flow_tables.fan_out_and_waits(flows, durability)]
        parts += ["## An agent with growing state", flow_tables.agent(flows, durability)]
    if waits := of("waits"):
        parts += ["## Cold restart and waiting runs", waiting(waits)]
    if races := of("races"):
        parts += ["## Crash race", crash_race(races)]
    if missing := results.get("missing"):
        parts += ["Not there: " + "; ".join(f"{system} ({why})" for system, why in missing.items())]
    return "\n\n".join(parts) + "\n"


def between_marks(document_text: str, text: str) -> str:
    """The document with what stands between its two marks replaced. Raises ValueError when a mark is missing."""
    before, begin, rest = document_text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the document needs a line {BEGIN} and a line {END}")
    return f"{before}{begin}\n\n{text}\n{end}{after}"


def throughput(rows: Iterable[Row], durability: Mapping[str, str]) -> str:
    """Steps per second, min / median / max of the repeats."""
    rows = list(rows)
    loads = list(dict.fromkeys((row["workload"], row["in_flight"]) for row in rows if "in_flight" in row))
    lines = []
    for system in systems(rows):
        cells = [spread(values(rows, system, "steps_per_s", workload=w, in_flight=n), "{:.0f}") for w, n in loads]
        lines.append([system, *cells, durability[system]])
    return table(["steps/s", *(f"{w} x {n}" for w, n in loads), "durability"], lines)


def latency(rows: Iterable[Row], durability: Mapping[str, str]) -> str:
    """p50 and p99 of a run, medians of the repeats."""
    rows = list(rows)
    rates = list(dict.fromkeys((row["workload"], row["rate"]) for row in rows if "rate" in row))

    def cell(system: str, workload: str, rate: int) -> str:
        picked = {"workload": workload, "rate": rate}
        achieved = values(rows, system, "achieved", **picked)
        if not achieved:
            return "-"
        if median(achieved) < 0.75 * rate:
            return f"cannot ({median(achieved):.0f}/s)"
        p50, p99 = (median(values(rows, system, name, **picked)) for name in ("p50_ms", "p99_ms"))
        return f"{p50:.0f} / {p99:.0f} ms"

    lines = [[system, *(cell(system, w, r) for w, r in rates), durability[system]] for system in systems(rows)]
    return table(["p50 / p99", *(f"{w}, {r} runs/s" for w, r in rates), "durability"], lines)


def cost(rows: Iterable[Row]) -> str:
    """CPU seconds and megabytes written for 1 000 steps, medians of the repeats."""
    rows = list(rows)
    loads = list(dict.fromkeys((row["workload"], row["in_flight"]) for row in rows if "in_flight" in row))

    def cell(system: str, workload: str, in_flight: int) -> str:
        picked = {"workload": workload, "in_flight": in_flight}
        cpu = values(rows, system, "cpu_s_per_1000", **picked)
        written = values(rows, system, "written_bytes_per_1000", **picked)
        return f"{median(cpu):.2f} s, {median(written) / 1e6:.1f} MB" if cpu else "-"

    lines = [[system, *(cell(system, w, n) for w, n in loads)] for system in systems(rows)]
    return table(["CPU, written", *(f"{w} x {n}" for w, n in loads)], lines)


def waiting(rows: Iterable[Row]) -> str:
    """W8 and W9."""
    lines = [
        [
            row["system"],
            row["workload"],
            f"{row['runs']} x {_size(row['payload_bytes'])}",
            _optional(row.get("restart_s"), "{:.2f} s"),
            _optional(row.get("memory_bytes"), lambda value: f"{value / 1e6:.0f} MB"),
            _optional(row.get("idle_cpu_percent"), "{:.1f} %"),
            row.get("note", ""),
        ]
        for row in rows
    ]
    return table(["system", "workload", "waiting", "restart to first run's end", "memory", "idle CPU", ""], lines)


def crash_race(rows: Iterable[Row]) -> str:
    """One line for each race; several of one kind are summed, their gaps pooled by median and maximum."""
    grouped: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row["system"], row["effect"], row["plan"]].append(row)
    lines = []
    for (system, effect, plan), races in grouped.items():
        name = f"{system}, {effect}" if system.startswith("logkeel") else system
        sums = ("runs", "kills", "lost_or_stuck", "steps_missing", "was_running", "unrecorded", "recorded")
        counted = [str(sum(race[key] for race in races)) for key in (*sums, "effects_repeated")]
        medians = [race["gap_median_s"] for race in races if race["gap_median_s"] is not None]
        longest = [race["gap_max_s"] for race in races if race["gap_max_s"] is not None]
        gaps = [f"{median(medians):.2f} s" if medians else "-", f"{max(longest):.2f} s" if longest else "-"]
        lines.append([name, KILLED[plan], *counted, *gaps])
    heads = ["system", "plan", "runs", "kills", "lost or stuck", "steps missing", "again: was running"]
    heads += ["again: done, unrecorded", "again: recorded", "effects repeated", "gap median", "gap max"]
    return table(heads, lines)


def _foot(results: Mapping[str, Any]) -> str:
    versions = "; ".join(text for text in results["versions"].values())
    return f"{results['machine']}. {versions}."


def _optional(value: Any, form: str | Callable[[Any], str]) -> str:
    if value is None:
        return "-"
    return form.format(value) if isinstance(form, str) else form(value)


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:g} MB" if size_bytes >= 1_000_000 else f"{size_bytes} B"
