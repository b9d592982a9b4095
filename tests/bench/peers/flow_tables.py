"""Results of W3, W4, W5 and W7 to Markdown. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.bench.peers.table_cells import Row, spread, systems, table, values


def fan_out_and_waits(rows: Sequence[Row], durability: Mapping[str, str]) -> str:
    """W3, W4 and W5: min / median / max of the repeats."""
    widths = _in_order(rows, "W3", "in_flight")
    askers = _in_order(rows, "W5", "in_flight")
    timers = _in_order(rows, "W4", "wanted")
    heads = [f"W3 x {width}, steps/s" for width in widths]
    heads += [f"W5 x {width}, answer to end, p50 and p99" for width in askers]
    heads += [f"W4, {count} timers: half gone on, all" for count in timers]
    lines = []
    for system in systems(rows):
        line = [_cell(rows, system, "W3", ("steps_per_s",), "{:.0f}", in_flight=width) for width in widths]
        line += [_cell(rows, system, "W5", ("p50_ms", "p99_ms"), "{:.0f} ms", in_flight=width) for width in askers]
        line += [_timers(rows, system, count) for count in timers]
        lines.append([system, *line, durability[system]])
    return table(["", *heads, "durability"], lines)


def agent(rows: Sequence[Row], durability: Mapping[str, str]) -> str:
    """W7: what a turn costs in a short run and in a long one. Flat is the same in both."""
    lines = []
    for system in systems(rows):
        for workload in ("W7 code", "W7 loop"):
            lengths = _in_order(rows, workload, "turns") or [0]
            times = [_cell(rows, system, workload, ("turn_ms",), "{:.1f} ms", turns=turns) for turns in lengths]
            added = [_cell(rows, system, workload, ("log_bytes",), "{:.0f} B", turns=turns) for turns in lengths]
            if times[0] == "-":
                continue
            lines.append([system, workload, " → ".join(dict.fromkeys(times)), " → ".join(dict.fromkeys(added))])
            lines[-1].append(durability[system])
    runs = " → ".join(str(turns) for turns in _in_order(rows, "W7 code", "turns"))
    return table(["", "form", f"a turn of {runs}", f"added to the log by a turn of {runs}", "durability"], lines)


def _timers(rows: Sequence[Row], system: str, wanted: int) -> str:
    cell = _cell(rows, system, "W4", ("half_s", "all_s"), "{:.2f} s", wanted=wanted)
    runs = min(values(rows, system, "runs", workload="W4", wanted=wanted), default=wanted)
    return cell if runs == wanted else f"{cell}, of {runs} that could be started in 30 s"


def _cell(rows: Sequence[Row], system: str, workload: str, names: Sequence[str], form: str, **picked: Any) -> str:
    whys = values(rows, system, "cannot", workload=workload) + values(rows, system, "failed", workload=workload)
    if whys:
        return str(whys[0]).splitlines()[-1]
    found = [values(rows, system, name, workload=workload, **picked) for name in names]
    return ", ".join(spread(each, form) for each in found) if all(found) else "-"


def _in_order(rows: Sequence[Row], workload: str, name: str) -> list[Any]:
    return list(dict.fromkeys(row[name] for row in rows if row["workload"] == workload and name in row))
