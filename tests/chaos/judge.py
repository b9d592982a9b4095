"""The judge: what the outside ledger, the completions and the histories say, each against what was promised. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from logkeel.records import RunCompleted, RunEvent

Line = Mapping[str, Any]
Stopped = tuple[int, float, float]
WAKE_S = 2.0
"""How long after its wake-up a stopped process may still do what it had begun: P39's window."""


def faults_of_completions(sent: int, completions: Sequence[RunCompleted]) -> list[str]:
    """Each run completes once, with its result."""
    first = [completion for completion in completions if not completion.reannounced]
    counts = Counter((completion.run_id, completion.incarnation) for completion in first)
    runs = Counter(run_id for run_id, _ in counts)
    found = [f"{run}: completed {times} times" for run, times in counts.items() if times > 1]
    found += [f"{run_id}: {times} incarnations" for run_id, times in runs.items() if times > 1]
    found += [f"run-{number}: never completed" for number in range(sent) if f"run-{number}" not in runs]
    for completion in first:
        expected = str(2 * int(completion.run_id.removeprefix("run-"))).encode()
        values = [value.payload.data for value in completion.result if value.payload is not None]
        if completion.status != "succeeded" or values != [expected]:
            found.append(f"{completion.run_id}: {completion.status} with {values}, not {expected!r}")
    return found


def faults_of_effects(lines: Iterable[Line], stopped: Sequence[Stopped]) -> tuple[list[str], int]:
    """(faults, doubles in P39's window). One key per step; CHECKED and ONCE happen once per step."""
    keys: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    effects: dict[tuple[str, str, str], list[Line]] = defaultdict(list)
    for line in lines:
        place = (line["run"], line["incarnation"], line["path"])
        keys[place].add(line["key"])
        if line["what"] == "effect":
            effects[place].append(line)
    found = [f"{place}: {len(several)} keys" for place, several in keys.items() if len(several) > 1]
    in_window = 0
    for place, happened in effects.items():
        if happened[0]["effect"] not in ("CHECKED", "ONCE") or len(happened) == 1:
            continue
        if any(_just_woken(line, stopped) for line in happened):
            in_window += 1
        else:
            found.append(f"{place}: {happened[0]['effect']} happened {len(happened)} times")
    return found, in_window


def _just_woken(line: Line, stopped: Sequence[Stopped]) -> bool:
    return any(pid == line["pid"] and began <= line["at"] <= ended + WAKE_S for pid, began, ended in stopped)


def faults_of_history(run_id: str, events: Sequence[RunEvent]) -> list[str]:
    """Numbered 1, 2, 3 … without a gap, and finished steps never run again."""
    found = []
    if [event.revision for event in events] != list(range(1, len(events) + 1)):
        found.append(f"{run_id}: the history has gaps or doubles")
    done: set[str] = set()
    for event in events:
        if event.kind == "step_dispatched" and event.path in done:
            found.append(f"{run_id}: {event.path} was sent again after it was done")
        if event.kind == "step_succeeded" and event.path is not None:
            done.add(event.path)
    return found


def begun_not_ended(lines: Iterable[Line], pid: int) -> int:
    """How many steps a process was in when it died."""
    begun: set[tuple[str, int]] = set()
    for line in lines:
        if line["pid"] == pid and line["what"] == "begin":
            begun.add((line["key"], line["dispatch"]))
        elif line["pid"] == pid and line["what"] == "end":
            begun.discard((line["key"], line["dispatch"]))
    return len(begun)
