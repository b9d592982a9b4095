"""A workflow under every crash: engine and worker are killed before and after each effect, one schedule each.

An effect is whatever a process does to the log, to its disk, or to the outside. Deterministic: the same workflow gives
the same schedules. The parts are production's, on a simulated broker and clock; nothing sleeps.
"""

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypedDict, Unpack

import structlog

from logkeel.testing.crashes.judging import calm_violations, violations
from logkeel.testing.crashes.outside import Outside
from logkeel.testing.crashes.report import CrashReport
from logkeel.testing.crashes.schedule import Case, Played, play
from logkeel.testing.world import EffectStrike, crashes_everywhere
from logkeel.workflow import Workflow
from logkeel.workflow.problems import Problem, raise_for

Given = Mapping[Any, Any] | Callable[[Outside], Mapping[Any, Any]] | None


class CrashOptions(TypedDict, total=False):
    """`humans` and `signals` as for `try_out`; a step in doubt is looked at by a careful human if nobody is named.

    `ends`: "any" if a crash may change how the run ends. `at_most`: so many schedules, evenly spread over all places.
    """

    humans: Any
    signals: Sequence[Any]
    ends: Literal["same", "any"]
    at_most: int


def crash_everywhere(
    workflow: "Workflow[Any]",
    inputs: Mapping[str, Any],
    *,
    resources: Given = None,
    results: Given = None,
    **options: Unpack[CrashOptions],
) -> CrashReport:
    """Play one run of the workflow under each crash, and report. Takes about 50 ms for each schedule.

    `resources` and `results` as for `try_out`, or functions from the `Outside` of a schedule to them: what fakes keep
    must be kept there, so that it outlives a process and not a schedule. Raises `InvalidInput`, and `DefinitionError`
    if a fake fits nothing or a human is missing. Call `check` on the report.
    """
    case = Case(workflow, inputs, resources, results, options.get("humans"), options.get("signals", ()))
    effects = {step.name: step.effect for step in workflow.document().steps}
    with _silence(), TemporaryDirectory(prefix="logkeel-crash-") as folder:
        directory = Path(folder)
        calm = play(case, (), directory)
        _refuse_lacking(calm)
        again = play(case, (), directory)
        same_end = options.get("ends", "same") == "same" and again.result == calm.result
        found = list(calm_violations(calm, effects))
        found += violations(calm, calm, effects, same_end=False)
        crashes: Counter[str] = Counter()
        executions = asked = schedules = 0
        for strike in () if calm.faults else _chosen(calm.effects, options.get("at_most")):
            played = play(case, (strike,), directory, calm)
            schedules += 1
            crashes[_place(played)] += 1
            executions += len(played.outside.calls)
            asked += played.asked
            found += violations(played, calm, effects, same_end=same_end)
    return CrashReport(
        workflow=workflow.name,
        status=calm.status,
        points=2 * calm.effects,
        schedules=schedules,
        crashes=dict(crashes),
        executions=executions,
        asked=asked,
        violations=found,
    )


def _chosen(effects: int, at_most: int | None) -> Iterator[EffectStrike]:
    strikes = list(crashes_everywhere(effects))
    if at_most is None or at_most >= len(strikes):
        return iter(strikes)
    return (strikes[number * len(strikes) // at_most] for number in range(at_most))


def _place(played: Played) -> str:
    """Where the process was killed, without its slot: "engine after commit"."""
    found = re.match(r"(\w+)-\d+: crash (\w+) (\w+)", played.struck)
    return "nowhere" if found is None else " ".join(found.groups())


def _refuse_lacking(calm: Played) -> None:
    raise_for(
        [Problem(lacked, "crash_everywhere(humans=…)", "name who answers, or say 'nobody'") for lacked in calm.lacked]
    )


@contextmanager
def _silence() -> Iterator[None]:
    """Workers and engines log what a crash does to them, hundreds of times."""
    configuration = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**configuration)
