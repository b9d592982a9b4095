"""What runs may use up: what an author says of budgets, and the checks. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from msgspec import UnsetType

from logkeel.definitions import Block, BudgetDefinition, ChildBlock, OnExhausted, StepDefinition, all_blocks
from logkeel.records.limits import MAX_AMOUNT
from logkeel.workflow.durations import Duration, to_milliseconds
from logkeel.workflow.naming import NAME
from logkeel.workflow.problems import Problem
from logkeel.workflow.state import StateField

if TYPE_CHECKING:
    from logkeel.workflow.steps import Step

WALL_MS = "wall_ms"
"""The unit that steps do not report: milliseconds that their executions take, counted by the engine."""


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `limit` of a unit in each run, as in `Budget("tokens", 200_000)`.

    With `key`, a control field, `per` or `name` it is not for one run: each value of the field has one, or all runs
    together; of what is used within any time of length `per`, or ever. It is the workflow's own unless it has a `name`,
    which other workflows may give as well. `on_exhausted`: "fail"; "wait" until `per` frees what is needed; or "ask" a
    human whether a run is to have more.
    Amounts are whole numbers; the unit says of what: `usd_micros`, not `usd`.
    """

    unit: str
    limit: int
    key: str | None = None
    per: Duration | None = None
    name: str | None = None
    on_exhausted: OnExhausted = "fail"

    @property
    def is_shared(self) -> bool:
        """Whether runs share it."""
        return not (self.key is None and self.per is None and self.name is None)


def budget_definitions(budgets: Sequence[Budget], workflow: str) -> tuple[BudgetDefinition, ...]:
    """Budgets as data. They have been checked."""
    return tuple(
        BudgetDefinition(
            unit=each.unit,
            limit=each.limit,
            name=f"{each.name or workflow}/{each.unit}" if each.is_shared else None,
            key=each.key,
            per_ms=None if each.per is None else to_milliseconds(each.per),
            on_exhausted=each.on_exhausted,
        )
        for each in budgets
    )


def budget_problems(budgets: Any, fields: Mapping[str, StateField], workflow: str) -> Iterator[Problem]:
    """What is wrong with the budgets of a workflow by themselves."""
    place = f"Workflow({workflow!r})"
    if not isinstance(budgets, list | tuple) or not all(isinstance(each, Budget) for each in budgets):
        what = f"budgets= of workflow {workflow!r} is {budgets!r}, which is no list of budgets"
        yield Problem(what, place, 'write budgets=[Budget("tokens", 200_000)]')
        return
    for each in budgets:
        yield from _one_problems(each, fields, place)
    known = [(each.unit, each.name, each.key, each.per) for each in budgets]
    if len(set(known)) != len(known):
        what = f"budgets= of workflow {workflow!r} says the same budget twice"
        yield Problem(what, place, "keep one of them, or give them other keys or names")


def _one_problems(budget: Budget, fields: Mapping[str, StateField], place: str) -> Iterator[Problem]:
    unit = budget.unit
    if not _is_unit(unit):
        remedy = 'call it as step.used(…) would: "tokens", "usd_micros"'
        yield Problem(f"{unit!r} is no unit of a budget", place, remedy)
    if not _is_amount(budget.limit):
        what = f"the budget of {unit!r} is {budget.limit!r}, so that nothing would ever begin"
        remedy = 'give it a whole number from 1 on, in a unit that is small enough: Budget("usd_micros", 5_000_000)'
        yield Problem(what, place, remedy)
    if budget.on_exhausted == "ask" and budget.is_shared:
        what = f"the budget of {unit!r} is shared by runs, and says on_exhausted='ask': whose answer would it be?"
        yield Problem(what, place, 'write on_exhausted="fail" or "wait", or give each run a budget of its own')
    elif budget.on_exhausted not in get_args(OnExhausted) or (budget.on_exhausted == "wait" and budget.per is None):
        what = f"the budget of {unit!r} says on_exhausted={budget.on_exhausted!r}, and nothing would end that"
        yield Problem(what, place, 'write on_exhausted="fail", or say with per= when it is free again')
    if budget.name is not None and not NAME.fullmatch(budget.name):
        remedy = "use letters, digits, '_', '.' and '-', with a letter first"
        yield Problem(f"{budget.name!r} is no name of a budget", place, remedy)
    if budget.per is not None and not _is_time(budget.per):
        remedy = f'write e.g. Budget({unit!r}, {budget.limit}, per="24h")'
        yield Problem(f"the budget of {unit!r} is per {budget.per!r}, which is no time", place, remedy)
    known = None if budget.key is None else fields.get(budget.key)
    if budget.key is not None and known is None:
        what = f"the budget of {unit!r} is for each {budget.key!r}, which is no field of the state"
        yield Problem(what, place, f"use one of {', '.join(fields)}")
    elif known is not None and known.definition.control_type is None:
        what = f"the budget of {unit!r} is for each {budget.key!r}, which the engine cannot read"
        yield Problem(what, place, f"mark the field as Annotated[str, Control], or declare {budget.key!r} as a Literal")


def uses_problems(uses: Any, whose: str, place: str) -> Iterator[Problem]:
    """What is wrong with what a step, or a child, says that it uses, by itself."""
    if not isinstance(uses, Mapping):
        what = f"uses= of {whose} is {uses!r}"
        yield Problem(what, place, 'write uses={"tokens": 4_000}: how much one attempt uses at most')
        return
    for unit, amount in uses.items():
        if unit == WALL_MS:
            remedy = "leave it out: of time, as much is reserved as timeout= allows"
            yield Problem(f"{whose} says that it uses {unit!r}, which the engine counts", place, remedy)
        elif not _is_unit(unit) or not _is_amount(amount):
            what = f"{whose} says that it uses {amount!r} of {unit!r}"
            yield Problem(what, place, "write a unit, and the whole number from 1 on that one attempt uses at most")


def flow_problems(
    budgets: Sequence[Budget],
    own: "Sequence[Step[..., Any]]",
    inner: Mapping[str, Sequence[StepDefinition]],
    flow: Block,
    place: str,
) -> Iterator[Problem]:
    """Whether steps, children and budgets fit together. `inner`: steps of inner workflows, by its name."""
    if not budgets:
        return
    steps = [(each.signature.place, each.definition()) for each in dict.fromkeys(own)]
    steps += [(f"workflow {name!r}", each) for name, some in inner.items() for each in some]
    used: set[str] = set()
    for where, definition in steps:
        most = most_of(definition)
        used |= {*most}
        yield from _fit_problems(budgets, definition, most, where)
    children = [each for each in all_blocks(flow) if isinstance(each, ChildBlock)]
    yield from _child_problems(budgets, children, place)
    # What calls of durable code use is said where they are made, and what children use by them: nobody knows it here.
    has_others = bool(children) or any(definition.journaled is True for _, definition in steps)
    for budget in budgets:
        if budget.unit not in used | {WALL_MS} and not has_others:
            what = f"nothing in the flow uses the budget of {budget.unit!r}"
            yield Problem(what, place, f'say uses={{"{budget.unit}": …}} at the steps that do, or take it out')


def _child_problems(budgets: Sequence[Budget], children: Sequence[ChildBlock], place: str) -> Iterator[Problem]:
    known = least_of([each for each in budgets if not each.is_shared])
    for child in children:
        uses = {} if isinstance(child.uses, UnsetType) else child.uses
        for unit in sorted(set(uses) - {WALL_MS}):
            what = f"child {child.id!r} may use {uses[unit]} {unit}, "
            if unit not in known:
                remedy = "give each run a budget of it, or leave it out: a child shares none but its parent's own"
                yield Problem(f"{what}of which a run of the workflow has no budget", place, remedy)
            elif uses[unit] > known[unit]:
                remedy = "let it say that it uses less, or raise the budget"
                yield Problem(f"{what}and the budget is {known[unit]}: it never begins", place, remedy)


def least_of(budgets: Sequence[Budget]) -> dict[str, int]:
    """Of each unit the smallest of its budgets."""
    found: dict[str, int] = {}
    for each in budgets:
        found[each.unit] = min(each.limit, found.get(each.unit, each.limit))
    return found


def most_of(definition: StepDefinition) -> dict[str, int]:
    """What one attempt uses at most of units that it reports."""
    return {} if isinstance(definition.uses, UnsetType) else definition.uses


def _fit_problems(
    budgets: Sequence[Budget], step: StepDefinition, most: Mapping[str, int], place: str
) -> Iterator[Problem]:
    units = {each.unit for each in budgets}
    for unit in sorted({*most} - units):
        what = f"step {step.name!r} says that it uses {unit!r}, of which the workflow has no budget"
        yield Problem(what, place, f"use one of {', '.join(sorted(units))}, or add Budget({unit!r}, …) to budgets=")
    if WALL_MS in units and step.timeout_ms is None:
        what = f"step {step.name!r} has no time-out, and the workflow a budget of time"
        yield Problem(what, place, "give it timeout=…: so much is reserved for an execution")
    for budget in budgets:
        asked = step.timeout_ms if budget.unit == WALL_MS else most.get(budget.unit)
        if asked is not None and _is_amount(budget.limit) and asked > budget.limit:
            what = (
                f"step {step.name!r} may use {asked} {budget.unit}, and the budget is {budget.limit}: it never begins"
            )
            remedy = "give it a shorter timeout=" if budget.unit == WALL_MS else "let it say that it uses less"
            yield Problem(what, place, f"{remedy}, or raise the budget")
        if asked is not None and budget.is_shared and step.journaled is True:
            what = f"step {step.name!r} has a journal, and the budget of {budget.unit!r} is shared by runs"
            remedy = "let its calls say what they use, by step.options(uses=…), or give each run a budget of its own"
            yield Problem(what, place, remedy)


def _is_unit(unit: object) -> bool:
    return isinstance(unit, str) and unit.isidentifier()


def _is_amount(amount: object) -> bool:
    return isinstance(amount, int) and not isinstance(amount, bool) and 1 <= amount <= MAX_AMOUNT


def _is_time(duration: Duration) -> bool:
    try:
        return to_milliseconds(duration) >= 1
    except ValueError:
        return False
