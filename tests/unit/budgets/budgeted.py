"""Workflows with budgets, and how much of them a run has used up."""

from collections.abc import Sequence

from msgspec.structs import replace
from tests.unit.runs.scripts import failed, plan_of, succeeded

from logkeel.definitions import Block, BudgetDefinition, FieldDefinition, OnExhausted
from logkeel.records import StepFailed, StepSucceeded
from logkeel.runs.core.activation import Activation
from logkeel.runs.core.answers import answer
from logkeel.runs.core.budgeting import go_on
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.state import Account, RunState

TENANT = FieldDefinition(name="tenant", control_type="string", default="acme")


def of_run(limit: int, unit: str = "tokens") -> BudgetDefinition:
    """So much in each run."""
    return BudgetDefinition(unit=unit, limit=limit)


def shared(
    limit: int,
    per_ms: int | None = None,
    *,
    unit: str = "tokens",
    key: str | None = None,
    on_exhausted: OnExhausted = "fail",
) -> BudgetDefinition:
    """So much in all runs together."""
    return BudgetDefinition(
        unit=unit, limit=limit, name=f"work/{unit}", key=key, per_ms=per_ms, on_exhausted=on_exhausted
    )


def budgeted(flow: Block, budgets: Sequence[BudgetDefinition], uses: dict[str, dict[str, int]], **how: object) -> Plan:
    """A plan whose steps use up these budgets; `tenant` may be a key."""
    document = plan_of(flow, **how).document  # type: ignore[arg-type]  # by keyword
    steps = tuple(replace(each, uses=uses[each.name]) if each.name in uses else each for each in document.steps)
    return Plan(
        replace(document, fields=(*document.fields, TENANT), steps=steps, budgets=tuple(budgets)), document.name
    )


def journaled(plan: Plan, name: str) -> Plan:
    """The same plan; the code of that step has a journal."""
    steps = tuple(replace(each, journaled=True) if each.name == name else each for each in plan.document.steps)
    return Plan(replace(plan.document, steps=steps), plan.digest)


def account(state: RunState, unit: str = "tokens") -> tuple[int, int]:
    """What is spent, and what is reserved beyond that."""
    found = state.head.accounts.get(unit, Account())
    return found.spent, found.reserved


def with_used(outcome: StepSucceeded | StepFailed, **used: int) -> StepSucceeded | StepFailed:
    """The same, with what the step says it has used."""
    return replace(outcome, used=used)


def done(state: RunState, path: str, **used: int) -> StepSucceeded | StepFailed:
    """It returned, and has used so much."""
    return with_used(succeeded(state, path), **used)


def broke(state: RunState, path: str, kind: str = "retryable", **used: int) -> StepSucceeded | StepFailed:
    """It raised, and has used so much."""
    return with_used(failed(state, path, kind), **used)


def hear(turn: Activation, message: StepSucceeded | StepFailed) -> Activation:
    """The next turn of the run: it hears this."""
    following = Activation(turn.state, turn.plan, turn.now_ms + 1_000)
    answer(following, message)
    go_on(following)
    return following
