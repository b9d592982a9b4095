"""Schedules as authors declare them: beside a workflow, with the input that each of their runs gets."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypedDict

from logkeel.definitions.rhythm import Rhythm, problem_of
from logkeel.errors import InvalidInput
from logkeel.records import Overlap
from logkeel.workflow.durations import Duration, to_milliseconds
from logkeel.workflow.problems import Problem, raise_for

if TYPE_CHECKING:
    from logkeel.workflow.workflow import Workflow

Backfill: TypeAlias = Literal["none", "last", "all"] | int

MOST_BACKFILL: Final = 1_000
"""What "all" means: a schedule that makes up for more after an outage is not meant to."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_OVERLAPS: Final[tuple[Overlap, ...]] = ("skip", "queue", "cancel", "allow")


class ScheduleOptions(TypedDict, total=False):
    """When a schedule is due, and what then. One of `cron` (in the time zone `tz`, unless said UTC) and `every`.

    `overlap`: a former run goes on; the next is left out ("skip", unless said), waits ("queue"), ends it ("cancel"),
    or runs beside it ("allow"). `backfill`: due times that nobody started because no engine ran: none (unless said),
    the last one, so many of the last, or all (1 000). `input`: of each run.
    """

    cron: str
    every: Duration
    tz: str
    overlap: Overlap
    backfill: Backfill
    input: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What starts runs of `workflow`.

    `backfill`: how many of the newest missed due times are made up for. `version`: it was declared with that one.
    """

    name: str
    workflow: "Workflow[Any] | str"
    rhythm: Rhythm
    overlap: Overlap = "skip"
    backfill: int = 0
    inputs: Mapping[str, Any]
    version: str | None = None

    @property
    def workflow_name(self) -> str:
        """Whose runs it starts."""
        return self.workflow if isinstance(self.workflow, str) else self.workflow.name


def schedule_of(workflow: "Workflow[Any] | str", name: str, options: ScheduleOptions) -> Schedule:
    """A schedule of a workflow, or of one that is known by its name alone. Raises `DefinitionError`."""
    label = workflow if isinstance(workflow, str) else workflow.name
    place = f"schedule {name!r} of workflow {label!r}"
    every_ms, problem = _interval(options, place)
    rhythm = Rhythm(cron=options.get("cron"), every_ms=every_ms, timezone=options.get("tz", "UTC"))
    problems = [] if problem is None else [problem]
    problems += [*_problems(name, rhythm if not problems else None, options, place)]
    inputs = options.get("input", {})
    if not isinstance(workflow, str):
        problems += _workflow_problems(workflow, inputs, place)
    raise_for(problems)
    backfill = options.get("backfill", "none")
    return Schedule(
        name=name,
        workflow=workflow,
        rhythm=rhythm,
        overlap=options.get("overlap", "skip"),
        backfill=backfill if isinstance(backfill, int) else {"none": 0, "last": 1, "all": MOST_BACKFILL}[backfill],
        inputs=dict(inputs),
        version=None if isinstance(workflow, str) else workflow.version,
    )


def _interval(options: ScheduleOptions, place: str) -> tuple[int | None, Problem | None]:
    if "every" not in options:
        return None, None
    try:
        return to_milliseconds(options["every"]), None
    except ValueError as error:
        return None, Problem(str(error), place, 'write every="15m", for example')


def _problems(name: str, rhythm: Rhythm | None, options: ScheduleOptions, place: str) -> Iterator[Problem]:
    if not _NAME.fullmatch(name):
        what = f"{name!r} is no name of a schedule"
        yield Problem(what, place, "use 1 to 100 letters, digits, '_', '.' and '-': its runs are called name/time")
    problem = None if rhythm is None else problem_of(rhythm)
    if problem is not None:
        remedy = 'write cron="0 3 * * *" and tz="Europe/Berlin", or every="15m"; as tz an IANA name'
        yield Problem(problem, place, remedy)
    if rhythm is not None and rhythm.every_ms is not None and "tz" in options:
        yield Problem("an interval has no time zone", place, "leave tz= out, or write cron=")
    if options.get("overlap", "skip") not in _OVERLAPS:
        yield Problem(f"overlap={options.get('overlap')!r}", place, f"one of {', '.join(_OVERLAPS)}")
    backfill = options.get("backfill", "none")
    known = backfill in ("none", "last", "all") if isinstance(backfill, str) else not isinstance(backfill, bool)
    if not known or (isinstance(backfill, int) and not 0 <= backfill <= MOST_BACKFILL):
        yield Problem(f"backfill={backfill!r}", place, f'"none", "last", "all", or a number up to {MOST_BACKFILL}')


def _workflow_problems(workflow: "Workflow[Any]", inputs: Mapping[str, Any], place: str) -> Iterator[Problem]:
    if workflow.conversation is not None:
        what = "a schedule starts turns of a conversation"
        yield Problem(what, place, "let it start a workflow without conversation=, whose step speaks to it")
    try:
        workflow.encode_input(inputs)
    except InvalidInput as error:
        yield Problem(f"its input does not fit: {error.message}", place, "write input={...} with what each run needs")
