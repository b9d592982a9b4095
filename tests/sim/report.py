"""What many seeds were like."""

from collections import Counter
from typing import get_args

from tests.sim.case import Verdict

from logkeel.records import EventKind

PERCENTS = (0, 10, 50, 90, 100)


class Report:
    """Adds verdicts up."""

    def __init__(self) -> None:
        self._verdicts: list[Verdict] = []
        self.failed: list[Verdict] = []

    @property
    def played(self) -> int:
        """How many there are."""
        return len(self._verdicts)

    def add(self, verdict: Verdict) -> None:
        """One more."""
        self._verdicts.append(verdict)
        if verdict.faults:
            self.failed.append(verdict)

    def text(self, seconds: float) -> str:
        """The whole report."""
        count = len(self._verdicts)
        rows = [
            f"{'':22}" + "".join(f"{f'{percent} %':>9}" for percent in PERCENTS),
            self._row("runs", [each.runs for each in self._verdicts]),
            self._row("steps", [each.steps for each in self._verdicts]),
            self._row("faults that struck", [sum(each.struck.values()) for each in self._verdicts]),
            self._row("events", [each.events for each in self._verdicts]),
            self._row("simulated seconds", [round(each.simulated_ms / 1_000) for each in self._verdicts]),
        ]
        struck: Counter[str] = Counter()
        for each in self._verdicts:
            struck.update(each.struck)
        strikes = ", ".join(f"{kind} {times}" for kind, times in struck.most_common())
        rows += [f"faults: {strikes}", f"humans were asked {sum(each.asked for each in self._verdicts)} times"]
        kinds = {*get_args(EventKind)} - {"other"}
        missing = sorted(kinds - {kind for each in self._verdicts for kind in each.folded})
        share = 100 * (len(kinds) - len(missing)) / len(kinds)
        rows.append(
            f"fold handlers: {len(kinds) - len(missing)} of {len(kinds)} ({share:.0f} %) were reached"
            + (f", not {', '.join(missing)}" if missing else "")
        )
        spent_s = sum(each.processor_s for each in self._verdicts)
        rows.append(f"{count} seeds in {seconds:.0f} s ({spent_s:.0f} s of a processor), {len(self.failed)} failed")
        return "\n".join(rows)

    @staticmethod
    def _row(name: str, values: list[int]) -> str:
        ordered = sorted(values)
        picked = [ordered[min(len(ordered) - 1, percent * len(ordered) // 100)] for percent in PERCENTS]
        return f"{name:22}" + "".join(f"{value:9}" for value in picked)
