"""What came of all schedules, for people. Values only."""

from collections import Counter
from dataclasses import dataclass, field

SHOWN = 5
"""Violations that a report tells in full; the others are alike, most often."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong: with which crash, at which step, what happened, and what to do about it."""

    schedule: str
    step: str | None
    what: str
    remedy: str

    def __str__(self) -> str:
        at = f"\n    step: {self.step}" if self.step else ""
        return f"{self.what}\n    crash: {self.schedule}{at}\n    do: {self.remedy}"


@dataclass(frozen=True, slots=True)
class CrashReport:
    """`schedules`: how many were played, one crash each, of `points` places to crash at; `crashes` by place.

    `executions`: how often steps ran in all schedules together; `asked`: how often a human was asked about one in
    doubt. `str(report)` is for people; `check` raises it.
    """

    workflow: str
    status: str
    points: int
    schedules: int
    crashes: dict[str, int]
    executions: int
    asked: int
    violations: list[Violation] = field(default_factory=list)

    def check(self) -> None:
        """Raise AssertionError with the report, if there is a violation."""
        if self.violations:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        left = "" if self.schedules == self.points else f" of {self.points}"
        lines = [
            f"{self.workflow}: {self.schedules}{left} schedules, one crash each; undisturbed it ends as {self.status}",
            f"crashes: {', '.join(f'{count} {place}' for place, count in sorted(self.crashes.items()))}",
            f"steps were executed {self.executions} times, a human was asked {self.asked} times",
            f"{len(self.violations)} violations",
        ]
        kinds = Counter((each.step, each.remedy) for each in self.violations)
        shown: set[tuple[str | None, str]] = set()
        for each in self.violations:
            kind = (each.step, each.remedy)
            if kind in shown or len(shown) == SHOWN:
                continue
            shown.add(kind)
            more = f"\n    and {kinds[kind] - 1} more of this kind" if kinds[kind] > 1 else ""
            lines.append(f"\n  {each}{more}")
        return "\n".join(lines)
