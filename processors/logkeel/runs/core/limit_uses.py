"""Which limits stand at a place, and whose they are there (decision 0030). Pure."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Final

from msgspec import UnsetType

from logkeel.definitions import BudgetDefinition, LimitDefinition
from logkeel.records import CallLimit, Control
from logkeel.runs.core.budgets import most_of
from logkeel.runs.core.limit_claims import LimitUse
from logkeel.runs.core.places import ROOT_SCOPE
from logkeel.runs.core.plan import Plan
from logkeel.runs.core.reading import field_value
from logkeel.runs.core.state import RunState

RUN: Final = ""
"""Stands for the path of a step where the run itself asks."""

KEY_CHARACTERS = 200
"""Of a value in a key: longer ones are told apart by their digest."""

_ORDER: Final = {"concurrency": 0, "budget": 1, "rate": 2}
"""What is only used up comes last, so that it is used up when the rest is there."""


def limits_at(plan: Plan, path: str) -> tuple[LimitDefinition, ...]:
    """What a step keeps to, or the run."""
    limits = plan.steps[path].definition.limits if path else plan.document.limits
    return () if isinstance(limits, UnsetType) else limits


def shared_at(plan: Plan, path: str) -> list[tuple[BudgetDefinition, int]]:
    """The budgets shared with other runs that a step uses, and how much of each at most. Code with a journal uses none:

    what it tells of is that of all its executions, and a claim is of one.
    """
    if not path or not plan.shared_budgets or plan.steps[path].definition.journaled is True:
        return []
    most = most_of(plan, path, plan.units)
    return [(each, most[each.unit]) for each in plan.shared_budgets if each.unit in most]


def uses_at(state: RunState, plan: Plan, path: str) -> tuple[LimitUse, ...]:
    """The same with the keys as they are now, in the order in which everybody asks: nobody waits in a circle then."""
    reading = plan.steps[path].reading if path else (ROOT_SCOPE,)
    return _in_order(state, plan, reading, limits_at(plan, path), shared_at(plan, path))


def uses_of_call(
    state: RunState, plan: Plan, path: str, limits: Sequence[CallLimit], most: Mapping[str, int]
) -> tuple[LimitUse, ...]:
    """The same of a call of the code of this step, with what that says: its limits, and what it uses at most."""
    shared = [(each, most[each.unit]) for each in plan.shared_budgets if each.unit in most]
    return _in_order(state, plan, plan.steps[path].reading, limits, shared)


def _in_order(
    state: RunState,
    plan: Plan,
    reading: tuple[str, ...],
    limits: Sequence[LimitDefinition | CallLimit],
    shared: Sequence[tuple[BudgetDefinition, int]],
) -> tuple[LimitUse, ...]:
    found = [
        LimitUse(each.kind, each.name, _key(state, plan, each.key, reading), each.limit, each.per_ms) for each in limits
    ]
    found += [
        LimitUse(
            "budget",
            each.name or "",
            _key(state, plan, each.key, reading),
            each.limit,
            each.per_ms,
            amount,
            each.unit,
            each.on_exhausted == "fail",
        )
        for each, amount in shared
    ]
    return tuple(sorted(found, key=lambda use: (_ORDER[use.kind], use.name, use.key)))


def label(use: LimitUse) -> str:
    """The limit in a few words."""
    return f"{use.name} of {use.key}" if use.key else use.name


def _key(state: RunState, plan: Plan, name: str | None, reading: tuple[str, ...]) -> str:
    if name is None:
        return ""
    value = field_value(state, plan, name, reading)
    return f"{name}={_text(None if value is None else value.control)}"


def _text(value: Control) -> str:
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    if len(text) <= KEY_CHARACTERS:
        return text
    return f"{text[:KEY_CHARACTERS]}#{blake2b(text.encode(), digest_size=12).hexdigest()}"
