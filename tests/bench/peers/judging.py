"""The crash race's judge: lines of the outside ledger → counts. Pure.

Lines: `asked` and `done` (the client, per run), `begin` and `effect` (a step of a run). A repetition is a `begin` of a
step that had begun before. It counts by what was so when it began:

- `was_running`: the step had no effect yet; its execution was cut off.
- `unrecorded`: it had its effect, but nothing shows that this was on record.
- `recorded`: it was on record. Conservative: seen by the next step of the run having begun, or by the run's end. A
  system that begins the next step before it records the last one is told so, and only the run's end counts.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

Line = Mapping[str, Any]
Place = tuple[str, int]


@dataclass(frozen=True)
class Verdict:
    """What one race showed. `gaps_s`: from a kill to the next step (or end) of each run that it interrupted."""

    runs: int
    lost_or_stuck: int
    steps_missing: int
    was_running: int
    unrecorded: int
    recorded: int
    effects_repeated: int
    """Effects beyond the first of a step; with keys, beyond the first of a key: the outside world knows its keys."""

    interrupted: int
    gap_median_s: float | None
    gap_max_s: float | None


def judge(
    lines: Sequence[Line], runs: Sequence[str], steps: int, *, kills: Sequence[float], next_means_recorded: bool = True
) -> Verdict:
    """The verdict on a race of `runs` runs of `steps` steps. `lines` may come in any order."""
    ordered = sorted(lines, key=lambda line: float(line["at"]))
    done = {str(line["run"]) for line in ordered if line["what"] == "done"}
    effects: dict[Place, list[Line]] = defaultdict(list)
    for line in ordered:
        if line["what"] == "effect":
            effects[_place(line)].append(line)
    missing = sum((run, step) not in effects for run in runs if run in done for step in range(steps))
    counts = _repetitions(ordered, steps, next_means_recorded=next_means_recorded)
    gaps = gaps_s(ordered, kills)
    return Verdict(
        runs=len(runs),
        lost_or_stuck=sum(run not in done for run in runs),
        steps_missing=missing,
        **counts,
        effects_repeated=sum(_applied(several) - 1 for several in effects.values()),
        interrupted=len(gaps),
        gap_median_s=median(gaps) if gaps else None,
        gap_max_s=max(gaps) if gaps else None,
    )


def _repetitions(ordered: Sequence[Line], steps: int, *, next_means_recorded: bool) -> dict[str, int]:
    counts = {"was_running": 0, "unrecorded": 0, "recorded": 0}
    begun: set[Place] = set()
    happened: set[Place] = set()
    ended: set[str] = set()
    for line in ordered:
        if line["what"] == "done":
            ended.add(line["run"])
        elif line["what"] == "effect":
            happened.add(_place(line))
        elif line["what"] == "begin":
            run, step = place = _place(line)
            if place in begun:
                on_record = run in ended or (next_means_recorded and step + 1 < steps and (run, step + 1) in begun)
                counts["recorded" if on_record else "unrecorded" if place in happened else "was_running"] += 1
            begun.add(place)
    return counts


def _applied(effects: Sequence[Line]) -> int:
    if effects[0].get("effect") == "KEYED":
        return len({line["key"] for line in effects})
    return len(effects)


def gaps_s(ordered: Sequence[Line], kills: Sequence[float]) -> list[float]:
    """For each kill and each run it interrupted: seconds until a step of the run begins, or the run ends.

    Interrupted is a run that had begun and not ended. A run that has not moved since an earlier kill is still in that
    gap and counts once. One that never moves again has no gap here: it is stuck.
    """
    moves: dict[str, list[float]] = defaultdict(list)
    ended: dict[str, float] = {}
    for line in ordered:
        if line["what"] in ("begin", "done"):
            moves[line["run"]].append(line["at"])
        if line["what"] == "done":
            ended.setdefault(line["run"], line["at"])
    found = []
    for run, times in moves.items():
        counted_from = -1
        for kill in sorted(kills):
            after = bisect_right(times, kill)
            if after == 0 or ended.get(run, kill + 1) <= kill or after == len(times) or after == counted_from:
                continue
            counted_from = after
            found.append(times[after] - kill)
    return found


def _place(line: Line) -> Place:
    return str(line["run"]), int(line["step"])
