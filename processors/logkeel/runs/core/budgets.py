"""What a run has used up of its budgets, and whether a step may be sent (decision 0031). Pure; values and rules.

Before an execution is sent, as much is reserved as it says that it uses at most; its end settles that, with what it
says that it has used, or else with all of it. Every amount stands in the event that reserves or settles it
(`RunEvent.amounts`), so a history is the account of its run.

Code with a journal is one thing over all its executions, since a later one repeats what it tells: it keeps what was
reserved until it ends, fails or begins anew, and what a failed attempt has counted is not counted again. Time is no
such thing: each execution takes its own.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec
from msgspec import UnsetType

from logkeel.definitions import BudgetDefinition, StepDefinition
from logkeel.records import ErrorInfo, EventKind, JournalEntry
from logkeel.records.executions import UNBEGUN
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.state import Account, RunInfo, RunState, StepState

WALL_MS: Final = "wall_ms"
"""The unit of time that executions take; the engine counts it, and reserves the time-out."""

_ENDS: Final = frozenset({"step_succeeded", "step_failed", "step_revoked", "step_restarted"})
"""Behind these nothing of the execution comes that would count."""

FOR_CALLS: Final = frozenset({"limit_asked", "step_resumed"})
"""Their amounts are reserved for a call of a step's code."""

RESERVES: Final = frozenset({"step_dispatched", "child_started", *FOR_CALLS})
"""Their amounts are reserved."""

_BACK: Final = frozenset({"step_refused", "step_held"})
"""Here nothing was executed."""


_ASKED: Final = "budget:"
"""Before the unit, the path of the question for more of it; no block has such a name."""


def question_path(unit: str) -> str:
    """Where a human is asked for more of this unit."""
    return _ASKED + unit


def is_budget_question(path: str) -> bool:
    """Whether it is such a path."""
    return path.startswith(_ASKED)


def unit_asked_for(path: str) -> str:
    """The unit of such a path."""
    return path.removeprefix(_ASKED)


class Lack(NamedTuple):
    """Why a step may not be sent. `left`: what there is, of all that there ever was (`limit`).

    `waits`: others have reserved what it needs, and may not use it, or a human may give more; `asks`: is to be asked.
    """

    budget: BudgetDefinition
    asked: int
    limit: int
    left: int
    waits: bool
    asks: bool = False


def run_budgets(info: RunInfo, plan: Plan) -> tuple[BudgetDefinition, ...]:
    """What the run has for itself: by its definition, and what its parent lets it use."""
    inherited = (
        BudgetDefinition(unit=each.unit, limit=each.limit, on_exhausted="ask" if each.asks else "fail")
        for each in info.allowances
    )
    return (*plan.run_budgets, *inherited) if info.allowances else plan.run_budgets


def units_of(info: RunInfo, plan: Plan) -> frozenset[str]:
    """Units that have a budget here."""
    return plan.units | {each.unit for each in info.allowances} if info.allowances else plan.units


def most_of(plan: Plan, path: str, units: frozenset[str]) -> dict[str, int]:
    """What the step at this path uses at most, of these units: they have a budget."""
    placed = plan.steps[path]
    if placed.undoes:
        return {}
    definition = placed.definition
    uses = {} if isinstance(definition.uses, UnsetType) else definition.uses
    found = {unit: amount for unit, amount in uses.items() if unit in units and unit != WALL_MS}
    if WALL_MS in units and definition.timeout_ms is not None:
        found[WALL_MS] = definition.timeout_ms
    return found


def lack_of(state: RunState, plan: Plan, path: str) -> Lack | None:
    """Whether a budget of the run has too little left for the step."""
    step = state.steps.get(path)
    reserved = {} if step is None else step.reserved
    found = most_of(plan, path, units_of(state.info, plan))
    return lack(state, plan, {unit: most for unit, most in found.items() if unit not in reserved})


def lack(state: RunState, plan: Plan, most: Mapping[str, int]) -> Lack | None:
    """Whether a budget of the run has too little left for this; one that is used up goes before one that waits."""
    waiting = None
    for budget in run_budgets(state.info, plan):
        asked = most.get(budget.unit, 0)
        account = state.head.accounts.get(budget.unit, Account())
        if not asked:
            continue
        limit = limit_of(budget, account)
        left = max(limit - account.spent, 0)
        if asked > left:
            asks = budget.on_exhausted == "ask" and not account.refused
            found = Lack(budget, asked, limit, left, waits=asks, asks=asks)
            if not asks:
                return found
            waiting = found
        elif asked > left - account.reserved:
            waiting = waiting or Lack(budget, asked, limit, left, waits=True)
    return waiting


def limit_of(budget: BudgetDefinition, account: Account) -> int:
    """How much there is of it in all: what humans give is for budgets that ask them."""
    return budget.limit + (account.granted if budget.on_exhausted == "ask" else 0)


def exhausted(path: str, lack: Lack) -> ErrorInfo:
    """The error of a step that finds too little left."""
    message = (
        f"{path} may use {lack.asked} {lack.budget.unit}, and of the {lack.limit} of this run {lack.left} are left:"
        " give it a larger budget, let the step say that it uses less, or catch budget_exhausted with rescue"
    )
    return ErrorInfo(code="budget_exhausted", kind="fatal", message=message)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What an event is about to say of an execution. `used`: what its step has reported.

    Of the end of a child run, `number` is the revision that has started it.
    """

    kind: EventKind
    path: str
    reason: str | None
    due_ms: int | None
    started_at_ms: int | None
    used: Mapping[str, int]
    journal: JournalEntry | None = None
    number: int | None = None


def amounts_of(state: RunState, plan: Plan, told: Told, now_ms: int) -> dict[str, int]:
    """What the event reserves, settles, or grants by a human's word, by unit."""
    if told.kind == "question_answered":
        return dict(told.used)
    step = state.steps.get(told.path)
    if told.kind == "step_dispatched":
        most = most_of(plan, told.path, units_of(state.info, plan))
        return {unit: most[unit] for unit in sorted(most) if step is None or unit not in step.reserved}
    if step is None:
        return {}
    definition = plan.steps[told.path].definition
    amounts = {
        unit: _settled(step, definition, unit, told, now_ms)
        for unit in sorted(step.reserved)
        if _is_settled(unit, told, keeps=definition.journaled is True)
    }
    most = most_of(plan, told.path, units_of(state.info, plan)) if told.used else {}
    for unit in sorted(told.used):
        if unit not in step.reserved and unit not in most and unit != WALL_MS:
            amounts[unit] = _reported(step, unit, told.used[unit])
    return amounts


def _is_settled(unit: str, told: Told, *, keeps: bool) -> bool:
    if told.kind in _ENDS:
        return True
    if keeps and unit != WALL_MS:
        return False
    match told.kind:
        case "step_in_doubt" | "step_suspended" | "step_refused" | "step_held":
            return True
        case "step_reclaimed":
            return told.reason == "lost"
        case "step_released":
            return told.reason not in UNBEGUN or told.due_ms is not None
        case _:
            return False


def _settled(step: StepState, definition: StepDefinition, unit: str, told: Told, now_ms: int) -> int:
    reserved = step.reserved[unit]
    if told.kind in _BACK or (told.kind == "step_released" and told.reason in UNBEGUN):
        return 0
    if unit == WALL_MS:
        since_ms = told.started_at_ms or step.started_at_ms or step.dispatched_ms
        return min(max(now_ms - since_ms, 0), reserved)
    return _reported(step, unit, told.used[unit]) if unit in told.used else reserved


def _reported(step: StepState, unit: str, used: int) -> int:
    """What is new of it: code with a journal tells the same again when it is tried again."""
    return max(used - step.counted.get(unit, 0), 0)
