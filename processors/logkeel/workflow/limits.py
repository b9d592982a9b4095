"""How much at once, and how often: what an author says of limits, and the checks. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from logkeel.definitions import Block, ChildBlock, LimitDefinition, all_blocks
from logkeel.workflow.durations import Duration, to_milliseconds
from logkeel.workflow.naming import NAME
from logkeel.workflow.problems import Problem
from logkeel.workflow.state import StateField

if TYPE_CHECKING:
    from logkeel.workflow.workflow import Workflow


@dataclass(frozen=True, slots=True)
class Concurrency:
    """At most `limit` at once, over the whole application: runs of a workflow, or executions of a step.

    `key`: so many for each value of that control field. Steps that give the same `name` share the limit.
    """

    limit: int
    key: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` begin within any time of length `per`, over the whole application. See `Concurrency`."""

    limit: int
    per: Duration
    key: str | None = None
    name: str | None = None


Limit: TypeAlias = Concurrency | Rate


def limit_definitions(limits: Sequence[Limit], default: str) -> tuple[LimitDefinition, ...]:
    """Limits as data; `default`: the name of those that have none. They have been checked."""
    return tuple(
        LimitDefinition(
            kind="rate" if isinstance(each, Rate) else "concurrency",
            name=each.name or default,
            limit=each.limit,
            key=each.key,
            per_ms=to_milliseconds(each.per) if isinstance(each, Rate) else None,
        )
        for each in limits
    )


def run_limits_name(workflow: str) -> str:
    """What limits of a workflow's runs are called: as none of a step can be."""
    return f"runs:{workflow}"


def limit_problems(
    limits: Any, fields: Mapping[str, StateField], whose: str, place: str, *, named: bool = True
) -> Iterator[Problem]:
    """What is wrong with the limits of `whose`; `named`: they may have names."""
    if not isinstance(limits, list | tuple):
        what = f"limits= of {whose} is {limits!r}, which is no list of limits"
        yield Problem(what, place, "write limits=[Concurrency(10)]")
        return
    for each in limits:
        if not isinstance(each, Concurrency | Rate):
            yield Problem(f"limits= of {whose} has {each!r}", place, "use Concurrency(…) and Rate(…)")
            continue
        yield from _number_problems(each, whose, place)
        yield from _key_problems(each, fields, whose, place)
        if each.name is not None and not named:
            what = f"a limit of the runs of {whose} is called {each.name!r}"
            yield Problem(what, place, "leave name= out: it belongs to this workflow alone")
        elif each.name is not None and not NAME.fullmatch(each.name):
            remedy = "use letters, digits, '_', '.' and '-', with a letter first"
            yield Problem(f"{each.name!r} is no name of a limit", place, remedy)
    known = [(type(each), each.name, each.key) for each in limits if isinstance(each, Concurrency | Rate)]
    if len(set(known)) != len(known):
        what = f"limits= of {whose} says the same limit twice"
        yield Problem(what, place, "keep one of them, or give them other keys or names")


def _number_problems(limit: Limit, whose: str, place: str) -> Iterator[Problem]:
    given: object = limit.limit
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        what = f"a limit of {whose} is {given!r}, so that nothing would ever begin"
        yield Problem(what, place, "give it a whole number from 1 on")
    if isinstance(limit, Rate):
        try:
            too_short = to_milliseconds(limit.per) < 1
        except ValueError as error:
            yield Problem(f"the rate of {whose} is wrong: {error}", place, 'write e.g. Rate(60, per="1m")')
            return
        if too_short:
            yield Problem(f"the rate of {whose} is per {limit.per!r}", place, 'write e.g. Rate(60, per="1m")')


def _key_problems(limit: Limit, fields: Mapping[str, StateField], whose: str, place: str) -> Iterator[Problem]:
    if limit.key is None:
        return
    known = fields.get(limit.key)
    if known is None:
        what = f"a limit of {whose} is for each {limit.key!r}, which is no field of the state"
        yield Problem(what, place, f"use one of {', '.join(fields)}")
    elif known.definition.control_type is None:
        what = f"a limit of {whose} is for each {limit.key!r}, which the engine cannot read"
        yield Problem(what, place, f"mark the field as Annotated[str, Control], or declare {limit.key!r} as a Literal")


def circle_problems(
    workflow: "Workflow[Any]", flow: Block, children: Mapping[str, "Workflow[Any]"], *, code: bool = False
) -> list[Problem]:
    """Runs that hold a slot and wait, at whatever depth, for runs that need one of the same limit.

    `code`: also those that the code of a step may wait for, which is known when all workflows are defined.
    """
    awaited = {workflow.name: _awaited(workflow, flow, code=code)}
    known = {**children, workflow.name: workflow}
    left = [*awaited[workflow.name]]
    while left:
        name = left.pop()
        if name in awaited or name not in known:
            continue
        blocks = known[name].blocks
        awaited[name] = set() if blocks is None else _awaited(known[name], blocks, code=code)
        known |= known[name].children
        left += awaited[name]
    return [
        Problem(
            f"a run of {name!r} holds a slot of its limit, and waits for a run of {name!r} that needs one as well",
            f"Workflow({name!r})",
            "limit steps instead of runs, start the child with detach=True, or let another workflow have the limit",
        )
        for name in sorted(awaited)
        if any(isinstance(each, Concurrency) for each in known[name].limits) and _reaches(name, awaited)
    ]


def _awaited(workflow: "Workflow[Any]", flow: Block, *, code: bool) -> set[str]:
    of_blocks = {each.workflow for each in all_blocks(flow) if isinstance(each, ChildBlock) and not each.detach}
    return of_blocks | set(workflow.started_by_code) if code else of_blocks


def _reaches(name: str, awaited: Mapping[str, set[str]]) -> bool:
    left, seen = [*awaited[name]], set[str]()
    while left:
        each = left.pop()
        if each not in seen:
            seen.add(each)
            left += awaited.get(each, ())
    return name in seen
